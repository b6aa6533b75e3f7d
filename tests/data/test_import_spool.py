"""An import that was interrupted reads no log twice."""

import subprocess
import sys

import pytest
from fake_format import reads, write_log
from fake_imports import run, values

from gembench.data.importing import SPOOL_SUFFIX
from gembench.data.sources.source import Choice
from gembench.errors import SourceError

pytestmark = pytest.mark.usefixtures("fake_catalog")


def test_after_a_failure_only_logs_that_changed_are_read_again_and_the_spool_goes_at_the_end(logs, store, monkeypatch):
    monkeypatch.setattr("gembench.data.import_reading.BYTES_WORTH_A_PROCESS", 1)  # so much that it is kept
    for model in range(3):
        write_log(logs / f"{model}.json", {"identity": {"model": "org/a"}, "rows": [["t/1", model % 2]]})
    spool = store.with_name(store.name + SPOOL_SUFFIX)
    with pytest.raises(SourceError, match="disagree"):
        run(logs, store, num_processes=1)
    assert spool.is_dir()
    write_log(logs / "1.json", {"identity": {"model": "org/b"}, "rows": [["t/1", 0.25]]})
    report = run(logs, store, num_processes=1)
    assert reads(logs) == ["0.json", "1.json", "1.json", "2.json"]
    assert report.num_spooled == 2
    assert values(store) == {"org/a": {"t/1": 0}, "org/b": {"t/1": 0}}
    assert not spool.exists()


def test_logs_are_read_again_if_they_are_to_be_read_otherwise(logs, store, monkeypatch):
    monkeypatch.setattr("gembench.data.import_reading.BYTES_WORTH_A_PROCESS", 1)
    for model in range(2):
        write_log(logs / f"{model}.json", {"identity": {"model": "org/a"}, "rows": [["t/1", model % 2]]})
    for choice in (Choice(), Choice(metric="acc"), Choice(filter_name="strict"), Choice(columns={"model": "m"})):
        with pytest.raises(SourceError, match="disagree"):
            run(logs, store, num_processes=1, choice=choice)
    assert len(reads(logs)) == 8


def test_a_damaged_spool_is_an_error_that_says_what_to_remove(logs, store, monkeypatch):
    monkeypatch.setattr("gembench.data.import_reading.BYTES_WORTH_A_PROCESS", 1)
    for model in range(2):
        write_log(logs / f"{model}.json", {"identity": {"model": "org/a"}, "rows": [["t/1", model % 2]]})
    with pytest.raises(SourceError, match="disagree"):
        run(logs, store, num_processes=1)
    spool = store.with_name(store.name + SPOOL_SUFFIX)
    for place in spool.glob("*/parts.json"):
        place.write_text(place.read_text()[:20])
    with pytest.raises(Exception, match=f"remove {spool} and run the command again"):
        run(logs, store, num_processes=1)


def test_a_reading_process_loads_neither_xarray_nor_zarr_nor_jax():
    script = "import sys, gembench.data.import_reading; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" in loaded
    assert not {"xarray", "zarr", "jax", "pandas"} & set(loaded)
