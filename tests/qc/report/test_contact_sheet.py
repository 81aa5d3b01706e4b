from __future__ import annotations

import numpy as np
import pytest

from manifests.errors import InputError
from qc.report.contact_sheet import contact_sheet, png_bytes, tile_uri


def test_the_contact_sheet_has_a_tile_for_each_cell_and_grey_where_there_is_none():
    images = {("ann", "joy"): np.full((64, 64, 3), 200, np.uint8)}
    sheet = contact_sheet(images, ["ann", "eve"], ["joy", "a very long expression name that does not fit"], side_px=64)
    assert sheet[-10, -10].tolist() == [232, 235, 239]
    assert (sheet == 200).all(axis=2).sum() == 64 * 64
    assert png_bytes(sheet).startswith(b"\x89PNG")


def test_a_sheet_of_nothing_is_refused():
    with pytest.raises(InputError, match="no identities"):
        contact_sheet({}, [], [])


def test_a_tile_is_a_small_picture_in_the_page():
    uri = tile_uri(np.full((128, 128, 3), 90, np.uint8))
    assert uri.startswith("data:image/webp;base64,") and len(uri) < 4000
