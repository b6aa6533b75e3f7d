import json

import pytest

from gembench.data.coordinates import coordinates_of
from gembench.data.tensor import open_tensor

MODELS = ["org/a@v1", "org/b", "plain"]


@pytest.fixture
def answers(tmp_path):
    path = tmp_path / "answers.csv"
    path.write_text("model,query,value\n" + "".join(f"{model},q{query},1\n" for model in MODELS for query in range(3)))
    return path


@pytest.fixture
def downloads(tmp_path):
    path = tmp_path / "downloads.csv"
    path.write_text("model,downloads,parent\norg/a,5,org/base\norg/z,3,\norg/b,,\n")
    return path


def test_an_import_takes_what_a_table_says_of_the_models(gembench, answers, downloads, tmp_path):
    store, report = tmp_path / "t.zarr", tmp_path / "report.json"
    result = gembench("import", "table", answers, "-o", store, "--metadata", downloads, "--json", report)
    assert result.exit_code == 0, result.output
    assert "downloads.csv: tells about 1 of 3 models: parent of 1, downloads of 1" in result.stdout
    assert "nothing about 1 models (it has no row): plain" in result.stdout
    assert "1 rows are of no model of the tensor: org/z" in result.stdout
    (metadata,) = json.loads(report.read_text())["metadata"]
    assert metadata["unknown"] == ["org/z"]
    assert [one["model"] for one in metadata["missing"]] == ["org/b", "plain"]
    assert coordinates_of(open_tensor(store), "model", MODELS) == [{"downloads": 5, "parent": "org/base"}, {}, {}]


def test_a_table_that_cannot_be_used_ends_an_import_before_it_reads_a_log(gembench, answers, tmp_path):
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("model,likes\na,many\n")
    result = gembench("import", "table", answers, "-o", tmp_path / "t.zarr", "--metadata", wrong)
    assert result.exit_code == 1
    assert (
        result.stderr
        == f"gembench: error: {wrong}, line 2: likes is 'many'; write a whole number, or leave it empty.\n"
    )
    assert not list(tmp_path.glob("t.zarr*"))


def test_an_import_that_may_not_ask_the_hub_says_so_in_one_line_and_goes_on(gembench, answers, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("GEMBENCH_CACHE_DIR", str(tmp_path / "cache"))
    result = gembench("import", "table", answers, "-o", tmp_path / "t.zarr", "--hub-metadata")
    assert result.exit_code == 0, result.output
    assert "HF_HUB_OFFLINE is set, so that the Hub was not asked about 2 models" in result.stdout
    assert open_tensor(tmp_path / "t.zarr").sizes["model"] == 3
