"""Which files of lm-eval are one run: in whichever folder, layout and place, and by whichever half it is named."""

import gzip
import json
import shutil

import fsspec
import pyarrow as pa
import pytest
from lm_eval_rows import DATE, as_lines, read_one, remarks, results, row, write_log
from spoiled import read_all

from gembench.data.sources import lm_eval
from gembench.data.sources.source import Choice
from gembench.errors import SourceError


def test_a_run_again_after_a_fix_is_a_log_of_its_own_with_its_own_date(tmp_path):
    for number, value in enumerate((0.0, 1.0)):
        content = results({"quiz": {"acc,none": value}}, date=float(number))
        write_log(tmp_path, {"quiz": [row("one", value)]}, content, date=f"2001-02-03T04-05-0{number}.5")
    first, second = read_all(lm_eval, tmp_path)
    assert (first.score.tolist(), second.score.tolist()) == ([0.0], [1.0])
    assert first.date < second.date
    assert first.identity == second.identity


def test_samples_without_results_are_of_the_model_that_their_folder_names(tmp_path):
    rows = [row("one", filter_name=name) for name in ("strict", "last")]
    write_log(tmp_path, {"a_quiz_of_2001": rows}, None)
    log = read_one(tmp_path)
    assert (log.identity["model"], log.date) == ("org__model", "2001-02-03T04:05:06.000007")
    assert (set(log.tasks), log.settings["metrics"]) == ({"a_quiz_of_2001"}, {"a_quiz_of_2001": "acc,strict"})
    assert "no results file" in remarks(log)


def test_results_without_samples_are_refused_with_the_option_that_writes_them(tmp_path):
    write_log(tmp_path, {}, results({"quiz": {"acc,none": 1.0}}))
    with pytest.raises(SourceError, match=rf"results_{DATE}.json: no samples_.*--log_samples"):
        read_one(tmp_path)


@pytest.mark.parametrize(
    "named", [f"results_{DATE}.json", f"samples_quiz_{DATE}.jsonl", "samples_q*", "results_*", "*.json*"]
)
def test_one_half_of_a_run_is_enough_to_name(tmp_path, named):
    place = write_log(tmp_path, {"quiz": [row("one")]}, results({"quiz": {"acc,none": 1.0}}), name="a [glob]")
    # In a glob, brackets are written as a set of one.
    folder = str(place).replace("[", "[[]") if "*" in named else str(place)
    (log,) = lm_eval.find_logs([f"{folder}/{named}"])
    assert [path.rsplit("/", 1)[-1] for path in log.files] == [f"results_{DATE}.json", f"samples_quiz_{DATE}.jsonl"]
    assert log.num_bytes == sum(path.stat().st_size for path in place.iterdir())


def test_only_the_task_that_is_named_is_read_and_nothing_twice(tmp_path):
    tasks = {"quiz": [row("one")], "sums": [row("one")]}
    place = write_log(tmp_path, tasks, results({task: {"acc,none": 1.0} for task in tasks}))
    name = str(place / f"samples_sums_{DATE}.jsonl")
    (log,) = lm_eval.find_logs([name, name])
    assert log.files == (str(place / f"results_{DATE}.json"), name)
    (log,) = lm_eval.find_logs([name, str(tmp_path), str(place)])
    assert len(log.files) == 3


def test_compressed_files_and_remote_ones_are_read(tmp_path):
    place = write_log(tmp_path, {"quiz": [row("one"), row("two", 0.0)]}, results({"quiz": {"acc,none": 0.5}}))
    system = fsspec.filesystem("memory")
    for path in place.iterdir():
        system.pipe(f"/logs/org__model/{path.name}.gz", gzip.compress(path.read_bytes()))
    log = read_one("memory://logs")
    assert (log.identity["model"], log.identity["folder"]) == ("org/model", "org__model")
    assert log.score.tolist() == [1.0, 0.0]
    assert [log.files[0] for log in lm_eval.find_logs(["memory://logs/org__model/samples_*"])] == [log.file]


@pytest.mark.parametrize(("ending", "codec"), [(".gz", "gzip"), (".zst", "zstd"), (".bz2", "bz2")])
def test_samples_may_be_packed(tmp_path, ending, codec):
    place = write_log(tmp_path, {"quiz": [row("one"), row("two", 0.0)]}, results({"quiz": {"acc,none": 0.5}}))
    plain = place / f"samples_quiz_{DATE}.jsonl"
    with pa.CompressedOutputStream(str(plain) + ending, codec) as stream:
        stream.write(plain.read_bytes())
    plain.unlink()
    assert read_one(tmp_path).score.tolist() == [1.0, 0.0]


def test_a_file_that_lies_there_twice_is_read_once(tmp_path):
    place = write_log(tmp_path, {"quiz": [row("one")]}, results({"quiz": {"acc,none": 1.0}}))
    for path in list(place.iterdir()):
        (place / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    log = read_one(tmp_path)
    assert len(log.queries) == 1
    assert [log.files[1:] for log in lm_eval.find_logs([str(tmp_path)])] == [
        tuple(str(place / f"samples_quiz_{DATE}.jsonl{ending}") for ending in ("", ".gz"))
    ]
    assert "another file of this run has the same task" in remarks(log)


def test_results_and_samples_of_different_folders_are_joined_by_their_date(tmp_path):
    samples, content = {"quiz": [row("one")]}, results({"quiz": {"acc,none": 1.0}})
    write_log(tmp_path / "details", samples, None, name="org__model")
    write_log(tmp_path / "results", {}, content, name="org/model")
    assert read_one(tmp_path).identity["model"] == "org/model"


def test_a_results_file_may_have_a_name_that_a_person_chose(tmp_path):
    place = write_log(tmp_path, {"quiz": [row("one")]}, results({"quiz": {"acc,none": 1.0}}))
    (place / f"results_{DATE}.json").rename(place / f"my_run_{DATE}.json")
    assert read_one(tmp_path).identity["model"] == "org/model"
    assert read_one(place / f"my_run_{DATE}.json").identity["model"] == "org/model"


@pytest.mark.parametrize("ending", ["jsonl", "json"])
def test_samples_of_an_early_version_are_one_array_and_may_name_their_filters(tmp_path, ending):
    rows = [row("one", filter_name="strict"), row("one", 0.0, filter_name="last")]
    place = write_log(tmp_path, {}, results({"quiz": {"acc,strict": 1.0, "acc,last": 0.0}}))
    (place / f"samples_quiz_{DATE}.{ending}").write_text(json.dumps(rows, indent=2))
    assert read_one(tmp_path).score.tolist() == [1.0]
    assert read_one(tmp_path, Choice(filter_name="last")).score.tolist() == [0.0]


def test_of_an_old_folder_the_names_of_the_tasks_are_told_from_the_model_s(tmp_path):
    content = results({name: {"acc,none": 1.0} for name in ("quiz", "long_quiz")})
    (tmp_path / "mine.json").write_text(json.dumps(content))
    for task in ("quiz", "long_quiz"):
        (tmp_path / f"pretrained__a_{task}.jsonl").write_bytes(as_lines([row("one")]))
    assert set(read_one(tmp_path).tasks) == {"quiz", "long_quiz"}


@pytest.mark.parametrize("content", ["", "README", "other"])
def test_a_place_without_logs_is_refused(tmp_path, content):
    if content:
        (tmp_path / f"{content}.json").write_text("{}")
    with pytest.raises(SourceError, match=f"{tmp_path}: no results_.* lies there"):
        lm_eval.find_logs([str(tmp_path)])


def test_logs_come_in_the_same_order_from_whichever_place(tmp_path):
    for name in ("b", "a", "c"):
        write_log(tmp_path, {"quiz": [row("one")]}, results({"quiz": {"acc,none": 1.0}}), name=name)
    places = [str(tmp_path / name) for name in ("c", "a", "b")]
    assert lm_eval.find_logs(places) == lm_eval.find_logs([str(tmp_path)])
    shutil.rmtree(tmp_path / "a")
    assert len(lm_eval.find_logs([str(tmp_path)])) == 2
