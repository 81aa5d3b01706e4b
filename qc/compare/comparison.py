"""The verdict on two runs: differences of the contract's figures, flagged together, and what stands in the way of comparing them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from manifests.errors import ConfigError
from qc.compare.differences import Difference, Samples, difference, difference_of_metrics
from qc.compare.reading import changed_limits, changed_models, check_schema, contract_metrics, why_not_comparable
from qc.statistics.multiplicity import benjamini_hochberg
from qc.statistics.plain import plain

SCHEMA_VERSION = "1.0"
Q = 0.05  # share of false flags among all flags of a comparison
MARGINS = {"share": 0.01, "cosine": 0.01, "RMS of 35 units": 0.005, "deg": 0.5, "correlation": 0.05}  # unit -> worse by less than this is no regression
RELATIVE_MARGIN = 0.02  # of A's value, for other units

MAX_TILES = 48  # keys whose pictures are shown side by side

OK, REGRESSION, NOT_COMPARABLE = 0, 1, 2  # exit codes


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure of both runs."""

    id: str
    label: str
    unit: str
    direction: str | None  # higher or lower is better; None: a difference is neither
    margin: float
    difference: Difference
    status: str  # same; better, worse (within the margin); improvement, regression; differs (of no direction); not comparable; not measured
    why: str  # of not comparable

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**{name: plain(value) for name, value in vars(self).items() if name != "difference"}, **self.difference.to_json()}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs side by side."""

    a: str
    b: str
    rows: tuple[Row, ...]
    models: tuple[Mapping[str, str], ...]
    limits: tuple[Mapping[str, str], ...]
    counts: Mapping[str, tuple[Any, Any]]
    paired: str  # how the runs' pictures were paired, in words
    tiles: tuple[tuple[str, str, str], ...]  # key, data URIs of A's and B's picture

    @property
    def exit_code(self) -> int:
        """1 with a regression; else 2 when a changed model keeps a figure from being compared; else 0."""
        statuses = {row.status for row in self.rows}
        return REGRESSION if "regression" in statuses else NOT_COMPARABLE if "not comparable" in statuses else OK

    @property
    def verdict(self) -> str:
        """One sentence."""
        worse = [row.label for row in self.rows if row.status == "regression"]
        lost = [row.label for row in self.rows if row.status == "not comparable"]
        if worse:
            return f"B is worse than A in {', '.join(worse)}."
        if lost:
            return f"No regression was found, but {', '.join(lost)} can't be compared, because another model measured it."
        return "No significant regression: B is no worse than A in any figure of the contract by more than chance and its margin."

    def lines(self) -> list[str]:
        """The comparison for a terminal: what changed, each figure, the verdict."""
        told = [f"{row['role']} {row['name']}: was {row['a'][:12]}, now {row['b'][:12]}" for row in self.models]
        told += [f"limit of {row['check']}: was {row['a']}, now {row['b']}" for row in self.limits]
        for row in self.rows:
            its = row.difference
            spread = f" ({its.low:+.4g} to {its.high:+.4g})" if its.low is not None and its.high is not None else ""
            change = row.why or (f"{its.value:+.4g}{spread}" if its.value is not None else "–")
            a, b = ("–" if value is None else f"{value:.4g}" for value in (its.a, its.b))
            told.append(f"{row.status:15} {row.label}: {a} -> {b}, {change}")
        return [*told, self.verdict]

    def to_json(self) -> dict[str, Any]:
        """Plain values; equal comparisons give equal text."""
        return {
            "schema_version": SCHEMA_VERSION,
            "a": self.a,
            "b": self.b,
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "q": Q,
            "paired": self.paired,
            "models": [dict(row) for row in self.models],
            "limits": [dict(row) for row in self.limits],
            "counts": {name: list(pair) for name, pair in self.counts.items()},
            "metrics": [row.to_json() for row in self.rows],
        }


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure whose samples are at hand in both runs."""

    id: str
    label: str
    unit: str
    direction: str
    role: str | None
    a: Samples
    b: Samples


def compare(a: Mapping[str, Any], b: Mapping[str, Any], *, names: tuple[str, str] = ("A", "B"), figures: tuple[Figure, ...] = (),
            margins: Mapping[str, float] | None = None, paired: str = "") -> Comparison:  # fmt: skip
    """Compares two reports of schema 2.

    figures  with the samples of both runs, which are compared by identity; contract figures without are compared from the reports' intervals
    margins  metric id -> margin, instead of that of its unit
    """
    for report, name in ((a, names[0]), (b, names[1])):
        check_schema(report, name)
    models, limits = changed_models(a, b), changed_limits(a, b)
    before, after = contract_metrics(a), contract_metrics(b)
    sampled = {figure.id: figure for figure in figures}
    ids = [*before, *(name for name in after if name not in before), *(name for name in sampled if name not in before and name not in after)]
    unknown = set(margins or {}) - set(ids)
    if unknown:
        raise ConfigError(f'compare: --margin names "{min(unknown)}", which is no figure of these reports; there are {", ".join(ids)}.')
    drafts = [_row(name, before.get(name), after.get(name), sampled.get(name), models, margins or {}) for name in ids]
    flags = benjamini_hochberg(np.array([np.nan if row.status or row.difference.p is None else row.difference.p for row in drafts]), Q)
    rows = tuple(row if row.status else Row(**{**vars(row), "status": _status(row, significant=bool(flag))}) for row, flag in zip(drafts, flags, strict=True))
    counts = {name: (a["counts"].get(name), b["counts"].get(name)) for name in a.get("counts") or {} if name in (b.get("counts") or {})}
    pictures = [key for key in a.get("tiles") or {} if key in (b.get("tiles") or {})]
    return Comparison(
        a=names[0],
        b=names[1],
        rows=rows,
        models=tuple(models),
        limits=tuple(limits),
        counts=counts,
        paired=paired or "The reports alone were at hand: intervals are normal approximations, as if the runs were independent.",
        tiles=tuple((key, a["tiles"][key], b["tiles"][key]) for key in pictures[:MAX_TILES]),
    )



def _row(name: str, a: Mapping[str, Any] | None, b: Mapping[str, Any] | None, figure: Figure | None, models: list[dict[str, str]],
         margins: Mapping[str, float]) -> Row:  # fmt: skip
    known: Mapping[str, Any] = a or b or {}
    unit = figure.unit if figure else str(known.get("unit") or "")
    role = figure.role if figure else known.get("role")
    why = why_not_comparable(role, models)
    empty: dict[str, Any] = {"value": None, "ci": None, "n": 0}
    found = difference(figure.a, figure.b) if figure and not why else difference_of_metrics(a or empty, b or empty)
    if why:
        found = Difference(**{**vars(found), "value": None, "low": None, "high": None, "p": None, "method": "not compared"})
    status = "not comparable" if why else "not measured" if found.value is None else ""
    if not status and found.p is None and {"pass", "warn"} & {str((a or {}).get("status"))} and (b or {}).get("status") == "fail":
        status, why = "regression", "A keeps its declared limit and B doesn't; the figure is a count, without an interval"
    margin = margins.get(name, MARGINS.get(unit, RELATIVE_MARGIN * abs(found.a or 0.0)))
    label = str(known.get("label") or (figure.label if figure else name))
    return Row(id=name, label=label, unit=unit, direction=figure.direction if figure else known.get("direction"), margin=margin, difference=found,
               status=status, why=why)  # fmt: skip


def _status(row: Row, *, significant: bool) -> str:
    value = row.difference.value
    if not significant or not value:
        return "same"
    if row.direction is None:
        return "differs"
    better = (value > 0) == (row.direction == "higher")
    if abs(value) <= row.margin:
        return "better" if better else "worse"
    return "improvement" if better else "regression"
