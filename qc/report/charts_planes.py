"""Charts over two dimensions: heat maps, the valence-arousal plane and the pose plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from qc.report.charts_frame import HALF, Frame, legend
from qc.report.svg import drawing, element, fit, label, line, number, percent, rect

STEPS = 9  # colours h0 .. h8 of the style sheet, from none to all
SCALE_WIDTH = 36.0 + 16 * STEPS + 44  # of the heat map's scale, its last words included
MAX_NAMED_WORDS = 18


def heat_map(rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float | None]], texts: Sequence[Sequence[str]], *, title: str,
             description: str, identifier: str, diagonal: bool = False, flags: Sequence[Sequence[bool]] | None = None, axes: tuple[str, str] = ("", ""),
             ) -> str:  # fmt: skip
    """A grid of shares 0..1 in nine steps, with the numbers in the cells where they fit; dashed where there is no value, a corner mark on flagged cells.

    Above 18 columns or 24 rows the cells shrink and the numbers are left to the table behind.
    """
    small = len(columns) > 18 or len(rows) > 24
    cell_w, cell_h = (19.0, 19.0) if small else (max(46.0, min(78.0, 620.0 / max(len(columns), 1))), 32.0)
    letters = min(22, max([8, *[len(name) for name in rows]]))
    left = 22.0 + 7.0 * letters
    slanted = cell_w < 60
    longest = min(16, max([1, *[len(name) for name in columns]]))
    top = (22.0 + 5.0 * longest if slanted else 30.0) + (14.0 if axes[1] else 0.0)
    width = left + max(cell_w * len(columns) + (60.0 if slanted else 8.0), SCALE_WIDTH)
    height = top + cell_h * len(rows) + 34
    parts = [label(left, 12, axes[1], "t small muted"), label(left - 10, top - 8, axes[0], "t small muted", "end")] if axes[1] else []
    for i, name in enumerate(columns):
        x = left + (i + 0.5) * cell_w
        if slanted:
            parts.append(label(x, top - 8, fit(name, 16), "t small", "start", transform=f"rotate(-45 {x:.1f} {top - 8:.1f})"))
        else:
            parts.append(label(x, top - 9, fit(name, int(cell_w / 6.6)), "t small", "middle"))
    for j, name in enumerate(rows):
        y = top + j * cell_h
        parts.append(label(left - 10, y + cell_h / 2 + 4, fit(name, letters), "t small", "end"))
        for i, value in enumerate(values[j]):
            parts += _cell(left + i * cell_w, y, cell_w, cell_h, value, "" if small else texts[j][i],
                           own=diagonal and i == j, flagged=bool(flags and flags[j][i]))  # fmt: skip
    parts += _scale(left, height - 12)
    return drawing(width, height, title, description, parts, identifier=identifier, min_width=next((m for m in (640, 560, 460, 360) if width >= m), 0))


def _cell(x: float, y: float, width: float, height: float, value: float | None, text: str, *, own: bool, flagged: bool) -> list[str]:
    if value is None:
        return [rect(x + 1.5, y + 1.5, width - 3, height - 3, "void", rx=3)]
    step = min(STEPS - 1, max(0, round(value * (STEPS - 1))))
    parts = [rect(x + 1, y + 1, width - 2, height - 2, f"h{step}{' own' if own else ''}", rx=3)]
    if text:
        parts.append(label(x + width / 2, y + height / 2 + 4, text, f"t small n{step}", "middle"))
    if flagged:
        size = 9.0 if text else 7.0
        corner = f"M{x + width - 1.5 - size:.1f} {y + 1.5:.1f}h{size:g}v{size:g}Z"
        parts += [rect(x + 1, y + 1, width - 2, height - 2, "flagged", rx=3), element("path", {"d": corner, "class": "flag"})]
    return parts


def _scale(x: float, y: float) -> list[str]:
    parts = [label(x, y, "0\u00a0%", "t small muted")]
    parts += [rect(x + 30 + 16 * step, y - 10, 15, 12, f"h{step}", rx=2) for step in range(STEPS)]
    return [*parts, label(x + 36 + 16 * STEPS, y, "100\u00a0%", "t small muted")]


def affect_plane(points: Sequence[dict[str, Any]], *, title: str, identifier: str) -> str:
    """Valence across, arousal up: an arrow from each word's asked place (ring) to the mean of what was observed (dot), named where there is room."""
    frame = Frame(width=HALF + 60, height=HALF + 60, x_range=(-1.0, 1.0), y_range=(-1.0, 1.0), left=54.0, top=34.0, right=20.0, bottom=52.0)
    parts = legend([("swatchring", "asked"), ("c1", "observed (mean)")], 54, 16, step=92)
    marks = [-1.0, -0.5, 0.0, 0.5, 1.0]
    parts += frame.axes("valence: unpleasant to pleasant", "arousal: calm to excited", x_ticks=marks, y_ticks=marks)
    radius_x, radius_y = frame.x(1) - frame.x(0), frame.y(0) - frame.y(1)
    parts.append(element("ellipse", {"cx": frame.x(0), "cy": frame.y(0), "rx": radius_x, "ry": radius_y, "class": "outline"}))
    parts += [line(frame.x(-1), frame.y(0), frame.x(1), frame.y(0), "axis"), line(frame.x(0), frame.y(-1), frame.x(0), frame.y(1), "axis")]
    taken: list[tuple[float, float, float, float]] = []
    names = []
    for index, point in enumerate(sorted(points, key=lambda row: -(row.get("n") or 0))):
        x1, y1 = frame.x(point["asked"][0]), frame.y(point["asked"][1])
        x2, y2 = frame.x(point["observed"][0]), frame.y(point["observed"][1])
        parts += [line(x1, y1, x2, y2, "arrow"), _head(x1, y1, x2, y2)]
        parts.append(element("circle", {"cx": x1, "cy": y1, "r": 3.4, "class": "ring"}))
        parts.append(element("circle", {"cx": x2, "cy": y2, "r": 3.8, "class": "c1"}))
        if index < MAX_NAMED_WORDS:
            names += _place_name(fit(point["word"], 16), x1, y1, frame, taken)
    said = "; ".join(f"{p['word']}: asked {_pair(p['asked'])}, observed {_pair(p['observed'])}" for p in points[:10])
    return drawing(frame.width, frame.height, title, said or "no words", [*parts, *names], identifier=identifier, min_width=280)


def pose_plot(points: Sequence[Sequence[float]], *, title: str, identifier: str) -> str:
    """Yaw across, pitch up: a line from the asked pose (ring) to the observed one (dot) of each picture. points: asked yaw, pitch, observed yaw, pitch."""
    reach = max([10.0, *[abs(value) for point in points for value in point]])
    reach = math.ceil(reach / 10) * 10.0
    frame = Frame(width=HALF, height=HALF, x_range=(-reach, reach), y_range=(-reach, reach), top=34.0)
    parts = legend([("swatchring", "asked"), ("c1", "observed")], 52, 16, step=92)
    parts += frame.axes("yaw (°)", "pitch (°)")
    parts += [line(frame.x(0), frame.y(-reach), frame.x(0), frame.y(reach), "axis"), line(frame.x(-reach), frame.y(0), frame.x(reach), frame.y(0), "axis")]
    for asked_yaw, asked_pitch, seen_yaw, seen_pitch in points:
        parts.append(line(frame.x(asked_yaw), frame.y(asked_pitch), frame.x(seen_yaw), frame.y(seen_pitch), "thread"))
    for asked_yaw, asked_pitch, seen_yaw, seen_pitch in points:
        parts.append(element("circle", {"cx": frame.x(asked_yaw), "cy": frame.y(asked_pitch), "r": 2.8, "class": "ring"}))
        parts.append(element("circle", {"cx": frame.x(seen_yaw), "cy": frame.y(seen_pitch), "r": 2.4, "class": "dot"}))
    return drawing(frame.width, frame.height, title, f"{len(points)} pictures within {reach:g} degrees", parts, identifier=identifier)


def share_text(count: int, asked: int) -> str:
    """ "3/4", or the percentage where the numbers are too long for a cell."""
    return f"{count}/{asked}" if asked < 1000 else percent(count / asked)


def _place_name(name: str, x: float, y: float, frame: Frame, taken: list[tuple[float, float, float, float]]) -> list[str]:
    """The word beside its point where it covers no other word; nothing where there is no room (it is in the table)."""
    width = 6.4 * len(name)
    for dx, dy, anchor in ((7, -5, "start"), (-7, -5, "end"), (7, 13, "start"), (-7, 13, "end"), (0, -11, "middle"), (0, 20, "middle")):
        start = x + dx - {"start": 0.0, "end": width, "middle": width / 2}[anchor]
        box = (start, y + dy - 11, start + width, y + dy + 3)
        inside = box[0] > frame.left - 4 and box[2] < frame.width - 2 and box[1] > 18
        if inside and all(box[2] < b[0] or box[0] > b[2] or box[3] < b[1] or box[1] > b[3] for b in taken):
            taken.append(box)
            return [label(x + dx, y + dy, name, "t small halo", anchor)]
    return []


def _head(x1: float, y1: float, x2: float, y2: float) -> str:
    length = math.hypot(x2 - x1, y2 - y1)
    if length < 10:
        return ""
    ux, uy = (x2 - x1) / length, (y2 - y1) / length
    tx, ty = x2 - 4 * ux, y2 - 4 * uy
    points = f"M{tx:.1f} {ty:.1f}L{tx - 7 * ux - 3 * uy:.1f} {ty - 7 * uy + 3 * ux:.1f}L{tx - 7 * ux + 3 * uy:.1f} {ty - 7 * uy - 3 * ux:.1f}Z"
    return element("path", {"d": points, "class": "arrowhead"})


def _pair(values: Sequence[float]) -> str:
    return f"({number(values[0], 2)}, {number(values[1], 2)})"
