"""Counters, gauges and histograms, and their text in Prometheus' exposition format 0.0.4."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_LABEL_SETS = 200  # of a family; more would cost the server that collects them
OTHER = "other"  # label value of those beyond


@dataclass(kw_only=True)
class Family:
    """A counter or a gauge with any labels."""

    name: str
    kind: Literal["counter", "gauge"]
    text: str  # what it is, with its unit
    labels: tuple[str, ...] = ()
    values: dict[tuple[str, ...], float] = field(default_factory=dict)

    def add(self, *labels: str, amount: float = 1) -> None:
        """Adds to the value with these labels."""
        key = self._key(labels)
        self.values[key] = self.values.get(key, 0) + amount

    def set(self, value: float, *labels: str) -> None:
        """Replaces the value with these labels."""
        self.values[self._key(labels)] = value

    def lines(self) -> list[str]:
        """The family as text; without values, nothing."""
        if not self.values:
            return []
        return [*_head(self.name, self.kind, self.text), *(f"{self.name}{_labels(self.labels, key)} {_number(value)}" for key, value in self.values.items())]

    def _key(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        assert len(labels) == len(self.labels)
        return labels if labels in self.values or len(self.values) < MAX_LABEL_SETS else (OTHER,) * len(labels)


@dataclass(kw_only=True)
class Histogram:
    """How often a quantity was in each of some ranges."""

    name: str
    text: str  # what it is, with its unit
    bounds: Sequence[float]  # upper ends of the ranges, included, rising; one more reaches to infinity
    total: float = 0.0
    counts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Counts one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self) -> list[str]:
        """The histogram as text: counts up to each bound, their sum and number."""
        lines, below = _head(self.name, "histogram", self.text), 0
        for bound, count in zip((*self.bounds, math.inf), self.counts, strict=True):
            below += count
            lines.append(f"{self.name}_bucket{_labels(('le',), (_number(bound),))} {below}")
        return [*lines, f"{self.name}_sum {_number(self.total)}", f"{self.name}_count {below}"]


def exposition(families: Iterable[Family | Histogram]) -> str:
    """All families as one text."""
    return "".join(line + "\n" for family in families for line in family.lines())


def _head(name: str, kind: str, text: str) -> list[str]:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
    return [f"# HELP {name} {escaped}", f"# TYPE {name} {kind}"]


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for value in values)
    pairs = ",".join(f'{name}="{value}"' for name, value in zip(names, escaped, strict=True))
    return f"{{{pairs}}}" if pairs else ""


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))
