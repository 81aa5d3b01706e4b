"""The last stage: qc_report.json, report.html, contact_sheet.png and the papers of a run, from its files."""

from __future__ import annotations

from typing import Any

from jobs.bundle import BUNDLED, facemint_version
from jobs.conditions import PROOFS
from jobs.config import RunConfig, load_config
from jobs.extend import GENERATIONS
from jobs.files import read_json, sha256_of, write_json, write_whole
from jobs.images import decode_rgb
from jobs.judging import checks_of
from jobs.locations import Location, below, found
from jobs.papers.write import write_papers
from jobs.recheck_state import CHECKS
from jobs.retry import RETRIES
from jobs.shards import read_markers
from jobs.summary_copies import copy_candidates
from jobs.summary_inputs import RunTables, read_run_tables
from jobs.summary_pictures import embed_pictures, read_gallery, read_people, read_reference, read_samples
from manifests.errors import InputError
from manifests.ledger import read_ledger
from manifests.records import RunRecord
from manifests.vocabulary import vocabulary
from qc.calibration import Calibration
from qc.report.contact_sheet import contact_sheet, png_bytes, tile_uri
from qc.report.gallery_tiles import shown_tiles
from qc.report.inputs import ReportInputs
from qc.report.page import render_page
from qc.report.summary import build_summary, wanted_tiles, with_tiles


def summarize(folder: Location, *, again: bool = True) -> list[Location]:
    """Writes the report of a run that has committed shards; with `again` false only if it isn't there for the same shards."""
    markers = read_markers(folder)
    if not markers:
        raise InputError(f'report: {folder} has no committed shards. Run "facemint run" first.')
    if not (folder / "run.json").is_file():
        raise InputError(f"report: {folder} isn't finished, it has no run.json yet. Run the same command, or the parts that are missing, to the end first.")
    inputs = {name: sha256_of(folder / "data" / f"{name}.json") for name in markers}
    done = folder / "stages" / "summarize.json"
    if not again and done.is_file():
        marker = read_json(done)
        if marker["inputs"] == inputs and all((folder / file).is_file() for file in marker["outputs"]):
            return [folder / file for file in marker["outputs"]]
    written = _write_report(folder, markers)
    write_json(done, {"inputs": inputs, "outputs": {below(path, folder): sha256_of(path) for path in written}})
    return written


def report_inputs(folder: Location, markers: dict[str, dict[str, Any]]) -> ReportInputs:
    """All that the report of a run is computed from."""
    config = load_config(folder / "config.yaml")
    record = RunRecord.from_json((folder / "run.json").read_text(encoding="utf-8"))
    calibration = Calibration(**read_json(folder / "conditions" / "gate.json"))
    tables = read_run_tables(folder, markers)
    people, words = tables.slots["identity_id"].nunique(), tables.slots["expression"].nunique()
    origin = _origin(folder, markers)
    embedded, gallery = _embedded(folder, config, markers, tables), read_gallery(config)
    return ReportInputs(
        title=f"{people:,} people, {words:,} expressions",
        command=_command(folder),
        created=f"facemint {facemint_version()}",
        config_sha256=record.config_hash,
        manifest_sha256=origin["manifest_sha256"],
        bundle_id=origin["model_bundle_id"],
        version=record.versions.get("facemint", facemint_version()),
        seed=config.seed,
        seconds=None,  # equal runs give equal reports
        slots=tables.slots,
        uncommitted=max(0, _num_planned(folder) - len(tables.slots)),
        attempts=tables.attempts,
        labels=tables.labels,
        embedded=embedded,
        people=read_people(folder),
        gallery=gallery,
        chosen=_chosen(folder),
        candidates=copy_candidates(folder, markers, tables.attempts, tables.labels, embedded=embedded, gallery=gallery),
        reference=read_reference(),
        classes={word.word: word.affectnet8 for word in vocabulary()},
        checks=checks_of(config, calibration.threshold),
        rejecting=config.qc.rejecting,
        calibration=calibration,
        models=read_ledger(BUNDLED).weights,
        versions=record.versions,
        marking=tables.marking,
    )


def _chosen(folder: Location) -> tuple[int, int] | None:
    """Sampled people, and the candidates that they were taken from by their proofs."""
    path = folder / "conditions" / PROOFS
    if not path.is_file():
        return None
    record = read_json(path)
    return int(record["people"]), int(record["candidates"])


def _write_report(folder: Location, markers: dict[str, dict[str, Any]]) -> list[Location]:
    config = load_config(folder / "config.yaml")
    record = RunRecord.from_json((folder / "run.json").read_text(encoding="utf-8"))
    inputs = report_inputs(folder, markers)
    summary = build_summary(inputs)
    pictures = {key: decode_rgb(content) for key, content, _ in read_samples(folder, markers, dict.fromkeys(wanted_tiles(summary)))}
    tiles = {key: tile_uri(picture) for key, picture in pictures.items()}
    summary = with_tiles(summary, tiles | shown_tiles(summary, inputs.gallery.tiles if inputs.gallery else None))
    write_json(folder / "qc_report.json", summary)
    write_whole(folder / "report.html", render_page(summary))
    written = [folder / "qc_report.json", folder / "report.html"]
    sheet = summary["contact_sheet"]
    if sheet["rows"]:
        shown = {
            (person, word): pictures[key]
            for person, row in zip(sheet["rows"], sheet["keys"], strict=True)
            for word, key in zip(sheet["columns"], row, strict=True)
            if key in pictures
        }
        write_whole(folder / "contact_sheet.png", png_bytes(contact_sheet(shown, sheet["rows"], sheet["columns"])))
        written.append(folder / "contact_sheet.png")
    return [*written, *write_papers(folder, config, record, summary, has_sheet=bool(sheet["rows"]))]


def _command(folder: Location) -> str:
    """What makes the run again, and which files say what was done to it afterwards."""
    later = [name for name in (GENERATIONS, CHECKS, RETRIES) if (folder / name).is_file()]
    return "facemint run config.yaml --out FOLDER" + (f", then as {' and '.join(later)} of the run folder say" if later else "")


def _embedded(folder: Location, config: RunConfig, markers: dict[str, dict[str, Any]], tables: RunTables) -> Any:
    return embed_pictures(folder, config, markers, tables.attempts)


def _num_planned(folder: Location) -> int:
    import pyarrow.parquet as pq

    from jobs.files import open_read

    total = 0
    for part in found(folder / "manifest", "part-*.parquet"):
        with open_read(part) as stream:
            total += pq.ParquetFile(stream).metadata.num_rows
    return total


def _origin(folder: Location, markers: dict[str, dict[str, Any]]) -> dict[str, str]:
    """What the first label says of where the pictures come from."""
    import pyarrow.parquet as pq

    from jobs.files import open_read

    for name, marker in markers.items():
        for place in ("data", "rejected"):
            if f"{place}/{name}.parquet" in marker["files"]:
                with open_read(folder / place / f"{name}.parquet") as stream:
                    for batch in pq.ParquetFile(stream).iter_batches(batch_size=1, columns=["manifest_sha256", "model_bundle_id"]):
                        return dict(batch.to_pylist()[0])
    return {"manifest_sha256": "", "model_bundle_id": ""}
