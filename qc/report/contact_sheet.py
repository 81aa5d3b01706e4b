"""Pictures of a run on one sheet, identities down and expressions across; tiles for the report."""

# H W pixels

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from manifests.errors import InputError

GROUND, INK, MUTED = (255, 255, 255), (26, 31, 39), (232, 235, 239)
TILE_SIDE_PX = 96


def tile_uri(image_rgb: NDArray[np.uint8], side_px: int = TILE_SIDE_PX) -> str:
    """A (H, W, 3) picture as a small WebP in a data URI; about 2 kB at 96 px."""
    stream = io.BytesIO()
    Image.fromarray(image_rgb).resize((side_px, side_px), Image.Resampling.LANCZOS).save(stream, "WEBP", quality=82, method=4)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def contact_sheet(
    images: Mapping[tuple[str, str], NDArray[np.uint8]], identities: Sequence[str], expressions: Sequence[str], *, side_px: int = 128, gap_px: int = 4
) -> NDArray[np.uint8]:
    """Sheet (H, W, 3) of pictures keyed (identity, expression), with headings; a grey tile where there is none."""
    if not identities or not expressions:
        raise InputError("contact sheet: there are no identities or no expressions to show. Run a recipe that makes pictures first.")
    font = ImageFont.load_default(size=max(11.0, side_px / 9))
    left = min(2 * side_px, max(round(font.getlength(name)) for name in identities) + 24)
    top = round(side_px / 4) + 8
    step = side_px + gap_px
    sheet = Image.new("RGB", (left + step * len(expressions) + gap_px, top + step * len(identities) + gap_px), GROUND)
    draw = ImageDraw.Draw(sheet)
    for column, expression in enumerate(expressions):
        draw.text((left + column * step + side_px / 2, top / 2), _fit(expression, font, side_px), INK, font, anchor="mm")
    for row, identity in enumerate(identities):
        draw.text((left - 12, top + row * step + side_px / 2), _fit(identity, font, left - 20), INK, font, anchor="rm")
        for column, expression in enumerate(expressions):
            corner = (left + column * step, top + row * step)
            image = images.get((identity, expression))
            if image is None:
                draw.rectangle((*corner, corner[0] + side_px - 1, corner[1] + side_px - 1), MUTED)
            else:
                sheet.paste(Image.fromarray(image).resize((side_px, side_px), Image.Resampling.LANCZOS), corner)
    return np.asarray(sheet, dtype=np.uint8).copy()


def png_bytes(image_rgb: NDArray[np.uint8]) -> bytes:
    """The picture as PNG."""
    stream = io.BytesIO()
    Image.fromarray(image_rgb).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _fit(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room_px: float) -> str:
    text = " ".join(text.split())
    while len(text) > 1 and font.getlength(text) > room_px:
        text = text[:-2] + "…" if text.endswith("…") else text[:-1] + "…"
    return text
