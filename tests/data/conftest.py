"""Fixtures of the tests of importing."""

import pytest

from gembench.data.sources import catalog


@pytest.fixture
def fake_catalog(monkeypatch):
    """The only format is that of `fake_format.py`."""
    monkeypatch.setattr(catalog, "FORMATS", {"fake": catalog.Format("fake_format", "made up")})


@pytest.fixture
def logs(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def store(tmp_path):
    return tmp_path / "out.zarr"
