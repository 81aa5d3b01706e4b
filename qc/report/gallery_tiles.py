"""Small pictures of a gallery's people: checked when the gallery is read, and shown beside the made pictures that are nearest to them."""

# H W pixels

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.errors import InputError
from qc.images import WEBP_COST, ImageLimits, Refused, decode_picture
from qc.report.contact_sheet import tile_uri

SIDE_PX = 64
MAX_BYTES = 4096
LIMITS = ImageLimits(max_bytes=MAX_BYTES, max_pixels=WEBP_COST * SIDE_PX * SIDE_PX)
RULE = f"A tile is a WebP picture of {SIDE_PX} x {SIDE_PX} pixels and at most {MAX_BYTES:,} bytes, or null"
LISTS = ("hash_matches", "pairs")  # of the leakage section


def gallery_key(row: int) -> str:
    """Key of the tile of a row of the gallery, among the keys of a run's pictures."""
    return f"gallery-{row:06d}"


def decode_tile(content: bytes, name: object) -> NDArray[np.uint8]:
    """Pixels (64, 64, 3) of the tile of a person; anything else is refused."""
    found = decode_picture(content, LIMITS)
    if isinstance(found, Refused):
        raise InputError(f"gallery: the tile of {name} can't be shown: {found.detail}. {RULE}.")
    height, width = found.image_rgb.shape[:2]
    if found.form != "webp" or (height, width) != (SIDE_PX, SIDE_PX):
        raise InputError(f"gallery: the tile of {name} is a {found.form} picture of {width} x {height} pixels. {RULE}.")
    return found.image_rgb


def check_tiles(tiles: Sequence[object], names: Sequence[object]) -> tuple[bytes | None, ...]:
    """A gallery's column of tiles as it was given, when every one that there is can be shown."""
    for content, name in zip(tiles, names, strict=True):
        if content is None:
            continue
        if not isinstance(content, bytes):
            raise InputError(f"gallery: the tile of {name} is no bytes. {RULE}.")
        decode_tile(content, name)
    return tuple(tiles)  # type: ignore[arg-type] # looked at above


def shown_tiles(summary: Mapping[str, Any], tiles: Sequence[bytes | None] | None) -> dict[str, str]:
    """Data URIs by key of the gallery's tiles that a summary names; they are packed anew, so that no byte of a gallery's file gets into a page."""
    if tiles is None or summary["leakage"] is None:
        return {}
    named = {row["gallery_tile"] for name in LISTS for row in summary["leakage"][name]}
    contents = {gallery_key(row): content for row, content in enumerate(tiles) if content is not None}
    return {key: tile_uri(decode_tile(contents[key], key), SIDE_PX) for key in sorted(named & contents.keys())}
