"""The card of a data set, README.md: the metadata that dataset hubs read, then what it is, how to load it, and what it is not."""

from __future__ import annotations

import re
from typing import Any

import yaml

from jobs.papers.facts import Facts
from jobs.papers.words import BIASES, GATED, INTENDED, LIMITS, OUT_OF_SCOPE, data_licence, marking, not_measured, origin, withdrawal
from manifests.face_mask import LABELS
from manifests.printable import printable
from manifests.records import LABEL_SCHEMA

GROUPS = (
    ("req_ and identity, cell, view, mode, split, expression_", "what was asked"),
    ("obs_, bbox, landmarks5", "what was measured on the picture; missing where it could not be measured"),
    ("sim_gate_ref, sim_audit_ref", "cosine to the asked person by the gate, and by the auditor, which has no say"),
    ("q_, n_", "quality: scalar 0 to 100, native value"),
    ("qc_", "verdict: accepted, first reason, all reasons"),
    ("attempt, seed, sampler, steps, guidance, model_bundle_id, manifest_sha256, generator_version", "where it came from"),
    ("marking", "marks in the picture's file: iptc, wm48, c2pa"),
)
HUB_LICENCES = ("apache-2.0", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "mit", "odbl", "odc-by")
SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"), (10**8, "10M<n<100M"))


def card_text(facts: Facts) -> str:
    """Markdown with a YAML head."""
    sections = (_glance, _motivation, _composition, _collection, _preprocessing, _uses, _distribution, _maintenance, _load, _reproduce, _licences)
    return f"---\n{yaml.safe_dump(card_head(facts), sort_keys=False, width=150)}---\n" + "\n".join(section(facts) for section in sections)


def card_head(facts: Facts) -> dict[str, Any]:
    """The YAML of the card.

    subtle: datasets takes one file format for all configs of a card, that of the first; so the pictures' tars can't be a config beside the Parquet files,
    and the card shows how they are loaded by name.
    """
    licence = data_licence(facts)
    known = licence.lower() in HUB_LICENCES
    configs: list[dict[str, Any]] = []
    if facts.splits:
        configs.append({"config_name": "labels", "default": True, "data_files": _per_split("data", facts.splits)})
    if rejected := facts.splits_of("rejected"):
        configs.append({"config_name": "rejected", "data_files": _per_split("rejected", rejected)})
    configs += [{"config_name": place, "data_files": f"{place}/*.parquet"} for place in ("attempts", "slots")]
    return {
        "pretty_name": "Synthetic faces by facemint",
        **({"license": licence.lower()} if known else {"license": "other", "license_name": licence}),
        "task_categories": ["image-classification", "image-feature-extraction"],
        "tags": ["synthetic", "faces", "facial-expression", "face-recognition", "webdataset", "croissant"],
        "size_categories": [_size(facts.counts["accepted"])],
        "annotations_creators": ["machine-generated"],
        "source_datasets": ["original"],
        "configs": configs,
        "extra_gated_prompt": GATED,
    }


def _per_split(place: str, splits: list[str]) -> list[dict[str, str]]:
    return [{"split": "validation" if split == "val" else split, "path": f"{place}/{split}-*.parquet"} for split in splits]


def _size(count: int) -> str:
    return next((name for limit, name in SIZES if count < limit), "100M<n<1B")


def _list(sentences: Any) -> str:
    return "".join(f"- {sentence}\n" for sentence in sentences)


def _glance(facts: Facts) -> str:
    counts = facts.counts
    sheet = "\n![Contact sheet: people down, expressions across](contact_sheet.png)\n" if facts.has_sheet else ""
    figures = [metric for metric in facts.summary.get("metrics") or [] if metric.get("value") is not None]
    rows = "".join(
        f"| {_cell(metric['label'])} ({metric['stage']}) | {metric['value']:.3f} {_cell(metric['unit'] or '')} | {metric['n'] or 0:,} |\n" for metric in figures
    )
    table = f"\n| figure | value | n |\n| --- | --- | --- |\n{rows}" if rows else ""
    return f"""# Synthetic faces with labels

{counts["accepted"]:,} accepted pictures of {counts["slots"]:,} asked for, {counts["rejected"]:,} rejected attempts, {counts["unfilled"]:,} slots unfilled.
Each picture was made by a diffusion model and judged by the checks that [report.html](report.html) states.
{sheet}{table}"""


def _cell(text: str) -> str:
    """Text that can't end a table cell, begin HTML, or be read as a link, a picture or emphasis."""
    words = " ".join(printable(text, size=300).replace("|", "/").replace("&", "&amp;").replace("<", "&lt;").split())
    return re.sub(r"([\\`*_\[\]])", r"\\\1", words)


def _motivation(_: Facts) -> str:
    return """## Motivation

Made for training and testing facial-expression and face recognition with exactly the number of pictures per person, expression and scene that was asked
for, and with every rejected attempt on record.
"""


def _composition(facts: Facts) -> str:
    classes = ", ".join(f"{number} {name.replace('_', ' ')}" for number, name in enumerate(LABELS))
    rows = "".join(f"| {names} | {meaning} |\n" for names, meaning in GROUPS)
    return f"""## Composition

A sample is a picture ({facts.extension}), its label (json, and a row of {len(LABEL_SCHEMA.names)} columns in Parquet) and its label map (seg.png).
Splits never share a person. {origin(facts)}

| columns | meaning |
| --- | --- |
{rows}
In the json of a tar a word without a class of a vocabulary has "" or 0; in Parquet it is null. `seg.png` holds classes as grey values: {classes}.
`rejected/` keeps what was rejected, `attempts/` every measurement of every attempt, `slots/` what became of each asked-for picture.

Not measured:

{_list(not_measured(facts))}"""


def _collection(_: Facts) -> str:
    return """## Collection process

Nothing was collected. A recipe was turned into slots; for each the core drew pictures with seeds that follow from the slot and
the attempt, until one passed the checks or the attempts were spent. No person was asked for an annotation.
"""


def _preprocessing(facts: Facts) -> str:
    rejecting = ", ".join(facts.config.qc.rejecting)
    return f"""## Preprocessing, cleaning, labelling

Checks that reject: {rejecting}. A rejected attempt is followed by another; nothing was repaired, cropped or imputed afterwards. Labels beginning with
`req_` are copied from the recipe, those beginning with `obs_`, `sim_`, `q_` and `n_` are measured by networks and by code; croissant.json
names which for each column.

{marking(facts)}
"""


def _uses(_: Facts) -> str:
    return f"""## Uses

Intended:

{_list(INTENDED)}
Out of scope:

{_list(OUT_OF_SCOPE)}
Limits and biases:

{_list((*LIMITS, *BIASES))}
Article 50 of the EU AI Act asks that people who are exposed to emotion recognition be told so. This is no legal advice.
"""


def _distribution(facts: Facts) -> str:
    published = f" Published {facts.release.published}." if facts.release.published else ""
    return f"""## Distribution

Licence of the data set: {data_licence(facts)}.{published} What it was made with has licences of its own, listed below and in licences.json.
"""


def _maintenance(facts: Facts) -> str:
    return f"""## Maintenance

{withdrawal(facts)} The set can be made again, extended or judged again with the same recipe and facemint {facts.record.versions["facemint"]}.
"""


def _load(facts: Facts) -> str:
    if not facts.splits:
        return "## Load\n\nNo attempt passed the checks, so there are no accepted pictures. attempts/ says what was measured.\n"
    first = next(name for name in facts.files if name.startswith("data/") and name.endswith(".tar"))
    split = "validation" if facts.splits[0] == "val" else facts.splits[0]
    others = "attempts, slots, rejected" if facts.splits_of("rejected") else "attempts, slots"
    return f"""## Load

From this folder:

```python
import os
from datasets import load_dataset
labels = load_dataset(os.getcwd(), "labels")    # {len(LABEL_SCHEMA.names)} columns, no pixels; also: {others}
pictures = load_dataset("webdataset", data_files={{"{split}": "data/{facts.splits[0]}-*.tar"}})    # {facts.extension}, json, seg.png of each sample
```

```python
import webdataset
samples = webdataset.WebDataset("{first}", shardshuffle=False).decode("rgb")
```

```python
import pandas
table = pandas.read_parquet("{first.removesuffix("tar")}parquet")
```

```python
import mlcroissant    # keeps what it unpacks by file name, not by content: give each data set its own CROISSANT_CACHE
records = mlcroissant.Dataset("croissant.json").records("labels")
```
"""


def _reproduce(facts: Facts) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(facts.record.versions.items()))
    return f"""## Reproduce

    facemint run config.yaml --out NEW_FOLDER

With these versions on the same kind of processor the pictures are equal byte by byte: {versions}. Configuration
{facts.record.config_hash[:16]}, {len(facts.record.weights)} weights; run.json has all hashes. `facemint verify` compares every file with its hash.
"""


def _licences(facts: Facts) -> str:
    rows = "".join(f"| {_cell(entry['component'])} | {entry['kind']} | {_cell(entry['licence'])} | {_cell(entry['source'])} |\n" for entry in facts.licences)
    return f"""## Components and their licences

| component | kind | licence | source |
| --- | --- | --- | --- |
{rows}"""
