"""What all formats share, by hand: logs of a made-up format become a tensor."""

import json
import random

import numpy as np
import pytest
from fake_format import write_log
from fake_imports import A, B, run, values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gembench.data.outcomes import Outcome
from gembench.data.schema import make_tensor
from gembench.data.sources.source import Choice
from gembench.data.tensor import open_tensor, write_tensor
from gembench.errors import SourceError, UsageError

pytestmark = pytest.mark.usefixtures("fake_catalog")


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
