"""facemint people: makes faces of sampled people, measures whether they are new and distinct, and writes figures, a page and a sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from jobs.bundle import BUNDLED, core_folder
from jobs.config import RunConfig
from jobs.eyes import Eye, open_eyes
from jobs.figure_config import about_core, about_machine
from jobs.files import write_json, write_whole
from jobs.images import encode
from jobs.new_people import PeoplePictures, auditor_vectors, draw_people, people_config, people_plan, people_proofs, people_tables, rows_of_view
from jobs.new_people_figures import TARGET_FMR, matches, people_figures
from jobs.new_people_report import page
from jobs.summary_pictures import read_gallery
from qc.calibration import CALIBRATION_FILE, find_calibration, read_calibrations
from qc.report.contact_sheet import contact_sheet

SHEET_PEOPLE = 12
SHEET_WORDS = 8


def run_people(
    config: RunConfig, out: Path, *, num_people: int, num_expressions: int, num_proofs: int, pack: Path | None = None
) -> dict[str, Any]:
    """Writes people.json, people.md and people.png, and returns what people.json holds.

    config      core, sampler, dtype, device, threads, batch_size and seed of a recipe
    num_proofs  pictures, with the same scenes and noise for everybody, by which people are chosen before the faces that are measured have their say, too;
                0: people are as the prior draws them, and nothing is chosen
    pack        insightface folder whose detector and recogniser look too
    """
    config = people_config(config, num_people=num_people, num_expressions=num_expressions, num_proofs=num_proofs)
    plan = people_plan(config)
    proofs = people_proofs(config, plan)
    eyes = open_eyes(pack, threads=config.threads)
    threshold = find_calibration(read_calibrations(BUNDLED / CALIBRATION_FILE), eyes[0].recogniser.sha256, TARGET_FMR).require().threshold
    gallery = read_gallery(config)
    console = Console()
    with Progress(console=Console(stderr=True), transient=True) as bar:
        choosing = bar.add_task("choosing people", total=None)
        tables = people_tables(config, plan, proofs)
        bar.remove_task(choosing)
        task = bar.add_task("making pictures", total=plan.num_slots)
        views = [draw_people(config, rows_of_view(plan, view), tables, tick=lambda done: bar.advance(task, done)) for view in range(config.views)]
        bar.add_task("measuring", total=None)
        faces, *others = [people_figures(pictures, eyes, threshold, gallery) for pictures in views]
        vectors = matches(auditor_vectors(tables), threshold)
    about = _about(config, eyes) | {"proofs": None if proofs is None else proofs.record()}
    record = {**about, **faces.to_json(), "vectors": vectors.to_json(), "other_pictures": others[0].to_json() if others else None}
    text = page(faces, vectors, about, others=others[0] if others else None)
    write_json(out / "people.json", record)
    write_whole(out / "people.md", text)
    write_whole(out / "people.png", encode(_sheet(config, views[0]), "png"))
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
