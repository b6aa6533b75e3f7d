"""AlpacaEval's annotations: the win rates that its leaderboard has, and rows that are no preference."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st
from spoiled import read_all, spoiled_json, survives, with_some, with_very_many

from gembench.data.outcomes import Outcome
from gembench.data.sources import alpaca_eval
from gembench.data.sources.source import Choice
from gembench.errors import SourceError

REAL = Path(os.environ.get("GEMBENCH_TEST_ALPACA_EVAL", "/nowhere"))
needs_real = pytest.mark.skipif(
    not REAL.is_dir(), reason="needs GEMBENCH_TEST_ALPACA_EVAL=FOLDER with phi-2-sft and gemma-2b-it of AlpacaEval 2"
)


def annotation(instruction, preference, **others):
    return {
        "instruction": instruction,
        "output_1": f"the reference on {instruction}",
        "generator_1": "reference",
        "dataset": "koala",
        "output_2": "an answer",
        "generator_2": "tuned",
        "annotator": "judge",
        "preference": preference,
        "price_per_example": 0.01,
        "raw_completion": None,
        **others,
    }


def write(folder, rows, name="annotations.json"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(rows))
    return folder


@needs_real
@pytest.mark.parametrize(("model", "win_rate"), [("phi-2-sft", 3.9776), ("gemma-2b-it", 3.4020)])
def test_two_real_files_have_the_win_rates_of_the_leaderboard(model, win_rate):
    (log,) = read_all(alpaca_eval, REAL / model)
    assert log.identity["model"] == model
    assert len(log.queries) == 805
    assert round(100 * log.score.mean(), 4) == win_rate


@needs_real
def test_two_real_models_answered_the_same_queries_against_the_same_reference():
    one, other = read_all(alpaca_eval, REAL)
    assert list(one.queries) == list(other.queries)
    assert one.query_columns == other.query_columns


def test_the_model_is_the_second_generator_and_its_score_is_the_preference_less_one(tmp_path):
    rows = [annotation("a", 1.0), annotation("b", 2), annotation("c", 1.25), annotation("d", 1.5)]
    (log,) = read_all(alpaca_eval, write(tmp_path / "some folder", rows))
    assert log.identity["model"] == "tuned"
    assert log.score.tolist() == [0.0, 1.0, 0.25, 0.5]
    assert set(log.outcome.tolist()) == {Outcome.ANSWERED}
    assert set(log.tasks) == {"judge:reference"}
    assert log.query_columns["subject"] == ["koala"] * 4


def test_zero_is_a_draw_as_old_files_write_it(tmp_path):
    (log,) = read_all(alpaca_eval, write(tmp_path, [annotation("a", 0), annotation("b", 0.0)]))
    assert log.score.tolist() == [0.5, 0.5]


def test_what_is_no_preference_is_ungraded_and_said_but_never_wrong(tmp_path):
    rows = [annotation(str(n), value) for n, value in enumerate([None, 2.5, 0.3, "2", True, float("nan"), 2.0])]
    (log,) = read_all(alpaca_eval, write(tmp_path, rows))
    assert log.outcome.tolist() == [Outcome.UNGRADED] * 6 + [Outcome.ANSWERED]
    assert np.isnan(log.score[:6]).all()
    assert log.num_rows == 7
    # Null is how the tool writes a judge that said nothing: common, and no surprise.
    (remark,) = log.remarks
    assert remark.num_rows == 5
    assert remark.message.endswith("first in annotation 2")


def test_judges_and_references_are_tasks_of_their_own(tmp_path):
    rows = [annotation("a", 1), annotation("a", 2, annotator="other"), annotation("a", 2, generator_1="davinci")]
    (log,) = read_all(alpaca_eval, write(tmp_path, rows))
    assert log.tasks == ["judge:reference", "other:reference", "judge:davinci"]


def test_an_instruction_that_occurs_twice_is_two_queries_and_the_same_two_in_every_file(tmp_path):
    write(tmp_path / "one", [annotation("a", 1), annotation("b", 1), annotation("a", 2)])
    write(tmp_path / "two", [annotation("a", 2), annotation("a", 1), annotation("b", 1)])
    one, two = read_all(alpaca_eval, tmp_path)
    assert set(one.queries) == set(two.queries)
    assert one.queries[2] == two.queries[1]


def test_an_input_or_another_dataset_makes_another_query(tmp_path):
    rows = [annotation("a", 1), annotation("a", 1, input="of this"), annotation("a", 1, dataset="oasst")]
    (log,) = read_all(alpaca_eval, write(tmp_path, rows))
    assert not any("#" in query for query in log.queries)


def test_a_file_of_two_models_is_two_logs(tmp_path):
    rows = [annotation("a", 1), annotation("a", 2, generator_2="org/other"), annotation("b", 1)]
    first, second = read_all(alpaca_eval, write(tmp_path, rows))
    assert (first.identity["model"], len(first.queries)) == ("tuned", 2)
    assert (second.identity["model"], second.score.tolist()) == ("org/other", [1.0])


BOARD = ",win_rate,standard_error,discrete_win_rate,length_controlled_winrate\ntuned,41.75,2,45.0,50.5\nother,9,,,\n"


def test_the_leaderboard_beside_a_file_is_what_the_tool_reports(tmp_path):
    write(tmp_path, [annotation("a", 1.67), annotation("b", 1.165)])
    (tmp_path / "leaderboard.csv").write_text(BOARD)
    (log,) = read_all(alpaca_eval, tmp_path)
    assert log.reported == {"judge:reference": pytest.approx(0.4175, abs=1e-12)}
    assert log.score.mean() == pytest.approx(0.4175, abs=1e-12)


def test_the_leaderboard_s_one_figure_is_not_that_of_either_judge(tmp_path):
    write(tmp_path, [annotation("a", 1.67), annotation("a", 1.165, annotator="other")])
    (tmp_path / "leaderboard.csv").write_text(BOARD)
    (log,) = read_all(alpaca_eval, tmp_path)
    assert log.reported == {}


def test_the_other_metrics_of_the_tool_can_be_chosen(tmp_path):
    # What a judge's preference becomes: 1 or 2, whichever is nearer, and a draw stays one.
    rows = [annotation("a", 1.49, glm_preference=0.3), annotation("b", 1.51, glm_preference=0.9)]
    write(tmp_path, [*rows, annotation("c", 1.5, glm_preference=0.315)])
    (tmp_path / "leaderboard.csv").write_text(BOARD)
    (discrete,) = read_all(alpaca_eval, tmp_path, choice=Choice(metric="discrete_win_rate"))
    assert discrete.score.tolist() == [0.0, 1.0, 0.5]
    assert discrete.reported == {"judge:reference": pytest.approx(0.45)}
    (controlled,) = read_all(alpaca_eval, tmp_path, choice=Choice(metric="length_controlled_winrate"))
    assert controlled.score.mean() == pytest.approx(0.505)
    assert controlled.reported == {"judge:reference": pytest.approx(0.505)}


def test_a_metric_that_is_not_there_is_refused_by_name(tmp_path):
    write(tmp_path, [annotation("a", 1)])
    with pytest.raises(SourceError, match="no metric 'accuracy'; choose one of win_rate"):
        read_all(alpaca_eval, tmp_path, choice=Choice(metric="accuracy"))
    with pytest.raises(SourceError, match="annotation 1 has no 'glm_preference'"):
        read_all(alpaca_eval, tmp_path, choice=Choice(metric="length_controlled_winrate"))
    with pytest.raises(SourceError, match="no filters"):
        read_all(alpaca_eval, tmp_path, choice=Choice(filter_name="strict"))


def test_files_are_found_in_folders_globs_and_under_other_names_and_may_be_packed(tmp_path):
    write(tmp_path / "a" / "judge", [annotation("a", 1)])
    write(tmp_path / "b" / "judge", [annotation("a", 2)])
    write(tmp_path / "b" / "judge", [], name="model_outputs.json")
    packed = tmp_path / "c" / "annotations.json.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(json.dumps([annotation("a", 1.5)]).encode()))
    assert [log.score[0] for log in read_all(alpaca_eval, tmp_path)] == [0, 1, 0.5]
    assert [log.score[0] for log in read_all(alpaca_eval, f"{tmp_path}/*/judge")] == [0, 1]
    write(tmp_path, [annotation("a", 2)], name="tuned [new].json")
    assert [log.score[0] for log in read_all(alpaca_eval, tmp_path / "tuned [new].json")] == [1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1"),
        ('[\n{"instruction": "a",', "line 2"),
        ("[]", "no annotation at all"),
        ('{"instruction": "a"}', "no list of annotations"),
        ("[1]", "annotation 1 is no object"),
        ('[{"instruction": "a", "preference": 1}]', "annotation 1 has no 'generator_2'"),
        ('[{"generator_2": "a", "preference": 1}]', "annotation 1 has no 'instruction'"),
        ('[{"generator_2": "a", "instruction": "b"}]', "annotation 1 has no 'preference'"),
        ("[" * 100_000, "line 1"),
        ("9" * 10_000, "line 1"),
    ],
)
def test_a_file_that_is_none_is_refused_by_name_and_place(tmp_path, text, message):
    (tmp_path / "annotations.json").write_text(text)
    with pytest.raises(SourceError, match=message) as caught:
        read_all(alpaca_eval, tmp_path)
    assert "annotations.json" in str(caught.value)


def test_nothing_found_is_said(tmp_path):
    with pytest.raises(SourceError, match=r"no annotations.json lies there"):
        alpaca_eval.find_logs([str(tmp_path)])
    with pytest.raises(SourceError, match="nothing lies there"):
        alpaca_eval.find_logs([str(tmp_path / "missing")])
    (tmp_path / "leaderboard.csv").write_text(BOARD)
    with pytest.raises(SourceError, match=r"no annotations.json lies there"):
        alpaca_eval.find_logs([str(tmp_path)])


ROWS = [annotation("a", 1.2), annotation("b", 2, glm_preference=0.5), annotation("a", None, input="c")]


def read_spoiled(folder, data, metric):
    (folder / "annotations.json").write_bytes(data)
    survives(alpaca_eval, folder, Choice(metric=metric))


SPOILED = {"data": spoiled_json(ROWS), "metric": st.sampled_from(alpaca_eval.METRICS)}


@with_some(**SPOILED)
def test_whatever_is_wrong_in_a_file_is_one_clear_line(tmp_path, data, metric):
    read_spoiled(tmp_path, data, metric)


@with_very_many(**SPOILED)
def test_whatever_is_wrong_in_a_file_is_one_clear_line_often(tmp_path, data, metric):
    read_spoiled(tmp_path, data, metric)
