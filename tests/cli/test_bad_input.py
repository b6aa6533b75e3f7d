"""What a person sees who asks for what cannot be had: one line, and exit code 2 (the request) or 1 (the work)."""

import json
import zipfile

import numpy as np
import pytest
from needs import needs_harness

from gembench.errors import ContractError
from gembench.runs import Runs


def line_of(result):
    """The one line of the message."""
    lines = [line for line in result.stderr.splitlines() if line]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("gembench: error: ")
    assert "Traceback" not in result.output
    return lines[0]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--policy", "ucbe"), "did you mean ucb"),
        (("--policy", "ucb_e:exploratoin=3"), "exploration"),
        (("--policy", "ucb_e:exploration=many"), "exploration"),
        (("-n", "0"), "0 is not a positive number of queries"),
        (("-n", "-3"), "-3 is not a positive number"),
        (("-n", "nan"), "nan is not a positive number"),
        (("-n", "ten"), "'ten' is not a number"),
        (("-n", "0.5"), "4 pulls is under one pull for each of 8 models"),
        (("--runs", "0"), "0 is not in the range"),
        (("--seed", "-1"), "-1 is not in the range"),
        (("--top-k", "1,0"), "'1,0' is not a list of positive whole numbers"),
        (("--memory", "lots"), "'lots' is not a size; give one like 512MiB"),
        (("--memory", "0GiB"), "not a size"),
        (("--sampling", "both"), "'auto', 'shared', 'independent'"),
        (("--min-coverage", "1.5"), "1.5 is not in the range"),
        (("--plot", "plot.pdf"), "plot.pdf: the name must end in .html or .png"),
        (("--runs-out", "runs.xlsx"), "runs.xlsx: the name must end in .csv or .parquet"),
        (("--querie-per-model", "5"), "Did you mean '--queries-per-model'?"),
    ],
)
def test_a_setting_that_cannot_be_is_a_usage_error_before_anything_runs(gembench, simulator, small, options, expected):
    result = gembench("simulate", small, *options)
    assert expected in line_of(result)
    assert result.exit_code == 2
    assert simulator.calls == []


def test_a_mistyped_command_is_answered_with_the_nearest(gembench):
    result = gembench("simulat")
    assert result.exit_code == 2
    assert "Did you mean 'simulate'?" in line_of(result)


@pytest.mark.parametrize("command", ["simulate", "info"])
def test_a_tensor_that_does_not_exist_is_a_usage_error_that_names_the_embedded_ones(gembench, simulator, command):
    result = gembench(command, "qwen2.5-3bb")
    assert result.exit_code == 2
    assert "qwen2.5-3bb" in line_of(result)
    assert "qwen2.5-3b," in line_of(result)


def test_pickled_objects_are_never_loaded(gembench, simulator, save_npz):
    tensor = save_npz(np.ones((3, 4), np.uint8), models=np.array(["a", "b", {"c": 1}], dtype=object))
    result = gembench("simulate", tensor)
    assert result.exit_code == 1
    assert "pickled" in line_of(result)


def test_a_tensor_with_one_model_is_no_race(gembench, simulator, save_npz):
    result = gembench("simulate", save_npz(np.ones((1, 20), np.uint8)))
    assert result.exit_code == 1
    assert "a race needs 2" in line_of(result)


def test_a_score_that_is_no_number_is_refused(gembench, simulator, save_npz):
    score = np.ones((3, 4), np.float32)
    score[1, 2] = np.nan
    result = gembench("simulate", save_npz(np.ones((3, 4), np.uint8), score=score))
    assert result.exit_code == 1
    assert "score" in line_of(result)


def test_missing_answers_that_leave_no_common_query_are_explained(gembench, simulator, save_npz):
    correct = np.ones((4, 4), np.int8)
    correct[np.arange(4), np.arange(4)] = -1
    result = gembench("simulate", save_npz(correct))
    assert result.exit_code == 1
    assert "missing cells" in line_of(result)


def test_a_file_that_is_no_npz_is_refused(gembench, simulator, tmp_path):
    path = tmp_path / "text.npz"
    path.write_text("not a zip")
    assert "not an .npz file" in line_of(gembench("simulate", path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("correct.npy", b"broken")
    assert gembench("simulate", path).exit_code == 1


@pytest.mark.parametrize(("option", "name"), [("--json", "out.json"), ("--plot", "out.png"), ("--runs-out", "out.csv")])
@pytest.mark.parametrize("folder", ["missing", "small.npz", "/proc"])
def test_an_output_that_cannot_be_written_is_found_out_before_anything_runs(
    gembench, simulator, small, tmp_path, option, name, folder
):
    result = gembench("simulate", small, option, tmp_path / folder / name)
    assert result.exit_code == 2
    assert "cannot write" in line_of(result)
    assert simulator.calls == []


def test_an_output_that_is_a_folder_is_refused(gembench, simulator, small, tmp_path):
    result = gembench("simulate", small, "--json", tmp_path)
    assert result.exit_code == 2
    assert "is a folder" in line_of(result)


@pytest.mark.parametrize(
    ("name", "missing", "extra"),
    [("p.png", "matplotlib", "plot"), ("p.html", "plotly", "plot"), ("runs.parquet", "pyarrow", "parquet")],
)
def test_an_extra_that_is_not_installed_is_named_with_the_command_that_installs_it(
    gembench, simulator, small, tmp_path, monkeypatch, name, missing, extra
):
    monkeypatch.setattr("gembench.extras.find_spec", lambda module: None if module == missing else module)
    option = "--runs-out" if extra == "parquet" else "--plot"
    result = gembench("simulate", small, option, tmp_path / name)
    assert result.exit_code == 1
    assert f"{missing}: run pip install 'gembench[{extra}]'" in line_of(result)
    assert simulator.calls == []


def test_a_failure_in_the_middle_leaves_no_output(gembench, small, tmp_path, monkeypatch):
    def fail(*args, **options):
        raise ContractError("a policy asked for too much.")

    monkeypatch.setattr("gembench.experiment.simulate", fail)
    result = gembench("simulate", small, "-p", "uniform", "--json", tmp_path / "report.json")
    assert result.exit_code == 1
    assert line_of(result) == "gembench: error: a policy asked for too much."
    assert not list(tmp_path.glob("*report*"))


def test_a_failed_write_at_the_end_is_a_failure_and_keeps_what_was_there(
    gembench, simulator, small, tmp_path, monkeypatch
):
    path = tmp_path / "report.json"
    path.write_text("kept")

    def disk_full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", disk_full)
    result = gembench("simulate", small, "-p", "uniform", "--json", path)
    assert result.exit_code == 1
    assert "No space left on device" in line_of(result)
    assert path.read_text() == "kept"
    assert not list(tmp_path.glob(".*"))


def test_what_nobody_foresaw_is_one_line_that_says_how_to_see_more(gembench, small, monkeypatch):
    def break_down(*args, **options):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("gembench.experiment.simulate", break_down)
    result = gembench("simulate", small, "-p", "uniform")
    assert result.exit_code == 1
    assert "unexpected ZeroDivisionError: oh (set GEMBENCH_DEBUG=1" in line_of(result)
    result = gembench("simulate", small, "-p", "uniform", env={"GEMBENCH_DEBUG": "1"})
    assert "Traceback" in result.stderr


def test_an_interrupted_command_says_so_with_130(gembench, small, tmp_path, monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("gembench.cli.simulate.run_and_print", interrupt)
    result = gembench("simulate", small, "-p", "uniform", "--json", tmp_path / "report.json")
    assert result.exit_code == 130
    assert "gembench: interrupted." in result.stderr
    assert not list(tmp_path.glob("*report*"))


def test_runs_that_a_tensor_of_few_queries_cannot_pay_for_buy_every_cell(gembench, monkeypatch, small):
    seen = []

    def note(policy, race, *, budget, num_runs, num_recommended, **settings):
        seen.append(budget)
        zeros = np.zeros(num_runs, np.int64)
        return Runs(np.zeros((num_runs, num_recommended), np.int32), zeros, zeros, zeros + 1.0, zeros, zeros, zeros)

    monkeypatch.setattr("gembench.experiment.simulate", note)
    result = gembench("simulate", small, "-p", "uniform", "-n", 1000, "--json", "-")
    assert json.loads(result.stdout)["rows"][0]["budget"] == seen[0] == 8 * 30


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-m", "org/a,org/b", "-s", "smoke", "-e", "scripted"), "say by --output"),
        (("-s", "smoke", "-e", "scripted", "-o", "out.zarr"), "either by --models or by --tree"),
        (("-m", "org/a,org/b", "-s", "smoke", "-e", "scripted", "--tensor", "small.npz"), "--engine replay"),
        (("-e", "replay"), "say by --tensor"),
        (("-e", "replay", "--tensor", "small.npz", "-m", "org/a"), "--models is for live engines"),
        (("-e", "replay", "--tensor", "small.npz", "--tree", "org/a"), "--tree is for live engines"),
        (("-e", "replay", "--tensor", "small.npz", "-s", "smoke"), "--suite is for live engines"),
        (("-e", "replay", "--tensor", "smal.npz", "-o", "out.zarr"), "smal.npz"),
    ],
)
def test_a_search_that_cannot_be_meant_is_refused_before_there_is_anything_on_the_disk(
    gembench, small, tmp_path, monkeypatch, arguments, expected
):
    monkeypatch.chdir(tmp_path)
    result = gembench("search", *arguments)
    assert expected in line_of(result)
    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == [small]


@needs_harness
@pytest.mark.parametrize(
    ("models", "suite", "engine", "output", "expected"),
    [
        ("org/a,org/b", "smoke", "scripted", "no/such/out.zarr", "there is no folder"),
        ("org/a,org/b", "smoke", "scripted", "s3://bucket/out.zarr", "local folder"),
        ("org/a,org/b", "smok", "scripted", "out.zarr", "did you mean smoke"),
        ("org/a,org/b", "smoke", "scriptd", "out.zarr", "did you mean scripted"),
        ("org/a,org/b", "smoke", "scripted:speed=3", "out.zarr", "speed"),
        ("no such folder", "smoke", "scripted", "out.zarr", "neither a folder here nor an id"),
    ],
)
def test_a_live_search_of_what_does_not_exist_is_refused_before_there_is_anything_on_the_disk(
    gembench, small, tmp_path, monkeypatch, models, suite, engine, output, expected
):
    monkeypatch.chdir(tmp_path)
    result = gembench("search", "-m", models, "-s", suite, "-e", engine, "-o", output)
    assert expected in line_of(result)
    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == [small]


LIVE = ("-m", "org/model-0,org/model-1,org/model-2", "-s", "smoke", "-e", "scripted")
REPLAYED = ("-e", "replay", "--tensor", "small.npz")


@pytest.mark.parametrize("ground", [pytest.param(LIVE, marks=needs_harness), REPLAYED], ids=["live", "replay"])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("-p", "ucbe"), "did you mean ucb"),
        (("-p", "ucb_e:exploratoin=3"), "exploration"),
        (("-n", "0"), "0 is not a positive number of queries"),
        (("-n", "ten"), "'ten' is not a number"),
        (("-n", "0.5"), "under one pull for each of"),
        (("--budget-seconds", "9", "--seconds-per-load", "5", "--seconds-per-query", "1"), "9 seconds do not pay for"),
        (("--budget-seconds", "0"), "0.0 is not in the range"),
        (("--seconds-per-load", "5"), "give both --seconds-per-load and --seconds-per-query"),
        (("--base", "org/model-99"), "--base org/model-99 is not among the"),
        (("--sampling", "both"), "'auto', 'shared', 'independent'"),
        (("--stop-within", "1"), "1.0 is not in the range"),
        (("--confidence", "0.4"), "0.4 is not in the range"),
        (("--top-k", "0"), "0 is not in the range"),
        (("--verify", "0"), "0 is not in the range"),
        (("--run", "-1"), "-1 is not in the range"),
        (("--card", "card.pdf"), "card.pdf: the name must end in .html or .md or .json"),
        (("--card", "missing/card.md"), "cannot write"),
        (("--card", "/proc/card.md"), "cannot write"),
        (("--json", "missing/found.json"), "cannot write"),
    ],
)
def test_a_setting_of_a_search_that_cannot_be_costs_nothing_and_leaves_nothing(
    gembench, small, tmp_path, monkeypatch, ground, options, expected
):
    monkeypatch.chdir(tmp_path)
    result = gembench("search", *ground, "-o", "out.zarr", *options)
    assert expected in line_of(result)
    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == [small]


@needs_harness
@pytest.mark.parametrize("options", [("-p", "ucbe"), ("-n", "0.5"), ("--base", "org/model-99")])
def test_a_mistyped_search_leaves_the_store_of_the_right_one_as_it_was(gembench, tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    right = ("search", *LIVE, "-o", "out.zarr", "-n", 3, "--json", "-")
    first = json.loads(gembench(*right).stdout)
    more = ("search", "-m", "org/model-0,org/model-1,org/model-2,org/model-3", *LIVE[2:], "-o", "out.zarr")
    result = gembench(*more, "-n", 3, *options)
    assert result.exit_code == 2
    # Who was in the race is remembered still, so that the newcomer stays out without --watch.
    again = json.loads(gembench(*more, "-n", 3, "--json", "-").stdout)
    assert (again["new_cells"], again["decision_digest"]) == (0, first["decision_digest"])


def test_a_search_over_what_is_no_recording_leaves_it_alone(gembench, small, tmp_path):
    result = gembench("search", "-e", "replay", "--tensor", small, "-n", 2, "-o", small.with_name("small.npz"))
    assert result.exit_code == 2
    (tmp_path / "taken.zarr").mkdir()
    result = gembench("search", "-e", "replay", "--tensor", small, "-n", 2, "-o", tmp_path / "taken.zarr")
    assert result.exit_code == 1
    assert "choose another place" in line_of(result)
    assert not list((tmp_path / "taken.zarr").iterdir())
