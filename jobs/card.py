"""The card of a data set: README.md with the metadata that dataset hubs read, how to load it, and what it is not."""

from __future__ import annotations

from typing import Any

from jobs.config import RunConfig
from jobs.images import EXTENSIONS
from manifests.face_mask import LABELS
from manifests.records import LABEL_SCHEMA, RunRecord

GROUPS = (
    ("req_ and identity, cell, view, mode, split", "what was asked"),
    ("obs_, bbox, landmarks5", "what was measured on the picture; missing where it could not be measured"),
    ("sim_gate_ref, sim_audit_ref", "cosine to the asked person by the gate, and by the auditor, which has no say"),
    ("q_, n_", "quality: scalar 0 to 100, native value"),
    ("qc_", "verdict: accepted, first reason, all reasons"),
    ("attempt, seed, sampler, steps, guidance, model_bundle_id, manifest_sha256, generator_version", "where it came from"),
)


def card_text(config: RunConfig, record: RunRecord, summary: dict[str, Any], *, has_sheet: bool) -> str:
    """Markdown with a YAML head."""
    counts = summary["counts"]
    size = "n<1K" if counts["accepted"] < 1000 else "1K<n<10K" if counts["accepted"] < 10_000 else "10K<n<100K" if counts["accepted"] < 100_000 else "100K<n<1M"
    source = "photographs of the folder that the recipe names" if config.identities.path else "an identity prior; none of them exists"
    splits = sorted({name for name in ("train", "val", "test") if getattr(config.split, name) > 0})
    data_files = "".join(f"  - split: {'validation' if name == 'val' else name}\n    path: data/{name}-*.parquet\n" for name in splits)
    rows = "".join(f"| {names} | {meaning} |\n" for names, meaning in GROUPS)
    figures = "".join(
        f"| {metric['label']} ({metric['stage']}) | {metric['value']:.3f} {metric['unit']} | {metric['n']:,} |\n"
        for metric in summary["metrics"]
        if metric["value"] is not None
    )
    sheet = "![Contact sheet: people down, expressions across](contact_sheet.png)\n\n" if has_sheet else ""
    classes = ", ".join(f"{number} {name.replace('_', ' ')}" for number, name in enumerate(LABELS))
    extension = EXTENSIONS[config.image.format]
    return f"""---
pretty_name: Synthetic faces by facemint
task_categories: [image-classification]
tags: [synthetic, faces, facial-expression]
annotations_creators: [machine-generated]
size_categories: ["{size}"]
configs:
- config_name: labels
  data_files:
{data_files}---
# Synthetic faces with labels

{counts["accepted"]:,} accepted pictures of {counts["requested"]:,} asked for, {counts["rejected"]:,} rejected attempts, {counts["unfilled"]:,} slots unfilled.
People come from {source}. Every picture was made by a diffusion model and judged by the checks that [report.html](report.html) states.

{sheet}## Load

```python
from datasets import load_dataset
pictures = load_dataset("webdataset", data_files="data/*.tar")    # {extension}, json, seg.png of each sample
labels = load_dataset("parquet", data_files="data/*.parquet")     # {len(LABEL_SCHEMA.names)} columns, no pixels
```

`data/NAME.json` is the marker of a shard: sizes, sha256, counts, and the slots that no attempt filled, with their reasons. `rejected/` keeps what was
rejected and `attempts/` every measurement of every attempt, so that other limits can be tried without making pictures again.
In the json of a tar a word without a class of a vocabulary has "" or 0; in Parquet it is null.
`seg.png` holds the classes of the pixels as grey values: {classes}.

## Columns

| columns | meaning |
| --- | --- |
{rows}
## Figures

| figure | value | n |
| --- | --- | --- |
{figures}
## What this is not

Labels say what was asked for and what networks measured, not what people see; no person has rated the pictures. The bundled networks were trained on
rendered faces only: on photographs their figures are less certain than on rendered ones. Expressions are posed faces, not feelings. Not for deciding
about people, and not for recognising emotions of workers, pupils or anyone who did not agree.

## Made from

Configuration {record.config_hash[:16]}, {len(record.weights)} weights, facemint {record.versions["facemint"]}; run.json has all hashes and versions.
"""
