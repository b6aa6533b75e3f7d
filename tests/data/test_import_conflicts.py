"""Which runs are one model, and what becomes of those that disagree."""

import fake_format
import pytest
from fake_format import write_log
from fake_imports import A, B, run, values

from gembench.data.import_settings import ImportSettings
from gembench.data.outcomes import Outcome
from gembench.errors import SourceError, UsageError

pytestmark = pytest.mark.usefixtures("fake_catalog")


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
