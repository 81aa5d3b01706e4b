"""facemint people: makes faces of sampled people, measures whether they are new and distinct, and writes figures, a page and a sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from jobs.bundle import BUNDLED, core_folder
from jobs.conditions import AUDITOR
from jobs.config import RunConfig
from jobs.eyes import Eye, look, open_eyes
from jobs.figure_config import about_core, about_machine
from jobs.files import write_json, write_whole
from jobs.images import encode
from jobs.new_people import PeoplePictures, auditor_vectors, draw_people, people_config, people_tables
from jobs.new_people_figures import TARGET_FMR, detection, distinctness, matches, people_leakage
from jobs.new_people_report import page
from jobs.proofs import proofs_of
from jobs.summary_pictures import read_gallery
from qc.calibration import CALIBRATION_FILE, find_calibration, read_calibrations
from qc.report.contact_sheet import contact_sheet
from qc.statistics import plain

SHEET_PEOPLE = 12
SHEET_WORDS = 8


def run_people(
    config: RunConfig, out: Path, *, num_people: int, num_expressions: int, num_proofs: int, pack: Path | None = None
) -> dict[str, Any]:
    """Writes people.json, people.md and people.png, and returns what people.json holds.

    config      core, sampler, dtype, device, threads, batch_size and seed of a recipe
    num_proofs  pictures by which people are chosen, as identities.sampled.proofs of a recipe; those that are measured are others
    pack       insightface folder whose detector and recogniser look too
    """
    config = people_config(config, num_people=num_people, num_expressions=num_expressions, num_proofs=num_proofs)
    proofs = proofs_of(config)
    eyes = open_eyes(pack, threads=config.threads)
    auditor, *_ = eyes
    threshold = find_calibration(read_calibrations(BUNDLED / CALIBRATION_FILE), auditor.recogniser.sha256, TARGET_FMR).require().threshold
    console = Console()
    with Progress(console=Console(stderr=True), transient=True) as bar:
        choosing = bar.add_task("choosing people", total=None)
        rows, tables = people_tables(config, proofs)
        bar.remove_task(choosing)
        task = bar.add_task("making pictures", total=len(rows))
        pictures = draw_people(config, rows, tables, tick=lambda done: bar.advance(task, done))
        bar.add_task("measuring", total=None)
        seen = {eye.name: look(eye, pictures.images_rgb) for eye in eyes}
        detections = {eye.detector_name: detection(seen[eye.name], pictures.people) for eye in eyes}
        gallery = read_gallery(config)
        held_out = None if gallery is None else gallery.auditor[gallery.held_out]
        distinct = {
            eye.name: distinctness(seen[eye.name], pictures, threshold if eye is auditor else None, held_out if eye is auditor else None) for eye in eyes
        }
        vectors = matches(auditor_vectors(tables), threshold)
        leaked = None if gallery is None else people_leakage(seen[AUDITOR], pictures, gallery)
    about = _about(config, eyes) | {"proofs": None if proofs is None else proofs.record()}
    record = {
        **about,
        "faces_found": plain(detections),
        "distinct": plain(distinct),
        "vectors": vectors.to_json(),
        "leakage": None if leaked is None else leaked.to_json(),
    }
    text = page(detections, distinct, vectors, leaked, about)
    write_json(out / "people.json", record)
    write_whole(out / "people.md", text)
    write_whole(out / "people.png", encode(_sheet(config, pictures), "png"))
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    console.print(f"Written: {out / 'people.json'}, people.md, people.png")
    return record


def _about(config: RunConfig, eyes: list[Eye]) -> dict[str, Any]:
    return {
        "people": config.identities.sampled.count,
        "words": list(config.expressions.words),
        "core": about_core(core_folder(config.models)),
        "recognisers": {eye.name: eye.recogniser.sha256 for eye in eyes},
        **about_machine(config),
    }


def _sheet(config: RunConfig, pictures: PeoplePictures) -> Any:
    """The first people, named by their numbers, with the first expressions."""
    people = sorted(set(pictures.people.tolist()))[:SHEET_PEOPLE]
    images = {(who, word): image for who, word, image in zip(pictures.people.tolist(), pictures.words.tolist(), pictures.images_rgb, strict=True)}
    return contact_sheet(images, people, list(config.expressions.words)[:SHEET_WORDS])
