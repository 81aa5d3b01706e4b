"""Model cards: what each bundled part learned from, how, for how long, what was measured on it, and what it must not be taken for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from generator.training.bundle import LICENCE, SOURCE
from manifests.errors import InputError

DOMAIN_GAP = (
    "Everything here was learned from rendered people and measured on rendered people that no training saw. Photographs differ from them in skin, hair, "
    "light and lens, so expect worse figures on photographs; how much worse is measured in the README of the project."
)
ETHICS = (
    "Rendered people are few kinds of people: figures by sex, age or descent were not measured, and none of the nets was made for identifying people or for "
    "reading anyone's feelings."
)
TITLES = {
    "identity_arc": "Identity encoder 1 of 3 (residual trunk, angular margin loss)",
    "identity_metric": "Identity encoder 2 of 3 (pooled trunk, supervised contrast)",
    "identity_triplet": "Identity encoder 3 of 3 (plain trunk, weighted triplets)",
    "gate": "Identity gate",
    "auditor": "Identity auditor",
    "expression_encoder": "Expression encoder",
    "expression_estimator": "Expression estimator",
    "face_parser": "Face parser and landmarks",
    "face_detector": "Face detector",
    "autoencoder": "Patch autoencoder",
    "sfsr": "DiffSFSR denoiser",
    "few_steps": "Few-step weights of the denoiser (low-rank additions)",
    "banks": "Banks: scenes, expression references, identity prior, thresholds",
}
PURPOSE = {
    "identity_arc": "Conditions the pictures: tells the denoiser whose face to make.",
    "identity_metric": "Conditions the pictures: tells the denoiser whose face to make.",
    "identity_triplet": "Conditions the pictures: tells the denoiser whose face to make.",
    "gate": "Accepts or rejects pictures by their likeness to the asked person; conditions nothing.",
    "auditor": "Measures accepted pictures; has no say, conditions nothing, and learned from people that no other net learned from.",
    "expression_encoder": "Conditions the pictures: tells the denoiser which expression to make.",
    "expression_estimator": "Judges pictures: 34 expression units and the sideways shift of the mouth, eight classes, valence, arousal, head pose.",
    "face_parser": "Cuts the face of a picture from its surroundings: ten classes per pixel and 68 landmarks.",
    "face_detector": "Finds faces and five points in pictures of any size.",
    "autoencoder": "Turns portraits of 128 pixels into 16 x 16 latents of 16 channels and back.",
    "sfsr": "Makes the face inside the hole of a background, given identity and expression embeddings.",
    "few_steps": "Lets the denoiser make the face in four calls, without a null call: sampler kind consistency.",
    "banks": "Backgrounds, references of expressions, new people, and thresholds of the identity recognisers, each with its own conditions.",
}


def write_model_cards(work: Path, bundled: Path, *, evaluation: Path | None = None) -> list[Path]:
    """Writes cards/NAME.md in the bundled folder for every cards/NAME.json in the work folder; returns the files.

    evaluation  an evaluation.json of facemint evaluate, whose figures go into the denoiser's card; None: they are left out
    """
    records = {path.stem: _read(path) for path in sorted((work / "cards").glob("*.json"))}
    if not records:
        raise InputError(f'model cards: "{work / "cards"}" holds no training records. Train something first, or give another --work folder.')
    benchmark = _read(evaluation) if evaluation is not None else None
    folder = bundled / "cards"
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, record in records.items():
        path = folder / f"{name}.md"
        path.write_text(card_text(name, record, benchmark if name == "sfsr" else None), encoding="utf-8")
        written.append(path)
    return written


def card_text(name: str, record: Mapping[str, Any], benchmark: Mapping[str, Any] | None = None) -> str:
    """One card as Markdown."""
    facts = [
        ("Data", f"{SOURCE.removeprefix('trained on ')}: {record['pictures']:,} portraits of {record['identities']:,} people; no real person is among them"),
        ("Command", f"`{record.get('command') or f'facemint train {name} --corpus CORPUS'}`"),
    ]
    if "steps" in record:
        facts.append(("Training", f"{record['steps']:,} steps of {record['batch_size']} pictures, {hours(record['seconds'])}, {record.get('device', 'CPU')}"))
    if record.get("seed") is not None:
        facts.append(("Seed", str(record["seed"])))
    facts += [("Licence", LICENCE), ("Source", SOURCE)]
    parts = [
        f"# {TITLES.get(name, name)}",
        PURPOSE.get(name, ""),
        "\n".join(["| | |", "| --- | --- |", *(f"| {title} | {text} |" for title, text in facts)]),
        "## Measured",
        _figures(record.get("figures", {})),
    ]
    if benchmark is not None:
        parts.append(_benchmark(benchmark))
    parts += ["## Limits", DOMAIN_GAP, ETHICS]
    return "\n\n".join(part for part in parts if part) + "\n"


def hours(seconds: float) -> str:
    """A duration as people say it."""
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"


def rounded(value: float) -> str:
    """A figure with three significant digits, whole numbers whole."""
    if float(value).is_integer() and abs(value) < 1e12:
        return f"{int(value):,}"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _figures(figures: Mapping[str, float]) -> str:
    if not figures:
        return "Nothing on its own; see the parts that use it."
    return "\n".join(["| figure | value |", "| --- | ---: |", *(f"| {key.replace('_', ' ')} | {rounded(value)} |" for key, value in figures.items())])


def _benchmark(benchmark: Mapping[str, Any]) -> str:
    """Means of the swap benchmark, methods side by side."""
    methods = benchmark["methods"]
    keys = list(dict.fromkeys(key for found in methods.values() for key in found))
    lines = [f"On {benchmark['data']['quadruples']} swaps whose exact answer is known:", "", f"| figure | {' | '.join(methods)} |"]
    lines.append("| --- |" + " ---: |" * len(methods))
    for key in keys:
        values = [found.get(key, {}).get("mean") for found in methods.values()]
        lines.append(f"| {key.replace('_', ' ')} | {' | '.join('' if value is None else rounded(value) for value in values)} |")
    return "\n".join(lines)


def _read(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f'model cards: "{path}" can\'t be read as JSON ({error}). Train that part again, or remove the file.') from error
    return record
