"""The last stage: qc_report.json, report.html, contact_sheet.png and the card of a run, from its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jobs.bundle import BUNDLED, facemint_version
from jobs.card import card_text
from jobs.conditions import AUDITOR, GATE, read_tables
from jobs.config import RunConfig, load_config
from jobs.files import read_json, sha256_of, write_json, write_whole
from jobs.judging import checks_of, open_pack
from jobs.pictures import Pair, embeddable, read_attempts, read_labels, read_pictures
from jobs.shards import read_markers
from manifests.errors import InputError
from manifests.ledger import read_ledger
from manifests.planner import read_manifest
from manifests.records import RunRecord
from manifests.vocabulary import vocabulary
from qc.alignment import recogniser_crops
from qc.calibration import Calibration
from qc.recognition import Recogniser
from qc.report.contact_sheet import contact_sheet, png_bytes, tile_uri
from qc.report.page import render_page
from qc.report.summary import ReportInputs, build_summary, wanted_tiles
from qc.statistics import ScoreSet, reference_scores

MAX_EMBEDDED = 2000  # pictures that the report's verification figures are made from
MAX_SHEET = 16  # rows and columns of the contact sheet
LABEL_COLUMNS = ["sample_id", "identity_id", "attempt", "landmarks5"]


def summarize(folder: Path, *, again: bool = True) -> list[Path]:
    """Writes the report of a run that has committed shards; with `again` false only if it isn't there for the same shards."""
    markers = read_markers(folder)
    if not markers:
        raise InputError(f'report: {folder} has no committed shards. Run "facemint run" first.')
    inputs = {name: sha256_of(folder / "data" / f"{name}.json") for name in markers}
    done = folder / "stages" / "summarize.json"
    if not again and done.is_file():
        marker = read_json(done)
        if marker["inputs"] == inputs and all((folder / file).is_file() for file in marker["outputs"]):
            return [folder / file for file in marker["outputs"]]
    written = _write_report(folder)
    write_json(done, {"inputs": inputs, "outputs": {path.relative_to(folder).as_posix(): sha256_of(path) for path in written}})
    return written


def _write_report(folder: Path) -> list[Path]:
    config = load_config(folder / "config.yaml")
    record = RunRecord.from_json((folder / "run.json").read_text(encoding="utf-8"))
    calibration = Calibration(**read_json(folder / "conditions" / "gate.json"))
    attempts = read_attempts(folder)
    cells = _cells(folder)
    shown = _first_of_each_cell(attempts, cells)
    pictures = read_pictures(folder, [*wanted_tiles(attempts), *shown.values()])
    scores = _Scores(folder, config)
    summary = build_summary(
        ReportInputs(
            title=f"{cells['identity_id'].nunique():,} people, {cells['expression'].nunique():,} expressions",
            command="facemint run RECIPE --out FOLDER",
            config_hash=record.config_hash,
            created=f"facemint {facemint_version()}",
            attempts=attempts,
            cells=cells,
            classes={word.word: word.affectnet8 for word in vocabulary()},
            checks=checks_of(config, calibration.threshold),
            rejecting=config.qc.rejecting,
            calibration=calibration,
            models=read_ledger(BUNDLED).weights,
            versions=record.versions,
            audit_accepted=scores.of(AUDITOR, ("data",)),
            audit_unfiltered=scores.of(AUDITOR, ("data", "rejected")),
            gate_accepted=scores.of(GATE, ("data",)),
            seconds=None,  # equal runs give equal reports
            tiles={pair: tile_uri(picture) for pair, picture in pictures.items()},
        )
    )
    write_json(folder / "qc_report.json", summary)
    write_whole(folder / "report.html", render_page(summary))
    written = [folder / "qc_report.json", folder / "report.html"]
    if shown:
        people = list(dict.fromkeys(person for person, _ in shown))
        words = [word for word in dict.fromkeys(cells["expression"]) if any(word == other for _, other in shown)]
        sheet = contact_sheet({cell: pictures[pair] for cell, pair in shown.items()}, people, words)
        write_whole(folder / "contact_sheet.png", png_bytes(sheet))
        written.append(folder / "contact_sheet.png")
    write_whole(folder / "README.md", card_text(config, record, summary, has_sheet=bool(shown)))
    return [*written, folder / "README.md"]


def _cells(folder: Path) -> pd.DataFrame:
    """One row per identity and expression with the number of slots, in the order of the recipe's axes."""
    rows = read_manifest(folder / "manifest").select(["cell", "identity_id", "expression"]).to_pandas()
    grouped = rows.groupby(["identity_id", "expression"], sort=False).agg(requested=("cell", "size"), first=("cell", "min")).reset_index()
    return grouped.sort_values("first", ignore_index=True)[["identity_id", "expression", "requested"]]


def _first_of_each_cell(attempts: pd.DataFrame, cells: pd.DataFrame) -> dict[tuple[str, str], Pair]:
    """The first accepted picture of each shown identity and expression, in the order of the cells."""
    accepted = attempts[attempts["accepted"].astype(bool)].drop_duplicates(["identity_id", "expression"])
    found = {(row["identity_id"], row["expression"]): (int(row["slot"]), int(row["attempt"])) for row in accepted.to_dict("records")}
    people, words = list(dict.fromkeys(cells["identity_id"]))[:MAX_SHEET], list(dict.fromkeys(cells["expression"]))[:MAX_SHEET]
    return {(person, word): found[person, word] for person in people for word in words if (person, word) in found}


class _Scores:
    """Scores of the run's pictures against its people, by a recogniser."""

    def __init__(self, folder: Path, config: RunConfig) -> None:
        self._folder = folder
        self._tables = read_tables(folder / "conditions")
        pack = open_pack(config)
        self._recognisers = {GATE: pack.recogniser, AUDITOR: Recogniser(BUNDLED / "recognisers" / "auditor.onnx", name=AUDITOR, threads=config.threads)}

    def of(self, recogniser: str, places: Sequence[str]) -> ScoreSet | None:
        """Scores of a spread of the pictures below these folders; None without pictures or with a single person."""
        people = [person for person in self._tables.people.values() if recogniser in person.embeddings]
        labels = pd.concat([read_labels(self._folder, place, LABEL_COLUMNS) for place in places], ignore_index=True)
        number = {person.identity_id: index for index, person in enumerate(people)}
        rows: list[dict[str, Any]] = [row for row in embeddable(labels, MAX_EMBEDDED) if row["identity_id"] in number]
        if not rows or len(people) < 2:
            return None
        pairs = [(int(row["sample_id"].partition("_")[0]), int(row["attempt"])) for row in rows]
        pictures = read_pictures(self._folder, pairs)
        points = [np.asarray(row["landmarks5"], dtype=np.float32).reshape(5, 2) for row in rows]
        embeddings = self._recognisers[recogniser].embed(recogniser_crops([pictures[pair] for pair in pairs], points))
        own = np.array([number[row["identity_id"]] for row in rows], dtype=np.int64)
        return reference_scores(embeddings, own, np.stack([person.embeddings[recogniser] for person in people]))
