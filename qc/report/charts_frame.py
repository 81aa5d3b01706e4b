"""The plot area of a chart: scales, grid lines, tick numbers and axis names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qc.report.svg import label, line, rect, ticks

HALF = 380.0  # width of charts that stand two in a row


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Where the numbers of a chart are drawn; the origin of SVG is the upper left corner."""

    width: float
    height: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    left: float = 52.0
    right: float = 14.0
    top: float = 16.0
    bottom: float = 46.0

    def x(self, value: float) -> float:
        """Place of a value across, kept inside the plot."""
        low, high = self.x_range
        share = (min(max(value, low), high) - low) / max(high - low, 1e-12)
        return self.left + (self.width - self.left - self.right) * share

    def y(self, value: float) -> float:
        """Place of a value up, kept inside the plot."""
        low, high = self.y_range
        share = (min(max(value, low), high) - low) / max(high - low, 1e-12)
        return self.height - self.bottom - (self.height - self.bottom - self.top) * share

    @property
    def floor(self) -> float:
        """Place of the lower axis."""
        return self.height - self.bottom

    @property
    def end(self) -> float:
        """Place of the right edge of the plot."""
        return self.width - self.right

    def axes(
        self,
        x_name: str,
        y_name: str,
        *,
        x_ticks: Sequence[float] | None = None,
        y_ticks: Sequence[float] | None = None,
        x_text: Callable[[float], str] = "{:g}".format,
        y_text: Callable[[float], str] = "{:g}".format,
    ) -> list[str]:
        """Grid, numbers and names of both axes; without y_name the upward axis has none (shares whose height is compared, not read)."""
        parts = []
        for value in x_ticks if x_ticks is not None else ticks(*self.x_range, 5):
            parts += [line(self.x(value), self.top, self.x(value), self.floor, "grid")]
            parts.append(label(self.x(value), self.floor + 17, x_text(value), "t small muted", "middle"))
        if y_name:
            for value in y_ticks if y_ticks is not None else ticks(*self.y_range, 5):
                parts.append(line(self.left, self.y(value), self.end, self.y(value), "grid"))
                parts.append(label(self.left - 7, self.y(value) + 4, y_text(value), "t small muted", "end"))
            middle = (self.top + self.floor) / 2
            parts.append(label(12, middle, y_name, "t small muted", "middle", transform=f"rotate(-90 12 {middle:.0f})"))
        parts.append(line(self.left, self.floor, self.end, self.floor, "axis"))
        parts.append(label((self.left + self.end) / 2, self.height - 7, x_name, "t small muted", "middle"))
        return parts

    def limit(self, value: float | None, text: str) -> list[str]:
        """A dashed upright line with its words, on the side that has room; nothing outside the range."""
        if value is None or not self.x_range[0] <= value <= self.x_range[1]:
            return []
        late = self.x(value) > 0.62 * self.width
        words = label(self.x(value) + (-5 if late else 5), self.top + 3, text, "t small halo", "end" if late else "start")
        return [line(self.x(value), self.top - 8, self.x(value), self.floor, "limit"), words]


def legend(items: Sequence[tuple[str, str]], x: float, y: float, *, step: float | None = None) -> list[str]:
    """Small swatches with words in a row: (class, words)."""
    parts = []
    for kind, words in items:
        parts += [rect(x, y - 10, 13, 11, kind, rx=2.5), label(x + 18, y, words, "t small")]
        x += step if step is not None else 34 + 6.6 * len(words)
    return parts


def outline(edges: Sequence[float], shares: Sequence[float], frame: Frame) -> str:
    """Path of a histogram as a filled step line."""
    path = f"M{frame.x(edges[0]):.1f} {frame.floor:.1f}"
    for k, share in enumerate(shares):
        y = frame.y(share)
        path += f"L{frame.x(edges[k]):.1f} {y:.1f}L{frame.x(edges[k + 1]):.1f} {y:.1f}"
    return path + f"L{frame.x(edges[-1]):.1f} {frame.floor:.1f}Z"
