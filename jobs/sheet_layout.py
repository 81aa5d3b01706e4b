"""Sheets of captioned pictures: tiles in rows, a caption of up to two lines under each."""

# R rows, C columns, H W pixels

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

GROUND, INK, ALARM = (255, 255, 255), (26, 31, 39), (176, 0, 32)
GAP_PX = 4
FONT_PX = 11
LINE_PX = 14


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A picture and what is written under it."""

    image_rgb: NDArray[np.uint8]  # (H, W, 3), one size on a sheet
    lines: tuple[str, ...]
    alarm: bool = False  # the caption is written in red


def tile_sheet(tiles: Sequence[Tile], *, columns: int, title: str) -> NDArray[np.uint8]:
    """Sheet (H, W, 3) of the tiles, row by row."""
    font = ImageFont.load_default(size=FONT_PX)
    height, width = tiles[0].image_rgb.shape[:2]
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    lines = max(len(tile.lines) for tile in tiles)
    step_x, step_y, top = width + GAP_PX, height + GAP_PX + lines * LINE_PX, LINE_PX + 2 * GAP_PX
    sheet = Image.new("RGB", (columns * step_x + GAP_PX, top + rows * step_y), GROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP_PX, GAP_PX), title, INK, font)
    for place, tile in enumerate(tiles):
        row, column = divmod(place, columns)
        x, y = GAP_PX + column * step_x, top + row * step_y
        sheet.paste(Image.fromarray(tile.image_rgb), (x, y))
        for number, line in enumerate(tile.lines):
            draw.text((x + width / 2, y + height + number * LINE_PX), line, ALARM if tile.alarm else INK, font, anchor="ma")
    return np.asarray(sheet, dtype=np.uint8).copy()
