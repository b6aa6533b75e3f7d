"""What all formats share, by hand: logs of a made-up format become a tensor."""

import json
import random
import subprocess
import sys

import fake_format
import numpy as np
import pytest
from fake_format import reads, write_log
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensor_examples import full_tensor

from gembench.data.import_settings import ImportSettings
from gembench.data.importing import SPOOL_SUFFIX, import_logs
from gembench.data.outcomes import Outcome
from gembench.data.recording import JOURNAL_SUFFIX
from gembench.data.schema import make_tensor
from gembench.data.sources import catalog
from gembench.data.sources.source import Choice
from gembench.data.tensor import open_tensor, write_tensor
from gembench.errors import SourceError, TensorExistsError, TensorNotFoundError, UsageError

A = {"identity": {"model": "org/a"}}
B = {"identity": {"model": "org/b"}}


@pytest.fixture(autouse=True)
def fake(monkeypatch):
    monkeypatch.setattr(catalog, "FORMATS", {"fake": catalog.Format("fake_format", "made up")})


@pytest.fixture
def logs(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def store(tmp_path):
    return tmp_path / "out.zarr"


def run(places, store, *, append=False, overwrite=False, num_processes=None, **options):
    places = [str(place) for place in (places if isinstance(places, list) else [places])]
    return import_logs(
        "fake",
        places,
        store,
        ImportSettings(**options),
        append=append,
        overwrite=overwrite,
        num_processes=num_processes,
    )


def values(store, name="correct"):
    """By model, its cells by query."""
    tensor = open_tensor(store)
    return {
        str(model): dict(zip(map(str, tensor["query"].values), row.tolist(), strict=True))
        for model, row in zip(tensor["model"].values, tensor[name].values, strict=True)
    }


# What a tensor holds


def test_rows_become_cells_and_what_was_not_answered_is_neither_right_nor_wrong(logs, store):
    rows = [
        ["t/1", 1.0, Outcome.ANSWERED],
        ["t/2", 0.0, Outcome.ANSWERED],
        ["t/3", 0.5, Outcome.TRUNCATED],
        ["t/4", None, Outcome.UNGRADED],
        ["t/5", None, Outcome.FAILED],
    ]
    write_log(logs / "a.json", {**A, "rows": rows}, {**B, "rows": [["u/6", 1]]})
    report = run(logs, store)
    tensor = open_tensor(store)
    assert tensor["query"].values.tolist() == ["t/1", "t/2", "t/3", "t/4", "t/5", "u/6"]
    assert tensor["task"].values.tolist() == ["t"] * 5 + ["u"]
    assert tensor["correct"].values.tolist() == [[1, 0, -1, -1, -1, -1], [-1, -1, -1, -1, -1, 1]]
    assert tensor["outcome"].values.tolist() == [[1, 1, 2, 3, 4, 0], [0, 0, 0, 0, 0, 1]]
    assert "score" not in tensor  # 0 and 1 say no more than `correct`
    assert report.num_cells == {"not_asked": 6, "answered": 3, "truncated": 1, "ungraded": 1, "failed": 1}
    assert (report.num_models, report.num_queries, report.num_tasks, report.num_rows) == (2, 6, 2, 6)
    assert report.content_digest == tensor.attrs["content_digest"]


def test_the_digest_is_that_of_the_same_cells_written_by_hand(logs, store, tmp_path):
    write_log(logs / "a.json", {**A, "rows": [["t/2", 0], ["t/1", 1]]})
    write_log(logs / "b.json", {**B, "rows": [["t/1", 0]]})
    by_hand = make_tensor(np.array([[1, 0], [0, -1]], np.int8), ["org/a", "org/b"], ["t/1", "t/2"], tasks=["t", "t"])
    assert run(logs, store).content_digest == write_tensor(by_hand, tmp_path / "by-hand.zarr")


def test_the_digest_does_not_depend_on_the_order_of_logs_or_rows_or_on_the_number_of_processes(logs, tmp_path):
    rng = random.Random(0)
    files = []
    for model in range(6):
        rows = [[f"t/{query}", rng.choice([0, 0.25, 1])] for query in range(20)]
        rng.shuffle(rows)
        for half, part in enumerate((rows[:9], rows[9:])):
            identity = {"model": f"org/{model}"}
            files.append(write_log(logs / f"{model}-{half}.json", {"identity": identity, "rows": part}))
    digests = set()
    for number, num_processes in enumerate([1, 2, 3, None]):
        rng.shuffle(files)
        store = tmp_path / f"{number}.zarr"
        digests.add(run(files, store, num_processes=num_processes).content_digest)
        assert open_tensor(store)["query"].values.tolist() == sorted(f"t/{query}" for query in range(20))
    assert len(digests) == 1


def test_logs_of_the_same_queries_in_other_orders_are_not_mixed_up(logs, store):
    write_log(logs / "a.json", {**A, "rows": [["t/1", 0], ["t/2", 1]]})
    write_log(logs / "b.json", {**B, "rows": [["t/2", 0], ["t/1", 1]]})
    run(logs, store)
    assert values(store) == {"org/a": {"t/1": 0, "t/2": 1}, "org/b": {"t/1": 1, "t/2": 0}}


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_matrix_cut_into_logs_any_way_comes_out_whole(tmp_path_factory, data):
    num_models, num_queries = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 6))
    cells = data.draw(
        st.lists(
            st.sampled_from([None, 0, 1]), min_size=num_models * num_queries, max_size=num_models * num_queries
        ).filter(any)
    )
    matrix = np.asarray([-1 if cell is None else cell for cell in cells], np.int8).reshape(num_models, num_queries)
    folder = tmp_path_factory.mktemp("logs")
    for model, row in enumerate(matrix):
        asked = [[f"t{query % 2}/{query}", int(row[query])] for query in np.flatnonzero(row >= 0)]
        for number, rows in enumerate(
            [asked] if data.draw(st.booleans()) else [asked[::2][::-1], asked[1::2], asked[:1]]
        ):
            write_log(folder / f"{model}-{number}.json", {"identity": {"model": str(model)}, "rows": rows})
    run(folder, folder / "out.zarr")
    found = values(folder / "out.zarr")
    expected = {
        str(model): {f"t{query % 2}/{query}": int(row[query]) for query in range(num_queries)}
        for model, row in enumerate(matrix)
        if (row >= 0).any()
    }
    asked_of_any = {f"t{query % 2}/{query}" for query in np.flatnonzero((matrix >= 0).any(axis=0))}
    assert found == {
        model: {query: cell for query, cell in row.items() if query in asked_of_any} for model, row in expected.items()
    }


def test_scores_are_kept_and_right_is_what_reaches_the_threshold(logs, store, tmp_path):
    scores = [0.0, 0.29, 0.3, 0.31, 1.0]
    write_log(logs / "a.json", {**A, "rows": [[f"t/{number}", score] for number, score in enumerate(scores)]})
    report = run(logs, store, threshold=0.3)
    assert list(values(store)["org/a"].values()) == [0, 0, 1, 1, 1]
    assert open_tensor(store)["score"].values[0].tolist() == np.asarray(scores, np.float32).tolist()
    assert (report.threshold, report.num_between) == (0.3, 3)
    run(logs, tmp_path / "half.zarr")
    assert list(values(tmp_path / "half.zarr")["org/a"].values()) == [0, 0, 0, 0, 1]
    for threshold in (0, 1.01, -0.5):
        with pytest.raises(UsageError, match="threshold"):
            run(logs, tmp_path / "none.zarr", threshold=threshold)


def test_a_log_that_says_itself_what_is_right_is_believed_and_its_scores_are_kept(logs, store):
    write_log(logs / "a.json", {**A, "rows": [["t/1", 0.9], ["t/2", 0.1], ["t/3", 0]], "correct": [0, 1, 0]})
    run(logs, store)
    assert list(values(store)["org/a"].values()) == [0, 1, 0]
    write_log(logs / "a.json", {**A, "rows": [["t/1", 1], ["t/2", 0]], "correct": [1, 0]})
    run(logs, store, overwrite=True)
    assert list(values(store, "score")["org/a"].values()) == [1, 0]


def test_seconds_and_repeats_are_kept_where_logs_have_them(logs, store):
    write_log(logs / "a.json", {**A, "rows": [["t/2", 0.5], ["t/1", 1]], "seconds": [2.5, 1.5], "repeats": [4, 1]})
    write_log(logs / "b.json", {**B, "rows": [["t/1", 1]]})
    run(logs, store)
    tensor = open_tensor(store)
    np.testing.assert_array_equal(tensor["seconds"], [[1.5, 2.5], [np.nan, np.nan]])
    assert tensor["repeats"].values.tolist() == [[1, 4], [1, 0]]
    write_log(logs / "a.json", {**A, "rows": [["t/2", 0.5]], "seconds": [np.nan], "repeats": [1]})
    run(logs, store, overwrite=True)
    assert set(open_tensor(store).data_vars) == {"correct", "outcome", "score"}  # once each is nothing to keep


def test_texts_of_queries_and_what_is_known_of_models_become_coordinates(logs, store):
    identity = {"model": "org/a", "revision": "abc"}
    model = {"identity": identity, "model_columns": {"num_parameters": 7, "license": "mit"}}
    columns = {"doc_hash": ["d2", "d1"], "target_hash": ["", ""], "subject": ["s2", ""]}
    write_log(logs / "a.json", {**model, "rows": [["t/2", 1], ["t/1", 1]], "query_columns": columns})
    write_log(logs / "b.json", {**B, "rows": [["t/1", 1]], "query_columns": {"subject": ["s1"]}})
    run(logs, store)
    tensor = open_tensor(store)
    assert tensor["model"].values.tolist() == ["org/a@abc", "org/b"]
    assert tensor["revision"].values.tolist() == ["abc", ""]
    assert tensor["license"].values.tolist() == ["mit", ""]
    np.testing.assert_array_equal(tensor["num_parameters"], [7, np.nan])
    assert tensor["doc_hash"].values.tolist() == ["d1", "d2"]
    assert tensor["subject"].values.tolist() == ["s1", "s2"]
    assert "target_hash" not in tensor.coords


def test_the_tensor_says_where_it_comes_from(logs, store):
    write_log(logs / "a.json", {**A, "rows": [["t/1", 1]], "settings": {"seed": 1, "shots": 5}, "reported": {"t": 1.0}})
    write_log(logs / "b.json", {**B, "rows": [["t/1", 0]], "settings": {"seed": 1, "shots": 0}})
    run(logs, store, choice=Choice(metric="acc"))
    attributes = open_tensor(store).attrs
    assert attributes["reported"] == {"org/a": {"t": 1.0}}
    (record,) = attributes["imports"]
    assert (record["format"], record["metric"], record["threshold"]) == ("fake", "acc", 0.5)
    assert record["settings"] == {"seed": 1}
    assert sorted(record["differing_settings"]["shots"]) == [[0, 1], [5, 1]]
    assert record["report"]["num_rows"] == 2
    assert str(logs) not in json.dumps(attributes)


# Names


def test_two_runs_of_one_name_that_differ_are_refused_with_a_pattern_that_tells_them_apart(logs, store):
    for number, dtype in enumerate(["bf16", "f32"]):
        identity = {"model": "org/a", "revision": "main", "model_args": f"dtype={dtype}", "folder": str(number)}
        write_log(logs / f"{number}.json", {"identity": identity, "rows": [["t/1", number]]})
    with pytest.raises(SourceError) as caught:
        run(logs, store)
    message = str(caught.value)
    assert "model_args is 'dtype=bf16' and 'dtype=f32'" in message
    assert "folder" not in message
    assert "--model-name '{model}@{revision}@{model_args}'" in message
    run(logs, store, model_name="{model}@{revision}@{model_args}")
    assert values(store) == {"org/a@main@dtype=bf16": {"t/1": 0}, "org/a@main@dtype=f32": {"t/1": 1}}


def test_a_pattern_can_also_say_that_different_runs_are_one_model(logs, store):
    for number in range(2):
        identity = {"model": "org/a", "model_args": str(number)}
        write_log(logs / f"{number}.json", {"identity": identity, "rows": [[f"t/{number}", number]]})
    run(logs, store, model_name="{model}")
    assert values(store) == {"org/a": {"t/0": 0, "t/1": 1}}


@pytest.mark.parametrize(
    "pattern", ["org/a", "", "{", "{}", "{0}", "{model.__class__}", "{model[0]}", "{model!r}", "{model:>{model}}"]
)
def test_a_name_that_is_no_pattern_of_fields_is_refused(pattern):
    with pytest.raises(UsageError, match="model name"):
        ImportSettings(model_name=pattern)


def test_a_field_that_a_log_does_not_have_is_answered_with_those_that_it_has(logs, store):
    write_log(logs / "a.json", {**A, "rows": [["t/1", 1]]})
    with pytest.raises(UsageError, match=r"a\.json: there is no \{revision\}.*\{model\}"):
        run(logs, store, model_name="{model}@{revision}")


# Logs that disagree


@pytest.fixture
def disagreeing(logs):
    """Two runs of a model, the second, which has the first file name, disagreeing on two of three common queries."""
    early = [["t/1", 1], ["t/2", 0], ["t/3", 0], ["t/4", 1]]
    late = [["t/2", 1], ["t/3", 1], ["t/4", 1], ["t/5", 0]]
    write_log(logs / "z.json", {**A, "date": "2024-01-01T23:30:00+00:00", "rows": early})
    write_log(logs / "a.json", {**A, "date": "2024-01-02T00:00:00+00:00", "rows": late})
    return logs


def test_logs_that_disagree_are_an_error_that_says_where(disagreeing, store):
    with pytest.raises(SourceError) as caught:
        run(disagreeing, store)
    message = str(caught.value)
    assert "org/a: " in message
    assert "z.json" in message
    assert "a.json" in message
    assert "disagree on 2 queries, first 't/2': 0 and 1" in message
    assert "--on-conflict" in message
    assert not store.exists()


@pytest.mark.parametrize(("kept", "cells"), [("first", [1, 0, 0, 1, 0]), ("last", [1, 1, 1, 1, 0])])
def test_of_logs_that_disagree_the_first_or_last_by_date_can_be_taken(disagreeing, store, kept, cells):
    report = run(disagreeing, store, on_conflict=kept)
    assert list(values(store)["org/a"].values()) == cells
    (conflict,) = report.conflicts
    assert (conflict.model, conflict.num_queries, conflict.kept) == ("org/a", 2, kept)
    assert (conflict.earlier_score, conflict.later_score) == (0, 1)


def test_dates_are_compared_as_instants_and_not_as_texts(logs, store):
    write_log(logs / "a.json", {**A, "date": "2024-01-02T01:00:00+02:00", "rows": [["t/1", 0]]})  # 23:00 the day before
    write_log(logs / "b.json", {**A, "date": "2024-01-01T23:30:00Z", "rows": [["t/1", 1]]})
    run(logs, store, on_conflict="last")
    assert values(store) == {"org/a": {"t/1": 1}}


def test_a_date_without_a_zone_is_in_utc(logs, store):
    write_log(logs / "a.json", {**A, "date": "2024-01-02T01:00:00", "rows": [["t/1", 1]]})
    write_log(logs / "b.json", {**A, "date": "2024-01-02T02:30:00+02:00", "rows": [["t/1", 0]]})  # half past midnight
    run(logs, store, on_conflict="last")
    assert values(store) == {"org/a": {"t/1": 1}}


@pytest.mark.parametrize("dates", [("", ""), ("2024-01-01", ""), ("2024-01-01", "2024-01-01T00:00:00Z")])
def test_the_first_or_last_of_logs_whose_dates_do_not_tell_is_refused(logs, store, dates):
    for number, date in enumerate(dates):
        write_log(logs / f"{number}.json", {**A, "date": date, "rows": [["t/1", number]]})
    with pytest.raises(SourceError, match="do not say which was first"):
        run(logs, store, on_conflict="last")


def test_an_answer_stands_over_a_failure_whatever_their_dates_and_that_is_no_conflict(logs, store):
    failed, truncated = [["t/1", None, Outcome.FAILED]], [["t/1", None, Outcome.TRUNCATED]]
    write_log(logs / "1.json", {**A, "date": "2024-01-01", "rows": failed})
    write_log(logs / "2.json", {**A, "date": "2024-01-02", "rows": [["t/1", 0]]})
    write_log(logs / "3.json", {**A, "date": "2024-01-03", "rows": truncated})
    assert run(logs, store).conflicts == []
    assert values(store, "outcome") == {"org/a": {"t/1": Outcome.ANSWERED}}
    assert values(store) == {"org/a": {"t/1": 0}}


def test_a_query_that_is_of_two_tasks_is_refused(logs, store, monkeypatch):
    write_log(logs / "a.json", {**A, "rows": [["t/1", 0]]})
    write_log(logs / "b.json", {**B, "rows": [["t/1", 0]]})
    read_log = fake_format.read_log

    def with_other_tasks(log, choice):
        for model in read_log(log, choice):
            yield model if model.identity["model"] == "org/a" else type(model)(**{**vars(model), "tasks": ["u"]})

    monkeypatch.setattr(fake_format, "read_log", with_other_tasks)
    with pytest.raises(SourceError, match=r"b\.json: query 't/1' is of the task 'u', but elsewhere of 't'"):
        run(logs, store)


# What is left out


def test_models_then_queries_with_too_few_answers_are_left_out_and_the_report_says_why(logs, store):
    write_log(logs / "a.json", {**A, "rows": [[f"t/{number}", 1] for number in range(10)]})
    write_log(logs / "b.json", {**B, "rows": [[f"t/{number}", 0] for number in range(5)]})
    failed = [[f"t/{number}", None, Outcome.FAILED] for number in range(1, 10)]
    write_log(logs / "c.json", {"identity": {"model": "org/c"}, "rows": [["t/0", 1], *failed]})
    report = run(logs, store, min_coverage=0.5)
    assert list(values(store)) == ["org/a", "org/b"]
    assert [(one.name, one.reason) for one in report.dropped_models] == [
        ("org/c", "answered 1 of 10 queries (10.0%), under 50.0%")
    ]
    assert report.dropped_queries == []
    run(logs, store, min_coverage=0.51, overwrite=True)
    assert list(values(store)) == ["org/a"]


def test_queries_are_left_out_by_the_models_that_stay(logs, store):
    for model in range(4):
        rows = [[f"t/{query}", (model + query) % 2] for query in range(9) if query != 4 or model == 3]
        write_log(logs / f"{model}.json", {"identity": {"model": f"org/{model}"}, "rows": rows})
    report = run(logs, store, min_coverage=0.3)
    assert [(one.name, one.reason) for one in report.dropped_queries] == [
        ("t/4", "answered by 1 of 4 models (25.0%), under 30.0%")
    ]
    kept = [query for query in range(9) if query != 4]
    expected = {f"org/{model}": {f"t/{query}": (model + query) % 2 for query in kept} for model in range(4)}
    assert values(store) == expected
    assert report.num_queries == 8


def test_a_model_without_a_usable_row_is_left_out_and_its_remarks_stay(logs, store):
    write_log(logs / "a.json", {**A, "rows": [["t/1", 1]]})
    write_log(logs / "b.json", {**B, "rows": [], "num_rows": 3, "remarks": [[1, "not scored", 2], [3, "not scored"]]})
    report = run(logs, store)
    assert [(one.name, one.reason) for one in report.dropped_models] == [("org/b", "has no row that can be used")]
    assert report.num_rows == 4
    (remark,) = report.remarks
    assert (remark.message, remark.line, remark.num_rows) == ("not scored", 1, 3)
    assert remark.file.endswith("b.json")


def test_a_log_that_cannot_be_used_is_left_out_and_the_others_are_written(logs, store):
    write_log(logs / "a.json", {**A, "rows": [["t/1", 1]]})
    write_log(logs / "b.json", {"problem": "7: the line is cut short"})
    report = run(logs, store)
    assert values(store) == {"org/a": {"t/1": 1}}
    (unusable,) = report.unusable_logs
    assert unusable.problem == f"{logs / 'b.json'}:7: the line is cut short"


def test_where_no_log_can_be_used_nothing_is_left_behind(logs, store, tmp_path):
    for name in ("a", "b"):
        write_log(logs / f"{name}.json", {"problem": "1: broken"})
    with pytest.raises(SourceError, match=r"none of the 2 logs can be used; the first: .*a\.json:1: broken"):
        run(logs, store)
    assert list(tmp_path.iterdir()) == [logs]


def test_logs_without_any_row_are_an_error(logs, store):
    write_log(logs / "a.json", {**A, "rows": []})
    with pytest.raises(SourceError, match="no row that can be used"):
        run(logs, store)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["t/1", 37.2]], "37.2 for query 't/1' is a score that is not in"),
        ([["t/1", None]], "nan for query 't/1' is a score that is not in"),
        ([["t/1", 0.5, Outcome.FAILED]], "a score without an answer"),
        ([["t/1", 1, 9]], "an outcome that does not exist"),
        ([["t/1", 1], ["t/1", 1]], "two have the same"),
    ],
)
def test_a_reader_that_breaks_its_contract_does_not_reach_the_tensor(logs, store, rows, message):
    write_log(logs / "a.json", {**A, "rows": rows})
    with pytest.raises(SourceError, match=message):
        run(logs, store)


# Means


def test_means_are_compared_with_the_reported_ones_and_differences_over_a_twentieth_of_a_point_are_listed(logs, store):
    rows = [[f"{task}/{number}", int(number < 300)] for number in range(1000) for task in "tuv"]
    write_log(logs / "a.json", {**A, "rows": rows, "reported": {"t": 0.3004, "u": 0.3006, "w": 0.9}})
    report = run(logs, store)
    assert [(one.task, one.num_rows, one.found, one.reported) for one in report.means] == [
        ("t", 1000, 0.3, 0.3004),
        ("u", 1000, 0.3, 0.3006),
        ("v", 1000, 0.3, None),
    ]
    (difference,) = report.differences
    assert (difference.model, difference.task) == ("org/a", "u")
    assert difference.difference == pytest.approx(-0.0006)


def test_what_failed_is_no_part_of_a_mean_and_what_was_cut_short_is_if_it_has_a_score(logs, store):
    rows = [["t/1", 1], ["t/2", 0.5, Outcome.TRUNCATED], ["t/3", None, Outcome.FAILED]]
    write_log(logs / "a.json", {**A, "rows": rows})
    (mean,) = run(logs, store).means
    assert (mean.num_rows, mean.found) == (2, 0.75)


# Adding to a tensor


def test_appending_logs_gives_what_importing_all_at_once_gives(logs, store, tmp_path):
    rng = random.Random(1)
    for model in range(4):
        rows = [[f"t/{query}", rng.choice([0, 0.5, 1])] for query in range(model, model + 5)]
        write_log(logs / f"{model}.json", {"identity": {"model": f"org/{3 - model}"}, "rows": rows})
    once = run(logs, tmp_path / "once.zarr")
    run([logs / "2.json"], store)
    run([logs / "0.json", logs / "3.json"], store, append=True)
    last = run([logs / "1.json"], store, append=True)
    assert last.content_digest == once.content_digest
    assert len(open_tensor(store).attrs["imports"]) == 3


def test_appending_keeps_all_else_that_the_tensor_holds(logs, store):
    before = full_tensor().isel(model=[3, 1, 0, 2, 5, 4]).assign(temperature=("model", np.arange(6.0)), note=((), 3))
    before["model_status"] = ("model", np.asarray(["ok"] * 6, object))
    write_tensor(before, store)
    write_log(logs / "a.json", {**A, "rows": [["arc/0", 1], ["t/new", 0]]})
    run(logs, store, append=True)
    after = open_tensor(store)
    assert after.sizes == {"model": 7, "query": 6}
    old = after.sel(model=before["model"].values, query=before["query"].values)
    for name in before.variables:
        np.testing.assert_array_equal(old[name].values.astype(before[name].dtype), before[name].values, str(name))
    new = after.sel(model="org/a")
    assert new["correct"].sel(query=["arc/0", "arc/1", "t/new"]).values.tolist() == [1, -1, 0]
    assert (str(new["model_status"].values), str(new["parent"].values)) == ("ok", "")
    assert np.isnan(new["downloads"])
    assert after.attrs["suite"] == "tests"


@pytest.mark.parametrize(("kept", "expected"), [("first", 1), ("last", 0)])
def test_a_tensor_that_is_added_to_counts_as_the_first(logs, store, kept, expected):
    write_tensor(make_tensor(np.array([[1]], np.int8), ["org/a"], ["t/1"], tasks=["t"]), store)
    write_log(logs / "a.json", {**A, "rows": [["t/1", 0]]})
    with pytest.raises(SourceError, match="org/a: the tensor and"):
        run(logs, store, append=True)
    assert values(store) == {"org/a": {"t/1": 1}}
    run(logs, store, append=True, on_conflict=kept)
    assert values(store) == {"org/a": {"t/1": expected}}


def test_appending_the_same_logs_again_changes_nothing(logs, store):
    write_log(logs / "a.json", {**A, "rows": [["t/1", 1 / 3], ["t/2", 1]]})  # a third is rounded to float32
    first = run(logs, store)
    again = run(logs, store, append=True)
    assert (again.content_digest, again.conflicts) == (first.content_digest, [])


def test_there_must_be_something_to_append_to_and_nothing_else_is_overwritten_unasked(logs, store):
    write_log(logs / "a.json", {**A, "rows": [["t/1", 1]]})
    with pytest.raises(TensorNotFoundError):
        run(logs, store, append=True)
    run(logs, store)
    (logs / "reads.txt").unlink()
    with pytest.raises(TensorExistsError):
        run(logs, store)
    assert reads(logs) == []  # it is said before anything is read
    run(logs, store, overwrite=True)


def test_a_recording_is_not_appended_to(logs, store):
    write_log(logs / "a.json", {**A, "rows": [["t/1", 1]]})
    run(logs, store)
    store.with_name(store.name + JOURNAL_SUFFIX).touch()
    with pytest.raises(UsageError, match="a recording writes this tensor anew"):
        run(logs, store, append=True)


def test_a_store_whose_folder_is_missing_is_refused_before_anything_is_read(logs, tmp_path):
    write_log(logs / "a.json", {**A, "rows": [["t/1", 1]]})
    with pytest.raises(UsageError, match="make it first"):
        run(logs, tmp_path / "nowhere" / "out.zarr")
    assert reads(logs) == []


# The spool


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
