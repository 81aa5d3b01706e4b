"""facemint train banks: scenes, expression references, the identity prior, the gallery of training people and the thresholds."""

# N pictures, D width of an embedding

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from generator.identity_prior import IdentityPrior
from generator.training.banks import choose_scenes, write_expressions, write_scenes
from generator.training.corpus import Corpus, load_corpus
from generator.training.embeddings import CONDITIONER_FILES, IDENTITY_FILES, JUDGE_FILES, kept_embeddings
from generator.training.gallery import write_gallery
from generator.training.prior import fit_prior
from generator.training.trainables import Place
from jobs.files import write_json
from qc.calibration import CALIBRATION_FILE, calibrate_corpus, write_calibrations
from qc.dataset.hashes import phash64, phash256
from qc.recognition import Recogniser
from qc.report.gallery_tiles import check_tiles

SCENE_SHARDS = "scenes-*.tar"


def build_banks(corpus: Corpus, place: Place, say: Callable[[str], None]) -> dict[str, float]:
    """Writes banks/ and qc/calibration.json of the bundled folder; returns what was measured on held-out people.

    Scenes are the portraits of scenes-*.tar in the corpus folder, or, without such shards, portraits of training people.
    """
    banks = place.bundled / "banks"
    banks.mkdir(parents=True, exist_ok=True)
    seen, held = corpus.rows(~corpus.held_out), corpus.rows(corpus.held_out)
    say(f"banks: reading {len(seen):,} portraits with every recogniser")
    known = _embed(seen, place)
    num_references = write_expressions(seen, known["expression"], banks / "expressions.parquet")
    scenes = _scenes(seen, place)
    num_scenes = write_scenes(scenes, _embed(scenes, place), banks / "scenes.parquet")
    people = {name: rows for name, rows in known.items() if name != "expression"}
    prior = fit_prior(people, seen.identity, conditioners=tuple(IDENTITY_FILES))
    unfinished = banks / ".identities.safetensors.tmp"
    prior.save(unfinished)
    os.replace(unfinished, banks / "identities.safetensors")
    num_people = build_gallery(corpus, place)
    say(f"banks: {num_references} expression references, {num_scenes} scenes, prior of {len(prior.basis)} components, gallery of {num_people} people")
    return {
        "expression_references": float(num_references),
        "scenes": float(num_scenes),
        "gallery_people": float(num_people),
        "prior_components": float(len(prior.basis)),
        "prior_apart_cosine": prior.apart,
        **prediction_figures(prior, _embed(held, place), held.identity),
        **_calibrate(held, place),
    }


def build_gallery(corpus: Corpus, place: Place) -> int:
    """Writes banks/gallery.parquet, which the leakage check compares data sets with; returns the number of people."""
    seen, held = corpus.rows(~corpus.held_out), corpus.rows(corpus.held_out)
    parts = [kept_embeddings(rows, place.bundled, place.work, JUDGE_FILES) for rows in (seen, held)]
    order = np.concatenate([np.flatnonzero(~corpus.held_out), np.flatnonzero(corpus.held_out)])
    embeddings = {name: np.concatenate([part[name][0] for part in parts]) for name in JUDGE_FILES}
    phashes = np.array([phash64(corpus.images_rgb[row]) for row in order], dtype=np.uint64)
    fine = [phash256(corpus.images_rgb[row]) for row in order]
    return write_gallery(corpus.rows(order), embeddings, phashes, fine, place.bundled / "banks" / "gallery.parquet", tiles=_tiles(place))


def _tiles(place: Place) -> dict[int, bytes] | None:
    """Small pictures of people that were rendered for the report, tiles/NUMBER.webp in the work folder; None without any."""
    found = {int(path.stem): path.read_bytes() for path in sorted((place.work / "tiles").glob("[0-9]*.webp"))}
    check_tiles(list(found.values()), list(found))
    return found or None


def prediction_figures(prior: IdentityPrior, embeddings: Mapping[str, NDArray[np.float32]], identity: NDArray[np.int64]) -> dict[str, float]:
    """How well the prior predicts what the gate and the auditor see: mean cosine of the prediction from one picture to another one.

    Beside it the mean cosine of two true pictures of a person, which is the most that a prediction can be expected to reach.
    """
    first = np.array([np.flatnonzero(identity == person)[0] for person in np.unique(identity)])
    second = np.array([np.flatnonzero(identity == person)[-1] for person in np.unique(identity)])
    predicted = prior.split(np.concatenate([embeddings[name][first] for name in prior.dims], axis=1))
    figures = {}
    for name in prior.predictors:
        figures[f"{name}_cosine_predicted"] = float((predicted[name] * embeddings[name][second]).sum(axis=1).mean())
        figures[f"{name}_cosine_two_pictures"] = float((embeddings[name][first] * embeddings[name][second]).sum(axis=1).mean())
    return figures


def write_banks_card(corpus: Corpus, place: Place, figures: Mapping[str, float]) -> None:
    """Writes cards/banks.json in the work folder."""
    seen = corpus.rows(~corpus.held_out)
    record = {
        "name": "banks",
        "command": "facemint train banks --corpus CORPUS",
        "pictures": len(seen),
        "identities": len(np.unique(seen.identity)),
        "figures": {key: round(float(value), 5) for key, value in figures.items()},
    }
    write_json(place.work / "cards" / "banks.json", record)


def _embed(corpus: Corpus, place: Place) -> dict[str, NDArray[np.float32]]:
    """Embeddings (N, D) of the portraits by every conditioner and judge; their mirror images are left aside."""
    parts = [kept_embeddings(corpus, place.bundled, place.work, files) for files in (CONDITIONER_FILES, JUDGE_FILES)]
    return {name: rows[0] for part in parts for name, rows in part.items()}


def _scenes(seen: Corpus, place: Place) -> Corpus:
    if any(place.corpus.glob(SCENE_SHARDS)) or any(place.corpus.glob(f"shards/{SCENE_SHARDS}")):
        return load_corpus(place.corpus, size=seen.images_rgb.shape[1], pattern=SCENE_SHARDS)
    return seen.rows(choose_scenes(seen))


def _calibrate(held: Corpus, place: Place) -> dict[str, float]:
    """Thresholds of gate and auditor on the held-out people."""
    source = f"{len(held)} portraits of {len(np.unique(held.identity))} rendered people that no training saw"
    rows, figures = [], {}
    for name, file in JUDGE_FILES.items():
        found = calibrate_corpus(list(held.images_rgb), list(held.landmarks5_px), held.identity.tolist(), Recogniser(place.bundled / file), source=source)
        rows += found
        for calibration in found:
            figures[f"{name}_threshold_at_fmr_{calibration.target_fmr:g}"] = calibration.threshold
            if calibration.fnmr is not None:
                figures[f"{name}_fnmr_at_fmr_{calibration.target_fmr:g}"] = calibration.fnmr
    write_calibrations(place.bundled / CALIBRATION_FILE, rows)
    return figures
