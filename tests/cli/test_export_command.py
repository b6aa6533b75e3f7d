import json

import numpy as np
import pytest

from gembench.data.digest import content_digest
from gembench.data.export_catalog import EXPORT_FORMATS
from gembench.data.tensor import open_tensor


@pytest.mark.parametrize("name", EXPORT_FORMATS)
def test_a_tensor_is_exported_and_imported_again(gembench, save_npz, tmp_path, name):
    tensor = save_npz(np.array([[1, 0, 1], [0, 1, 1]], np.uint8))
    target = tmp_path / {"eee": "out", "parquet": "o.parquet", "csv": "o.csv", "npz": "o.npz"}[name]
    result = gembench("export", name, tensor, "-o", target)
    assert result.exit_code == 0, result.stderr
    assert f"{target}: 2 models, 3 queries" in " ".join(result.stdout.split())
    assert result.stderr == ""
    again = gembench("import", "eee" if name == "eee" else "table", target, "-o", tmp_path / "again.zarr")
    assert again.exit_code == 0, again.stderr
    assert content_digest(open_tensor(tmp_path / "again.zarr")) == content_digest(open_tensor(tensor))


def test_what_a_format_cannot_hold_is_said_on_stderr_and_in_the_json(gembench, save_npz, tmp_path):
    tensor = save_npz(np.eye(2, dtype=np.uint8), task=np.array(["a", "b"]))
    result = gembench("export", "csv", tensor, "-o", tmp_path / "o.csv", "--json", "-")
    assert result.exit_code == 0
    assert result.stderr == "gembench: csv does not hold all of: task\n"
    assert json.loads(result.stdout) == {
        "target": str(tmp_path / "o.csv"),
        "num_models": 2,
        "num_queries": 2,
        "left_out": ["task"],
    }


def test_an_embedded_tensor_is_exported_by_its_name(gembench, tmp_path):
    assert gembench("export", "npz", "mistral-7b", "-o", tmp_path / "o.npz").exit_code == 0
    with np.load(tmp_path / "o.npz") as arrays:
        assert arrays["correct"].shape == (288, 3000)


def test_what_lies_there_stays_unless_told_otherwise(gembench, save_npz, tmp_path):
    tensor = save_npz(np.eye(2, dtype=np.uint8))
    (tmp_path / "o.csv").write_text("mine")
    result = gembench("export", "csv", tensor, "-o", tmp_path / "o.csv")
    assert result.exit_code == 1
    assert result.stderr.startswith("gembench: error: ")
    assert "something lies there" in result.stderr
    assert (tmp_path / "o.csv").read_text() == "mine"
    assert gembench("export", "csv", tensor, "-o", tmp_path / "o.csv", "--overwrite").exit_code == 0
    assert (tmp_path / "o.csv").read_text().startswith("model,")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("xlsx", "mistral-7b", "-o", "x"), "'xlsx' is not one of 'eee', 'parquet', 'csv', 'npz'"),
        (("csv", "nowhere.zarr", "-o", "x.csv"), "nowhere.zarr"),
        (("csv", "mistral-7b", "-o", "missing/x.csv"), "there is no folder"),
        (("csv", "mistral-7b", "-o", "s3://bucket/x.csv"), "local paths"),
        (("csv", "mistral-7b"), "-o"),
    ],
)
def test_a_request_that_makes_no_sense_is_a_usage_error(gembench, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    result = gembench("export", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not list(tmp_path.iterdir())


def test_help_lists_every_format(gembench):
    text = gembench("export", "--help").stdout
    assert all(one.summary.split(":")[0] in text for one in EXPORT_FORMATS.values())
