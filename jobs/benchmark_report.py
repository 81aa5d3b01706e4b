"""The swap benchmark's results for people: a table for the terminal, the same as Markdown, and a sheet of pictures."""

# N quadruples, H W pixels

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rich.table import Table

from jobs.benchmark import Quadruples, TaskName
from jobs.benchmark_figures import Figure
from jobs.figure_config import made_by

Figures = Mapping[str, Mapping[str, Figure]]  # method -> figure -> its number

TITLES: Mapping[TaskName, str] = {
    "swap-all": "Swap all: another identity and another expression",
    "swap-id": "Swap ID: another identity, the background's own expression",
    "swap-expression": "Swap expression: another expression of the background's own person",
}
SHEET_ROWS = 12
GAP_PX = 4
TITLE_PX = 18


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table: the figure's name and how it is written."""

    key: str
    title: str
    form: str  # of format()


def table_lines(recognisers: Sequence[str], detectors: Sequence[str]) -> list[Line]:
    """Lines in the order of the table; a task has not all of them."""
    lines = []
    for name in recognisers:
        lines += [
            Line(key=f"{name}.rank1", title=f"identity at rank 1 ({name})", form=".2f"),
            Line(key=f"{name}.rank1_over_exact", title=f"identity at rank 1 over exact target's ({name})", form=".2f"),
            Line(key=f"{name}.cosine_identity", title=f"cosine to identity ({name})", form=".3f"),
            Line(key=f"{name}.cosine_background", title=f"cosine to background person ({name})", form=".3f"),
            Line(key=f"{name}.cosine_shown", title=f"cosine to person who shows the expression ({name})", form=".3f"),
            Line(key=f"{name}.cosine_margin", title=f"difference of the two cosines ({name})", form=".3f"),
            Line(key=f"{name}.prefers_identity", title=f"share nearer to identity ({name})", form=".2f"),
        ]
    lines += [
        Line(key="expression_error", title="expression error (RMS of 35 units)", form=".4f"),
        Line(key="expression_error_over_exact", title="expression error over exact target's", form=".2f"),
        Line(key="expression_error_over_own", title="expression error over the estimator's own", form=".2f"),
        Line(key="expression_nearer_request", title="share nearer to requested expression", form=".2f"),
        Line(key="pose_error_deg", title="pose error, mean of three angles (deg)", form=".2f"),
        Line(key="pose_distance_deg", title="pose error, Euclidean distance of three angles (deg)", form=".2f"),
        Line(key="pose_angle_deg", title="pose error as one angle (deg)", form=".2f"),
        Line(key="psnr_hole_db", title="PSNR in the hole (dB)", form=".2f"),
        Line(key="ssim_hole", title="SSIM in the hole", form=".3f"),
        Line(key="error_hole", title="mean error in the hole (grey levels)", form=".1f"),
        *(Line(key=f"{name}.distance_exact", title=f"1 - cosine to exact target ({name})", form=".3f") for name in recognisers),
        Line(key="units_distance_exact", title="distance to exact target's units as read (RMS)", form=".4f"),
        Line(key="changed_outside_px_max", title="pixels changed outside the hole, most", form=".0f"),
    ]
    lines += [Line(key=f"{name}.one_face", title=f"exactly one face found ({name})", form=".2f") for name in detectors]
    return [
        *lines,
        Line(key="seconds_per_image", title="seconds per image", form=".2f"),
        Line(key="cpu_seconds_per_image", title="CPU seconds per image", form=".2f"),
    ]


def rich_table(lines: Sequence[Line], figures: Figures, title: str) -> Table:
    """The table of a task for a terminal, without intervals."""
    table = Table(title=title, title_justify="left")
    table.add_column("figure")
    for method in figures:
        table.add_column(method, justify="right")
    for line in _used(lines, figures):
        table.add_row(line.title, *(_value(found.get(line.key), line.form) for found in figures.values()))
    return table


def markdown(lines: Sequence[Line], tasks: Mapping[TaskName, Figures], about: dict[str, Any]) -> str:
    """The tables as a Markdown page, with what they were made from."""
    tables = [f"## {TITLES[task]}\n\n{_markdown_table(lines, figures)}\n" for task, figures in tasks.items()]
    return "# Swap benchmark\n\n" + "\n".join(tables) + "\n## How it was measured\n\n" + "\n".join(f"- {fact}" for fact in _facts(about)) + "\n"


def _facts(about: dict[str, Any]) -> list[str]:
    data = about["data"]
    return [
        f"{data['quadruples']} quadruples of {', '.join(data['files'])}, whose people no training saw.",
        *made_by(about),
        "In brackets: 95 % intervals from drawing quadruples (one identity each) anew; Wilson's where a share is 0 or 1. Faces are cut at the exact "
        "target's five points, whatever the method; in tasks without an exact target at those that the bundled parser reads in each picture, which are less "
        "exact: rank 1 and cosines of such a task are not comparable with those of swap all.",
        "The corpus has exact targets of swap all only. In swap ID the unchanged background shows the requested expression and pose, in swap expression "
        "the requested identity, so its figures there are the judges' own.",
        "Rank 1 is among the identity pictures of the benchmark; the naive paste of an identity shows those very pixels, so it is found by construction. "
        "In swap expression the identity picture is the background, whose hair and light every method keeps; what is pasted is the picture that shows the "
        "expression.",
        "Expressions are read by the bundled estimator, which conditions nothing; its own error is that on the pictures that show the expressions. "
        "Poses are read by it too, against the background. The share nearer to the request compares it with the background's expression, in swap ID with that "
        "of the identity picture.",
        "The hole is the background's face with a margin; the exact target differs outside it too, where the other person's body reaches further.",
        "Feature distances are in features of facemint's own nets, and not comparable with those of others such as LPIPS.",
    ]


def strip_sheet(quadruples: Quadruples, ours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture of up to twelve quadruples, one a row: background, identity, expression, what was made, exact target if there is one."""
    columns = {
        "background": quadruples.background.images_rgb,
        "identity": quadruples.identity.images_rgb,
        "expression": quadruples.expression.images_rgb,
        "facemint": ours,
    }
    if quadruples.target is not None:
        columns["exact target"] = quadruples.target.images_rgb
    count, side = len(ours), ours.shape[1]
    chosen = np.linspace(0, count - 1, min(SHEET_ROWS, count)).round().astype(int)
    step = side + GAP_PX
    sheet = Image.new("RGB", (step * len(columns) + GAP_PX, TITLE_PX + step * len(chosen) + GAP_PX), "white")
    draw = ImageDraw.Draw(sheet)
    for x, (title, images) in enumerate(columns.items()):
        draw.text((GAP_PX + x * step, 3), title, fill="black", font=ImageFont.load_default())
        for y, row in enumerate(chosen):
            sheet.paste(Image.fromarray(images[row]), (GAP_PX + x * step, TITLE_PX + GAP_PX + y * step))
    return np.asarray(sheet, dtype=np.uint8)


def _used(lines: Sequence[Line], figures: Figures) -> list[Line]:
    return [line for line in lines if any(line.key in found for found in figures.values())]


def _markdown_table(lines: Sequence[Line], figures: Figures) -> str:
    rows = [["figure", *figures], ["---", *["---:"] * len(figures)]]
    rows += [[line.title, *(_cell(found.get(line.key), line.form) for found in figures.values())] for line in _used(lines, figures)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _value(figure: Figure | None, form: str) -> str:
    if figure is None:
        return ""
    return "exact" if figure.mean is None else format(figure.mean, form)


def _cell(figure: Figure | None, form: str) -> str:
    if figure is None or figure.low is None or figure.high is None:
        return _value(figure, form)
    return f"{_value(figure, form)} [{format(figure.low, form)}, {format(figure.high, form)}]"
