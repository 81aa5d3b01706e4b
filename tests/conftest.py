from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None)  # a busy machine is no failure
settings.load_profile("house")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of test material beside the checkout: corpus, photos, models; FACEMINT_SHARED names another place."""
    folder = Path(os.environ.get("FACEMINT_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"{folder} does not exist; FACEMINT_SHARED names another place")
    return folder


@pytest.fixture(scope="session")
def bundled() -> Path:
    """Folder of the bundled weights."""
    folder = ROOT / "generator" / "bundled"
    if not (folder / "weights.json").is_file():
        pytest.skip(f"{folder} has no weights.json")
    return folder
