from __future__ import annotations

import os
from itertools import count

import pytest

from jobs.locations import location
from tests.jobs.store_server import BUCKET, CREDENTIALS, store_server

FOLDERS = count()


@pytest.fixture(scope="session")
def store_address():
    with store_server() as address:
        yield address


@pytest.fixture
def run_address(store_address, monkeypatch):
    """The address of a run folder that nothing else uses; started processes reach it, too."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", store_address)
    return f"s3://{BUCKET}/runs/{os.getpid()}-{next(FOLDERS)}"


@pytest.fixture
def run_folder(run_address):
    return location(run_address)
