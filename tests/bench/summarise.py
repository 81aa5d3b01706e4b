"""Seconds and peak memory of the dataset analyses on a million label rows: python -m tests.bench.summarise [rows].

Makes tables of slots, attempts and labels with stored scores (20,000 people, 136 words, 72 scenes), then runs coverage, balance, expression agreement,
gate against audit, verification on sampled pairs, and duplicates by hash. Making the tables is not part of the time; the peak includes it.
"""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from manifests.vocabulary import AFFECTNET8
from qc.dataset.balance import label_balance, retention
from qc.dataset.coverage import coverage, pose_bins, slot_statuses
from qc.dataset.duplicates import exact_duplicates, perceptual_duplicates
from qc.dataset.expression_agreement import expression_agreement, scale_agreement
from qc.dataset.label_faults import label_faults
from qc.statistics import ScoreSet, correlation, verification

PEOPLE, WORDS, SCENES = 20_000, 136, 72


def tables(rows: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Slots, and 1.4 attempts a slot with what was measured."""
    generator = np.random.default_rng(0)
    people = np.arange(rows) % min(PEOPLE, max(rows // 50, 2))
    slots = pd.DataFrame(
        {
            "slot": np.arange(rows),
            "identity_id": pd.Categorical.from_codes(people, [f"i{k:05d}" for k in range(people.max() + 1)]),
            "expression": pd.Categorical.from_codes(generator.integers(0, WORDS, rows), [f"word{k}" for k in range(WORDS)]),
            "scene_id": pd.Categorical.from_codes(generator.integers(0, SCENES, rows), [f"scene{k}" for k in range(SCENES)]),
            "split": pd.Categorical.from_codes((people % 10 == 0).astype(int), ["train", "test"]),
            "pose_bin": pose_bins(generator.normal(0, 25, rows)),
        }
    )
    total = int(rows * 1.4)
    slot = np.concatenate([np.arange(rows), generator.integers(0, rows, total - rows)])
    last = np.zeros(total, bool)
    last[np.unique(slot[::-1], return_index=True)[1]] = True
    accepted = last[::-1] & (generator.random(total) < 0.97)
    effect = generator.normal(0, 0.05, people.max() + 1)[people[slot]]
    gate = 0.55 + effect + generator.normal(0, 0.08, total)
    attempts = pd.DataFrame({"slot": slot, "accepted": accepted, "sim_gate_ref": gate, "sim_audit_ref": 0.6 * gate + generator.normal(0, 0.06, total)})
    quarantined = generator.choice(rows, rows // 1000, replace=False)
    slots["status"] = pd.Categorical(slot_statuses(slots["slot"].to_numpy(), slot[accepted], quarantined))
    return slots, attempts


def main() -> None:
    """Runs every analysis once and prints a line each."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    generator = np.random.default_rng(1)
    slots, attempts = tables(rows)
    accepted, slot = attempts["accepted"].to_numpy(), attempts["slot"].to_numpy()
    people = slots["identity_id"].cat.codes.to_numpy()
    kept = np.unique(slot[accepted])
    words = slots["expression"].cat.codes.to_numpy()[kept]
    asked = words % 8
    logits = generator.gumbel(size=(len(kept), 8)).astype(np.float32)
    logits[np.arange(len(kept)), asked] += 3
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    valence = np.linspace(-1, 1, WORDS)[words]
    seen = valence * 0.7 + generator.normal(0, 0.2, len(kept))
    hashes = generator.integers(0, 1 << 63, len(kept), dtype=np.uint64)
    copies = generator.choice(len(kept), (2, len(kept) // 1000), replace=False)
    hashes[copies[0]] = hashes[copies[1]] ^ np.uint64(5)
    digests = [f"{number:064x}" for number in range(len(kept))]
    mated, mated_person = attempts["sim_audit_ref"].to_numpy(), people[slot]
    pairs = generator.integers(0, people.max() + 1, (rows, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    scores = ScoreSet(
        mated=mated,
        mated_identity=mated_person.astype(np.int64),
        nonmated=generator.normal(0, 0.1, len(pairs)),
        nonmated_identities=pairs,
        num_identities=int(people.max()) + 1,
    )
    splits = np.asarray(slots["split"].astype(str))[kept]
    sample = generator.choice(len(attempts), min(100_000, len(attempts)), replace=False)
    gate, audit = attempts["sim_gate_ref"].to_numpy(), attempts["sim_audit_ref"].to_numpy()
    made = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    axes = ("expression", "identity_id", "scene_id", "split", "pose_bin")
    word_of = slots["expression"].to_numpy()
    analyses: dict[str, Callable[[], Any]] = {
        "coverage (5 axes, people x words)": lambda: coverage(slots, attempts, axes=axes, seed=0).accounting,
        "balance of words": lambda: label_balance("expression", word_of[slot], word_of[kept]).entropy_ratio_after,
        "retention by word": lambda: retention("expression", word_of[slot], accepted, people[slot], seed=0).max_to_geomean,
        "expression agreement": lambda: expression_agreement(asked, probabilities, people[kept], classes=AFFECTNET8, seed=0).agreement.share,  # type: ignore[union-attr]
        "valence": lambda: scale_agreement("valence", valence, seen, people[kept], seed=0).ccc,
        "label faults": lambda: label_faults(asked, probabilities, people[kept], classes=AFFECTNET8).num_suspects,
        "verification, sampled pairs": lambda: verification(scores, seed=0).eer,  # type: ignore[union-attr]
        "gate and audit, 100,000 attempts": lambda: correlation(gate[sample], audit[sample], mated_person[sample], seed=0, replicates=200).pearson,
        "exact duplicates": lambda: exact_duplicates(digests, kind="pixels", splits=splits).num_clusters,
        "perceptual duplicates": lambda: perceptual_duplicates(hashes, splits=splits).num_clusters,
    }
    versions = f"numpy {np.__version__}, pandas {pd.__version__}, Python {platform.python_version()}"
    print(f"{rows:,} slots, {len(attempts):,} attempts, {len(kept):,} pictures; {os.cpu_count()} cores, {platform.machine()}; {versions}")  # noqa: T201
    whole = time.perf_counter()
    for name, analysis in analyses.items():
        start = time.perf_counter()
        result = analysis()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"{name:36s} {time.perf_counter() - start:7.1f} s   peak {peak:5.2f} GB   {str(result)[:90]}")  # noqa: T201
    print(f"{'all':36s} {time.perf_counter() - whole:7.1f} s   (tables alone peaked at {made:.2f} GB)")  # noqa: T201


if __name__ == "__main__":
    main()
