"""facemint check: the pictures of a finished run, accepted and rejected, judged again by other limits; nothing is generated."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jobs.axes import input_hashes
from jobs.config import RunConfig, changed_keys, config_from_text, load_config
from jobs.extend import read_growth
from jobs.files import read_json, sha256_of, write_json, write_whole
from jobs.graph import Planned, Run
from jobs.lease import Lease
from jobs.locations import Location, absolute_text, found
from jobs.recheck_measure import measured_again
from jobs.recheck_pack import drop_apart, gate_apart, prepare_apart, put_in_place
from jobs.recheck_shards import SPARE, Judging, ShardRewriter
from jobs.recheck_state import Checks, Pending, read_checks
from jobs.recheck_tally import Projection, lines, project, tally, verdicts_stay
from jobs.recheck_verdicts import StoredJudge
from jobs.retry import read_retries
from jobs.shards import Provenance, read_markers
from manifests.errors import ConfigError, ResumeMismatch
from manifests.rows import ShardPlan
from manifests.vocabulary import vocabulary

Say = Callable[[str], None]


def check_run(folder: Location, overrides: Sequence[str] = (), *, measure: bool = False, dry_run: bool = False, say: Say = print) -> bool:
    """Judges a run's stored pictures by its limits with the overrides on top; False when nothing was to be done, or only told.

    An interrupted check goes on, whatever it is called with, as long as the overrides aren't others.
    """
    old, new = configurations(folder, overrides, measure=measure)
    with Lease(folder):
        checks = read_checks(folder)
        if checks.pending:
            _check_same(checks.pending, new, overrides, folder)
            say("going on with the check that was interrupted")
            pending = checks.pending
        else:
            changes = tuple(changed_keys(old, new))
            if not changes and not measure:
                say(f"{folder} has these limits already")
                return False
            planned = _finished(folder, old)
            if dry_run and measure:
                raise ConfigError("check: --dry-run tells what stored measurements say, and --measure makes new ones. Give one of them.")
            pending = _begun(folder, old, new, changes, planned, measure=measure)
            if not measure:
                projection = project(folder, planned.plan, _stored_judge(folder, pending))
                _tell(say, pending.before, projection)
                if dry_run:
                    return False
            checks = dataclasses.replace(checks, pending=pending)
            checks.write(folder)
        run, planned, conditions = _apply(folder, pending)
        _rewrite(folder, run, planned, run.provenance(planned.plan, conditions), pending)
    run.make(planned, conditions, local=True)  # counts the shards; all are there
    with Lease(folder):
        after = tally(folder)
        if pending.measured:
            say("\n".join(lines(pending.before, after.to_json())))
        entry = {"changes": list(pending.changes), "measured": pending.measured, "before": dict(pending.before), "after": after.to_json()}
        for note in found(folder / SPARE / "done", "*.json"):
            note.unlink(missing_ok=True)
        drop_apart(folder)
        Checks(history=(*checks.history, entry)).write(folder)
    if after.recheck:
        say(f"{after.recheck:,} slots have no stored picture that passes and attempts left: facemint retry {folder} --unfilled makes more")
    return True


def configurations(folder: Location, overrides: Sequence[str], *, measure: bool = False) -> tuple[RunConfig, RunConfig]:
    """The run's configuration and that with the overrides; other keys than limits are refused by name."""
    path = folder / "config.yaml"
    if not path.is_file():
        raise ConfigError(f"check: {folder} has no config.yaml, so it is not the folder of a run. Name one.")
    for word in overrides:
        key = word.partition("=")[0]
        if key == "models.pack" and not measure:
            raise ConfigError("check: models.pack is another gate, whose cosines are in no file. Add --measure, so that the pictures are measured again.")
        if not key.startswith("qc.") and key != "models.pack":
            raise ConfigError(f'check: "{key}" changes how pictures are made, and they are made already; only qc.* can change. Use another --out for it.')
    return load_config(path), load_config(path, overrides)


def _check_same(pending: Pending, new: RunConfig, overrides: Sequence[str], folder: Location) -> None:
    if overrides and changed_keys(config_from_text(pending.new, "checks.json"), new):
        raise ResumeMismatch(
            f'check: an earlier check of {folder} ({"; ".join(pending.changes)}) was interrupted. Finish it first: "facemint check {folder}" without keys.'
        )


def _finished(folder: Location, config: RunConfig) -> Planned:
    """The plan of a run that is whole, and that this facemint with these weights and files made."""
    growth = read_growth(folder)
    if growth and not growth.renewed:
        raise ResumeMismatch(f"check: an extension of {folder} was interrupted. Run the command with --extend again, to its end, first.")
    if read_retries(folder).pending:
        raise ResumeMismatch(f'check: a retry of {folder} was interrupted. Run "facemint retry {folder}" to its end first.')
    run = Run(folder, config)
    planned = run.plan()
    markers = read_markers(folder)
    missing = [shard.name for shard in planned.plan.shards() if shard.name not in markers]
    if missing or not (folder / "stages" / "make.json").is_file():
        raise ResumeMismatch(f"check: {folder} isn't finished ({len(missing):,} shards are missing). Run its recipe to the end first.")
    provenance = run.provenance(planned.plan, run.prepare(planned))
    foreign = [name for name, marker in markers.items() if marker["run_hash"] != provenance.at(marker["start"]).run_hash]
    if foreign:
        raise ResumeMismatch(f'check: shard {foreign[0]} of {folder} was made by another run. "facemint verify {folder}" says what to do.')
    return planned


def _begun(folder: Location, old: RunConfig, new: RunConfig, changes: tuple[str, ...], planned: Planned, *, measure: bool) -> Pending:
    gate = read_json(folder / "conditions" / "gate.json")
    after: Mapping[str, Any] = gate
    if new.models != old.models:
        if read_growth(folder):
            raise ConfigError(f"check: {folder} was extended, and a run that was extended keeps its gate. Leave models.pack out.")
        prepare_apart(folder, new, planned.plan)
        after = gate_apart(folder)
    elif (new.qc.gate_fmr, new.qc.calibration) != (old.qc.gate_fmr, old.qc.calibration):
        from jobs.judging import calibrate_gate, open_pack

        after = vars(calibrate_gate(new, open_pack(new)))
    return Pending(old=old.to_yaml(), new=new.to_yaml(), gate=after, old_gate=gate, changes=changes, measured=measure, before=tally(folder).to_json())


def _stored_judge(folder: Location, pending: Pending) -> StoredJudge:
    from jobs.conditions import read_tables
    from jobs.judging import checks_of
    from qc.judge import JudgeConfig

    def limits(text: str, gate: Mapping[str, Any]) -> JudgeConfig:
        config = config_from_text(text, "checks.json")
        return JudgeConfig(checks=checks_of(config, gate["threshold"]), rejecting=config.qc.rejecting)

    words = {word.word: word for word in vocabulary()}
    return StoredJudge(limits(pending.old, pending.old_gate), limits(pending.new, pending.gate), read_tables(folder / "conditions"), words)


def _apply(folder: Location, pending: Pending) -> tuple[Run, Planned, dict[str, str]]:
    """Gives the run its new configuration: what was planned and prepared stays as it is, but for the gate's threshold."""
    config = config_from_text(pending.new, "checks.json")
    for name in ("make", "summarize"):
        (folder / "stages" / f"{name}.json").unlink(missing_ok=True)
    if config.models != config_from_text(pending.old, "checks.json").models:
        put_in_place(folder)
    else:
        _change_limits(folder, config, pending)
    growth = read_growth(folder)
    if growth:
        growth = dataclasses.replace(growth, config=pending.new)
        growth.write(folder)
    run = Run(folder, config, checking=True)
    planned = run.plan()
    conditions = run.prepare(planned)
    if growth:
        # From now on one hash names all generations: the limits of each are the new ones.
        run_hash = run.provenance(planned.plan, conditions).run_hash
        run.growth = dataclasses.replace(growth, earlier=tuple(dataclasses.replace(each, run_hash=run_hash) for each in growth.earlier))
        run.growth.write(folder)
    return run, planned, conditions


def _change_limits(folder: Location, config: RunConfig, pending: Pending) -> None:
    write_json(folder / "conditions" / "gate.json", dict(pending.gate))
    write_whole(folder / "config.yaml", pending.new)
    for name, file, inputs in (
        ("plan", "config.yaml", {"configuration": config.fingerprint(), **input_hashes(config)}),
        ("prepare", "conditions/gate.json", {}),
    ):
        stage = read_json(folder / "stages" / f"{name}.json")
        outputs = {**stage["outputs"], file: sha256_of(folder / file)}
        write_json(folder / "stages" / f"{name}.json", {"inputs": {**stage["inputs"], **inputs}, "outputs": outputs})


def _rewrite(folder: Location, run: Run, planned: Planned, provenance: Provenance, pending: Pending) -> None:
    markers = read_markers(folder)
    stored = None if pending.measured else _stored_judge(folder, pending)
    judging: Judging = measured_again(absolute_text(folder), run.config, run.weights, planned.plan.spec.run_seed) if stored is None else stored.answers_again
    faces = provenance.faces_required == ("single_face" in config_from_text(pending.old, "checks.json").qc.rejecting)

    def unchanged(shard: ShardPlan) -> bool:
        return faces and stored is not None and verdicts_stay(folder, shard, planned.plan, stored)

    rewriter = ShardRewriter(folder, planned.plan, provenance, judging, unchanged=unchanged, repeated=pending.measured)
    try:
        for shard in planned.plan.shards():
            rewriter.rewrite(shard, markers.get(shard.name))
    finally:
        rewriter.close()


def _tell(say: Say, before: Mapping[str, Any], projection: Projection) -> None:
    say("\n".join(lines(before, projection.after.to_json())))
    say(f"{projection.lost:,} slots lose their picture, {projection.regained:,} get one, {projection.exchanged:,} get another one of theirs")
