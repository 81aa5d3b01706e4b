"""A report in the form of qc_report.json 2.0 without a run: every section filled with drawn numbers, of any size, and with any section taken out."""

from __future__ import annotations

import base64
import io
import math
from typing import Any

import numpy as np
from PIL import Image

from manifests.vocabulary import AFFECTNET8

SECTIONS = ("waterfall", "coverage", "balance", "identity", "leakage", "duplicates", "expression", "pose", "iso", "distribution", "shortcuts", "samples")


def metric(name: str, label: str, value: float | None, **more: Any) -> dict[str, Any]:
    spread = None if value is None else {"lo": round(value * 0.95, 5), "hi": round(value * 1.04, 5), "level": 0.95, "method": "identity bootstrap"}
    status = "not_measured" if value is None else "info"
    base = {
        "id": name,
        "label": label,
        "value": value,
        "ci": spread,
        "n": 0 if value is None else 480,
        "n_clusters": 12,
        "unit": "share",
        "direction": "higher",
    }
    return {**base, "role": "auditor", "stage": "accepted", "status": status, "threshold": None, "source": None, **more}


def rate_row(key: str, accepted: int, attempts: int, *, flagged: bool = False) -> dict[str, Any]:
    rate = accepted / attempts
    spread = 1.96 * math.sqrt(max(rate * (1 - rate), 0.002) / attempts)
    ci = {"lo": max(0.0, rate - spread), "hi": min(1.0, rate + spread), "level": 0.95, "method": "Wilson"}
    counts = {"requested": accepted + 2, "filled": accepted, "unfilled": 1, "quarantined": 1, "attempts": attempts, "accepted": accepted}
    return {"key": key, **counts, "rate": rate, "ci": ci, "flagged": flagged}


def histogram(draw: np.random.Generator, centre: float, width: float, count: int, bins: int = 24) -> dict[str, Any]:
    values = draw.normal(centre, width, count)
    counts, edges = np.histogram(values, bins)
    return {"edges": [round(float(edge), 4) for edge in edges], "counts": counts.tolist(), "median": round(float(np.median(values)), 4)}


def tile(draw: np.random.Generator) -> str:
    """A 96 px picture of about 2 kB, as big as a real face."""
    coarse = draw.integers(60, 200, (24, 24, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC).save(stream, "WEBP", quality=70)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def synthetic_report(*, people: int = 8, words: int = 8, images: int = 480, tiles: int = 60, without: tuple[str, ...] = (), seed: int = 0) -> dict[str, Any]:
    """A complete report; sections named in `without` are null, as in a run that could not measure them."""
    draw = np.random.default_rng(seed)
    attempts = round(images * 1.4)
    names = [f"p{index:04d}" for index in range(people)]
    asked = [AFFECTNET8[index] if index < 8 else f"word {index}" for index in range(words)]
    keys = [f"{index:012d}" for index in range(tiles)]
    report: dict[str, Any] = {
        "schema_version": "2.0",
        "title": f"{people:,} people, {words:,} expressions",
        "created": "facemint 0.1.0",
        "verdict": "Usable with care: one declared line fails (pose) and leakage could not be judged.",
        "run": {"command": "facemint run demo.yaml --out runs/demo", "config_sha256": "c" * 64, "manifest_sha256": "d" * 64, "bundle_id": "bundled-1",
                "version": "0.1.0", "seed": 7, "seconds": None, "attempts_per_accepted": 1.4},
        "counts": {"requested": images + 3, "attempts": attempts, "accepted": images, "rejected": attempts - images, "unfilled": 2, "quarantined": 1},
        "contract": contract(),
        "waterfall": waterfall(attempts, images),
        "reasons": reasons(attempts - images),
        "coverage": coverage(draw, names, asked),
        "balance": balance(draw, images),
        "identity": identity(draw, names, asked, keys, min(300, images // 2)),
        "leakage": leakage(keys),
        "duplicates": duplicates(keys),
        "expression": expression(draw, asked, keys, images),
        "pose": pose(draw, min(200, images // 3)),
        "iso": iso(draw, images),
        "distribution": {"n": images, "n_reference": 400, "feature": "gate_v1", "reference": "the scenes of the bundle",
                         "metrics": [metric("fd", "Fréchet distance", 0.21, unit="squared cosine units"), metric("vendi",
                         "Vendi score", 31.0, unit="pictures")],
                         "sample_size_curve": [{"n": n, "fd": 0.2 + 8 / n} for n in (40, 80, 160, 320, 480)]},
        "shortcuts": [{"target": "expression", "features": "background", "accuracy": 0.14, "chance": 0.125, "ci": {"lo": 0.11, "hi": 0.17},
        "p_value": 0.3, "status": "pass"},
                      {"target": "identity", "features": "file size", "accuracy": 0.3, "chance": 0.125, "ci": {"lo": 0.27, "hi": 0.33},
                       "p_value": 0.0002, "status": "fail"}],
        "samples": samples(draw, names, asked, keys),
        "contact_sheet": {"rows": names[:8], "columns": asked[:8], "keys": [[keys[(8 * j + i) % tiles] if (i + j) % 9 else None for i in range(min(8, words))]
                                                                           for j in range(min(8, people))]},
        "metrics": [metric("acceptance", "Accepted attempts", 0.714, stage="unfiltered"), metric("leak", "Leakage", None)],
        "thresholds": [{"check": "identity", "limit": 0.41, "unit": "cosine", "rejects": True, "source": "calibrated at FMR 1e-3 on 2,000 people",
                        "achieved": {"fmr": 0.0009, "lo": 0.0006, "hi": 0.0014, "n": 41_000}},
                       {"check": "sharpness", "limit": "0.4 to 2", "unit": "ratio", "rejects": False,
                        "source": "chosen by eye on the bundled scenes", "achieved": None}],
        "calibration": {"threshold": 0.41, "target_fmr": 0.001, "num_identities": 2000, "source": "held-out people"},
        "models": [{"name": "auditor", "role": "auditor", "sha256": "b" * 64, "licence": "Apache-2.0", "source": "trained for facemint"}],
        "licences": [{"component": "auditor", "licence": "Apache-2.0", "source": "trained for facemint"}],
        "versions": {"numpy": "2.1", "torch": "2.13"},
        "provenance": {"marking": ["XMP: digital source type in every picture"], "digital_source_type": "trainedAlgorithmicMedia",
        "sentence": "Every picture says that it is synthetic."},
        "not_measured": ["Demographic differences: the bundled people carry no such labels."],
        "limits": {"intended": ["Testing of recognition and expression pipelines."], "prohibited": ["Impersonation."],
        "known": ["Heads turn at most 30 degrees."]},
        "tiles": {key: tile(draw) for key in keys},
    }  # fmt: skip
    return {**report, **dict.fromkeys(without)}


def contract() -> list[dict[str, Any]]:
    lines = []
    for name, label, status, value, limit, unit, direction in (
        ("filled", "Slots filled", "pass", 0.994, 0.98, "share", "higher"),
        ("acceptance", "Accepted attempts", "warn", 0.714, 0.75, "share", "higher"),
        ("audit_eer", "Equal error rate, auditor", "pass", 0.021, 0.05, "share", "lower"),
        ("pose_error", "Mean pose error", "fail", 9.4, 6.0, "deg", "lower"),
        ("expression_agreement", "Most probable class is the asked one", "pass", 0.82, 0.7, "share", "higher"),
        ("duplicates", "Duplicate pictures", "pass", 0, 0, "pictures", "lower"),
        ("leakage", "Pictures above the leakage threshold", "not_measured", None, None, "pictures", "lower"),
        ("rho", "Correlation of gate and auditor", "info", 0.61, None, "correlation", None),
    ):
        ci = (
            None
            if value in (None, 0)
            else {"lo": value * 0.95, "hi": min(value * 1.04, 1.0) if unit == "share" else value * 1.04, "level": 0.95, "method": "bootstrap"}
        )
        row = {"id": name, "label": label, "status": status, "value": value, "ci": ci, "limit": limit, "unit": unit, "direction": direction}
        lines.append({**row, "sentence": "No gallery was given." if value is None else None})
    return lines


def waterfall(attempts: int, accepted: int) -> list[dict[str, Any]]:
    lost = attempts - accepted
    parts = [
        ("no_face", "no face", lost // 10),
        ("identity", "other person", lost // 2),
        ("expression", "other expression", lost // 4),
        ("pose", "other pose", lost // 10),
    ]
    parts.append(("sharpness", "not sharp", lost - sum(count for *_, count in parts)))
    rows, left = [{"id": "attempts", "label": "attempts", "kind": "start", "count": attempts, "left": attempts}], attempts
    for name, label, count in parts:
        left -= count
        rows.append({"id": name, "label": label, "kind": "lost", "count": count, "left": left})
    return [*rows, {"id": "accepted", "label": "accepted", "kind": "kept", "count": left, "left": left}]


def reasons(lost: int) -> dict[str, Any]:
    listed = [("identity", "other person"), ("expression", "other expression"), ("pose", "other pose")]
    rows = [{"id": name, "label": label, "first": lost // (k + 2), "any": lost // (k + 1), "only": lost // (k + 4)} for k, (name, label) in enumerate(listed)]
    combos = [(["identity"], lost // 3), (["expression"], lost // 5), (["identity", "expression"], lost // 6), (["identity", "expression", "pose"], lost // 20)]
    return {"rows": rows, "combinations": [{"reasons": names, "count": count} for names, count in combos]}


def coverage(draw: np.random.Generator, names: list[str], asked: list[str]) -> dict[str, Any]:
    rows, columns = names[:40], asked[:40]
    rate = np.clip(draw.beta(8, 3, (len(rows), len(columns))), 0, 1).round(3)
    tried: list[list[float | None]] = rate.tolist()
    tried[-1][-1] = None
    wanted = 4
    by_word = [rate_row(word, 20 + index % 9, 40, flagged=index == 2) for index, word in enumerate(asked)]
    return {
        "rows": rows, "columns": columns, "hidden_rows": len(names) - len(rows), "hidden_columns": len(asked) - len(columns),
        "requested": [[wanted] * len(columns) for _ in rows], "filled": np.round(rate * wanted).astype(int).tolist(),
        "attempts": [[7] * len(columns) for _ in rows], "rate": tried, "flagged": (rate < 0.42).tolist(),
        "by_expression": by_word, "by_identity": [rate_row(name, 22 + index % 11, 40) for index, name in enumerate(names)],
        "by_scene": [rate_row(f"scene {index}", 25, 40) for index in range(5)], "by_group": None, "by_pose_bin": [],
        "by_split": [rate_row("train", 90, 120), rate_row("test", 20, 31)],
        "empty_cells": [{"identity_id": names[-1], "expression": asked[-1]}], "num_empty": 1,
    }  # fmt: skip


def balance(draw: np.random.Generator, images: int) -> dict[str, Any]:
    before = draw.integers(images // 10, images // 5, 8).tolist()
    after = [round(count * share) for count, share in zip(before, draw.uniform(0.5, 0.9, 8), strict=True)]
    label = {"name": "expression", "classes": list(AFFECTNET8), "counts_before": before, "counts_after": after, "entropy_ratio": 0.97, "min_max_ratio": 0.41}
    group = {**label, "name": "age group", "classes": ["under 30", "30 to 50", "over 50"], "counts_before": before[:3], "counts_after": after[:3]}
    strata = [
        {"stratum": name, "kept": a, "tried": b, "rate": a / b, "ci": {"lo": a / b - 0.05, "hi": a / b + 0.05}}
        for name, a, b in zip(AFFECTNET8, after, before, strict=True)
    ]
    return {"labels": [label], "groups": [group], "retention": strata, "effective_sample_size": images * 0.83}


def identity(draw: np.random.Generator, names: list[str], asked: list[str], keys: list[str], count: int) -> dict[str, Any]:
    def side(shift: float) -> dict[str, Any]:
        edges = np.linspace(-0.4, 1.0, 49)
        mated, _ = np.histogram(draw.normal(0.6 + shift, 0.12, 4000), edges)
        nonmated, _ = np.histogram(draw.normal(0.05, 0.11, 40_000), edges)
        fmr = np.geomspace(1e-4, 0.4, 60)
        fnmr = np.clip(0.02 / (fmr**0.33 * 4), 1e-4, 0.9)
        shown = {"edges": edges.round(4).tolist(), "mated": (mated / mated.sum()).tolist(), "nonmated": (nonmated / nonmated.sum()).tolist()}
        points = [{"target_fmr": 1e-3, "threshold": 0.41, "fmr": 0.0009, "fnmr": 0.04, "ci": {"lo": 0.03, "hi": 0.05}, "estimable": True,
         "num_nonmated": 40_000},
                  {"target_fmr": 1e-6, "threshold": None, "fmr": None, "fnmr": None, "ci": None, "estimable": False, "num_nonmated": 40_000}]  # fmt: skip
        det = {"fmr": fmr.tolist(), "fnmr": fnmr.tolist(), "lo": (fnmr * 0.8).tolist(), "hi": np.clip(fnmr * 1.25, 0, 1).tolist()}
        counts = {"num_mated": 4000, "num_nonmated": 40_000, "num_identities": len(names)}
        return {"histogram": {**shown, **counts}, "threshold": 0.41, "det": det, "table": points,
         "eer": metric("eer", f"Equal error rate {shift:+.2f}", 0.021),
                "d_prime": 3.1}  # fmt: skip

    gate = draw.uniform(0.2, 0.8, count)
    audit = 0.6 * gate + draw.normal(0.1, 0.08, count)
    auditor = side(0.0)
    pairs = [
        {"a": names[0], "b": names[1], "cosine": 0.47, "tile_a": keys[0], "tile_b": keys[1]},
        {"a": names[1], "b": names[-1], "cosine": 0.44, "tile_a": keys[1], "tile_b": None},
    ]
    return {
        "gate": side(0.05), "auditor": auditor, "auditor_unfiltered": {key: value for key, value in side(-0.1).items() if key != "det"},
        "scatter": [[round(float(g), 3), round(float(a), 3), int(g > 0.41)] for g, a in zip(gate, audit, strict=True)],
        "rho": {"unfiltered": metric("rho_u", "Correlation", 0.61, unit="correlation", stage="unfiltered"), "accepted": metric("rho_a",
        "Correlation", 0.4, unit="correlation")},
        "gain": {"gate_sd": 0.81, "audit_sd": 0.47}, "sensitivity": [{"threshold": t, "acceptance": 1.1 - t, "audit_mean": 0.3 + 0.4 * t}
        for t in (0.31, 0.36, 0.41, 0.46, 0.51)],
        "by_expression": [{"expression": word, "mean": 0.6 - 0.01 * (k % 9), "ci": {"lo": 0.57 - 0.01 * (k % 9), "hi": 0.63 - 0.01 * (k % 9)},
        "n": 60, "drop_vs_neutral": 0.01 * (k % 9)}
                          for k, word in enumerate(asked)],
        "consistency": [{"identity_id": name, "n": 60, "mean_mated": 0.61, "share_consistent": 0.97, "diversity": 0.3, "outliers": 1,
        "too_easy": False} for name in names[:40]],
        "uniqueness": {"num_identities": len(names), "threshold": 0.41, "target_fmr": 0.001, "observed": 2, "expected": 0.03, "pairs": pairs},
    }  # fmt: skip


def leakage(keys: list[str]) -> dict[str, Any]:
    edges = np.linspace(-0.1, 0.7, 33)
    centres = (edges[1:] + edges[:-1]) / 2
    synthetic, reference = np.exp(-((centres - 0.28) ** 2) / 0.006), np.exp(-((centres - 0.27) ** 2) / 0.006)
    return {
        "gallery": {"people": 1800, "source": "the bundle", "held_out": 200}, "role": "auditor", "threshold": 0.52,
        "target_fmr": 1e-3, "estimable": True,
        "above": {"count": 1, "n": 480, "expected": 0.5}, "auth_pct": 0.71, "hash_matches": [],
        "distribution": {"edges": edges.round(3).tolist(), "synthetic": (synthetic / synthetic.sum()).tolist(),
        "reference": (reference / reference.sum()).tolist()},
        "pairs": [{"sample_key": keys[2], "gallery_id": "t0042", "cosine": 0.53, "tile": keys[2]}, {"sample_key": keys[3], "gallery_id": "t0007",
        "cosine": 0.49, "tile": keys[3]}],
    }  # fmt: skip


def duplicates(keys: list[str]) -> dict[str, Any]:
    near = {"clusters": 2, "pictures": 5, "feature": "gate_v1", "limit": 0.98}
    pairs = [{"a": keys[4], "b": keys[5], "kind": "embedding", "distance": 0.013, "unit": "1 - cosine", "tile_a": keys[4], "tile_b": keys[5]}]
    return {
        "exact": {"clusters": 0, "pictures": 0},
        "perceptual": {"clusters": 1, "pictures": 2, "limit": 4},
        "embedding": near,
        "across_splits": {"pairs": 0},
        "pairs": pairs,
    }


def expression(draw: np.random.Generator, asked: list[str], keys: list[str], images: int) -> dict[str, Any]:
    per_class = max(images // 8, 1)
    matrix = [[per_class * 3 // 4 if i == j else per_class // 28 for i in range(8)] for j in range(8)]
    angles = np.linspace(0, 2 * np.pi, len(asked), endpoint=False)
    places = [[round(0.75 * float(np.cos(a)), 3), round(0.75 * float(np.sin(a)), 3)] for a in angles]
    points = [
        {"word": word, "asked": place, "observed": [round(0.7 * place[0] + 0.05, 3), round(0.7 * place[1], 3)], "n": 60 - k % 30}
        for k, (word, place) in enumerate(zip(asked, places, strict=True))
    ]
    bins = [{"lo": k / 10, "hi": (k + 1) / 10, "confidence": k / 10 + 0.05, "accuracy": min(1.0, k / 11), "n": 10 * k} for k in range(10)]
    return {
        "classes": list(AFFECTNET8), "columns": list(AFFECTNET8), "matrix": matrix, "reliability": bins,
        "metrics": [metric("macro_f1", "Macro F1", 0.77), metric("ece", "Expected calibration error", 0.06, direction="lower")],
        "va": {"points": points, "metrics": [metric("ccc_v", "Concordance, valence", 0.81, unit="correlation")]},
        "words": [{"word": word, "class": AFFECTNET8[k % 8], "n": 60, "error": 0.1 + 0.001 * k, "agreement": 0.8,
        "acceptance": 0.5 + 0.003 * (k % 100)} for k, word in enumerate(asked)],
        "suspicious": [{"key": keys[6], "asked": "happy", "seen": "sad", "probability": 0.94, "tile": keys[6]}],
    }  # fmt: skip


def pose(draw: np.random.Generator, count: int) -> dict[str, Any]:
    asked = draw.uniform(-28, 28, (count, 2))
    seen = asked * 0.9 + draw.normal(0, 3, (count, 2))
    points = [[round(float(value), 2) for value in (*a, *s)] for a, s in zip(asked, seen, strict=True)]
    bins = [{"bin": name, "n": 60, "error": 4.0 + k, "ci": {"lo": 3.4 + k, "hi": 4.6 + k}} for k, name in enumerate(("frontal", "half left", "half right"))]
    return {"points": points, "error": {**histogram(draw, 6, 1.6, 480), "unit": "deg", "limit": 12.0}, "bins": bins}


def iso(draw: np.random.Generator, images: int) -> list[dict[str, Any]]:
    rows = []
    for name, centre, width, limit, role, unit in (
        ("sharpness", 0.9, 0.12, 0.4, "defect", "ratio"), ("over_exposure", 0.02, 0.006, 0.2, "defect",
         "share of pixels"), ("head_yaw", 2.0, 9.0, None, "request", "deg"),
        ("inter_eye_distance", 58.0, 3.0, None, "report", "px"), ("natural_colour", 12.0, 2.0, None, "report",
         "ΔE"), ("background_uniformity", 34.0, 8.0, None, "report", "grey levels"),
    ):  # fmt: skip
        scalar = histogram(draw, 78, 5, min(images, 5000), 20)
        rows.append(
            {
                "component": name,
                "native": histogram(draw, centre, width, min(images, 5000)),
                "scalar": scalar,
                "unit": unit,
                "limit": limit,
                "role": role,
                "source": "ISO/IEC 29794-5, 7.3",
            }
        )
    return rows


def samples(draw: np.random.Generator, names: list[str], asked: list[str], keys: list[str]) -> dict[str, Any]:
    def rows(start: int, count: int, *, rejected: bool = False) -> list[dict[str, Any]]:
        found = []
        for k in range(count):
            base = {
                "key": keys[(start + k) % len(keys)],
                "identity_id": names[k % len(names)],
                "expression": asked[k % len(asked)],
                "reasons": ["other person"] if rejected else [],
            }
            scores = {"sim_gate_ref": 0.4 + 0.01 * k, "sim_audit_ref": 0.3 + 0.01 * k, "expression_error": 0.12, "pose_error": 4.2}
            found.append({**base, **scores})
        return found

    near = {"identity": rows(36, 6), "pose": rows(42, 6, rejected=True)}
    return {"random": rows(8, 12), "worst_accepted": rows(20, 8), "best_rejected": rows(28, 8, rejected=True), "borderline": near}
