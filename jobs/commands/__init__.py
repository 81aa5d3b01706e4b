"""The commands of facemint, a file per group; a new command costs a function and a line of this table."""

from __future__ import annotations

import click

from jobs.commands import cluster, judged, marks, models, outputs, repair, runs, sheets

COMMANDS: tuple[click.Command, ...] = (
    runs.show,
    runs.plan,
    runs.prepare,
    runs.make,
    runs.run,
    repair.retry,
    judged.check,
    judged.compare,
    cluster.submit,
    outputs.report,
    outputs.verify,
    outputs.status,
    marks.detect,
    marks.mark,
    models.weights,
    models.swap,
    models.train,
    models.evaluate,
    models.ablations,
    models.people,
    sheets.sheet,
)
