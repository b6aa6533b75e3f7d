"""Tables: long and wide, in every kind of file, by their columns' names."""

import re

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from long_tables import LONG, LONG_FILES, as_parquet, write
from spoiled import read_all

from gembench.data.outcomes import Outcome
from gembench.data.sources import table
from gembench.data.sources.source import Choice
from gembench.errors import SourceError

A, N = Outcome.ANSWERED, Outcome.NOT_ASKED


@pytest.mark.parametrize("name", LONG_FILES)
def test_a_long_table_is_read_from_every_kind_of_file(tmp_path, name):
    first, second = read_all(table, write(tmp_path / name, LONG_FILES[name]))
    assert (first.identity, second.identity) == ({"model": "m1"}, {"model": "m2"})
    assert list(zip(first.queries, first.tasks, strict=True)) == [("arc/0", "arc"), ("gsm/0", "gsm"), ("arc/1", "arc")]
    assert first.outcome.tolist() == [A, A, N]
    np.testing.assert_array_equal(first.score, [1, 0, np.nan])
    assert (list(second.queries), second.score.tolist()) == (["arc/0"], [0.25])
    assert first.correct is None
    assert first.num_rows + second.num_rows == 4


def test_a_table_is_read_from_a_url(tmp_path):
    for name in ("long.csv", "long.csv.gz", "long.parquet", "long.jsonl"):
        content = LONG_FILES[name]
        with fsspec.open(f"memory://table-test/{name}", "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        first, _ = read_all(table, f"memory://table-test/{name}")
        assert list(first.queries) == ["arc/0", "gsm/0", "arc/1"]
    assert len(table.find_logs(["memory://table-test"])) == 4


@pytest.mark.parametrize("name", ["wide.csv", "wide.parquet", "pandas.csv"])
def test_a_wide_table_has_a_row_a_model_and_a_column_a_query(tmp_path, name):
    text = "model,007,a.b,b\nm1,1,0.5,\nm2,true,0,1\n"
    content = {
        "wide.csv": text,
        "pandas.csv": text.removeprefix("model"),
        "wide.parquet": as_parquet(
            {"model": ["m1", "m2"], "007": [1, 1], "a.b": [0.5, 0.0], "b": pa.array([None, True])}
        ),
    }[name]
    first, second = read_all(table, write(tmp_path / name, content))
    assert list(first.queries) == ["007", "a.b", "b"]
    np.testing.assert_array_equal(first.score, [1, 0.5, np.nan])
    assert first.outcome.tolist() == [A, A, N]
    assert second.score.tolist() == [1, 0, 1]
    assert set(first.tasks) == {""}


def test_what_was_guessed_is_said_once_and_what_was_chosen_is_taken(tmp_path):
    text = "Model Name,model_id,Question_ID,item,score,exact_match\nx,m,q1,i1,0.5,1\nx,n,q1,i2,0.5,0\n"
    path = write(tmp_path / "t.csv", text)
    first, second = read_all(table, path)
    (remark,) = first.remarks
    assert remark.message == "taken by their names: model=model_id, query=Question_ID, value=score; others by --columns"
    assert not second.remarks
    assert first.settings == {"columns": {"model": "model_id", "query": "Question_ID", "value": "score"}}
    columns = {"model": "model_id", "query": "item", "value": "exact_match"}
    first, second = read_all(table, path, choice=Choice(columns=columns))
    assert not first.remarks
    assert (list(first.queries), first.score.tolist(), second.score.tolist()) == (["i1"], [1], [0])
    first, _ = read_all(table, path, choice=Choice(metric="exact_match"))
    assert first.score.tolist() == [1]


def test_a_column_that_was_chosen_is_not_guessed_for_anything_else(tmp_path):
    path = write(tmp_path / "t.csv", "id,score\nm,1\n")
    (log,) = read_all(table, path, choice=Choice(columns={"model": "id"}))
    assert (log.identity, list(log.queries)) == ({"model": "m"}, ["score"])


def test_a_column_that_is_not_there_or_says_nothing_is_refused_with_those_that_are(tmp_path):
    path = write(tmp_path / "t.csv", "who,what,how\na,b,1\n")
    for columns, message in [
        ({"model": "whom"}, "no column 'whom', chosen for model. There are 'who', 'what', 'how'"),
        ({"who": "who"}, "a column cannot be 'who'; name columns of model, query, value, task"),
        ({"query": "what"}, "no column of value; say --columns value=NAME"),
        ({"query": "what", "value": "how"}, "no column of models; say --columns model=NAME"),
        ({}, "neither a long table (no columns of queries and values) nor a wide one"),
    ]:
        with pytest.raises(SourceError, match=re.escape(message)):
            read_all(table, path, choice=Choice(columns=columns))
    (log,) = read_all(table, path, choice=Choice(columns={"model": "who", "query": "what", "value": "how"}))
    assert log.identity == {"model": "a"}
    with pytest.raises(SourceError, match="tables have no filters"):
        read_all(table, path, choice=Choice(filter_name="strict"))
    path = write(tmp_path / "t.jsonl", '{"who": "a", "score": 1}\n')
    with pytest.raises(SourceError, match="no columns of queries and values"):
        read_all(table, path)


def test_scores_beside_what_is_right_keep_both(tmp_path):
    text = "model,query,score,correct\nm,a,0.9,0\nm,b,0.1,1\nm,c,,\n"
    (log,) = read_all(table, write(tmp_path / "t.csv", text))
    assert log.correct[:2].tolist() == [0, 1]
    np.testing.assert_array_equal(log.score, [0.9, 0.1, np.nan])
    with pytest.raises(SourceError, match="line 2: the row has a score, and is not said to be right or wrong"):
        read_all(table, write(tmp_path / "t.csv", "model,query,score,correct\nm,a,0.9,\n"))
    with pytest.raises(SourceError, match=r"line 2: 'correct': 0\.5 is neither 1"):
        read_all(table, write(tmp_path / "t.csv", "model,query,score,correct\nm,a,0.9,0.5\n"))


def test_a_failure_is_no_wrong_answer_even_where_the_table_has_a_score_for_it(tmp_path):
    text = "model,query,score,outcome\nm,a,0,failed\nm,b,0,answered\nm,c,,ungraded\nm,d,,not_asked\n"
    (log,) = read_all(table, write(tmp_path / "t.csv", text))
    np.testing.assert_array_equal(log.score, [np.nan, 0, np.nan, np.nan])
    assert log.outcome.tolist() == [Outcome.FAILED, A, Outcome.UNGRADED, N]
    with pytest.raises(SourceError, match="line 2: the row has an outcome that is none of not_asked, answered"):
        read_all(table, write(tmp_path / "t.csv", "model,query,score,outcome\nm,a,0,lost\n"))
    with pytest.raises(SourceError, match="line 2: the row is answered, but has no score"):
        read_all(table, write(tmp_path / "t.csv", "model,query,score,outcome\nm,a,,answered\n"))


def test_what_a_table_says_of_models_and_queries_is_kept(tmp_path):
    text = (
        "model,query,score,revision,downloads,likes,subject,seconds,repeats\n"
        "m,a,1,main,12,many,algebra,0.5,3\nm,b,1,main,12,many,,,\n"
    )
    (log,) = read_all(table, write(tmp_path / "t.csv", text))
    assert log.identity == {"model": "m", "revision": "main"}
    assert log.model_columns == {"revision": "main", "downloads": 12}
    assert log.query_columns == {"subject": ["algebra", ""]}
    np.testing.assert_array_equal(log.seconds, [0.5, np.nan])
    assert log.repeats.tolist() == [3, 1]
    assert any("'likes' is 'many'" in remark.message for remark in log.remarks)


def test_an_id_gets_its_task_only_where_it_has_it_not_and_gembench_wrote_it_not(tmp_path):
    columns = {"model": ["m", "m"], "query": ["arc/0", "1"], "task": ["arc", "arc"], "score": [1.0, 0.0]}
    (log,) = read_all(table, write(tmp_path / "t.parquet", as_parquet(columns)))
    assert list(log.queries) == ["arc/0", "arc/1"]
    (log,) = read_all(table, write(tmp_path / "t.parquet", as_parquet(columns, {"gembench": "0.1"})))
    assert list(log.queries) == ["arc/0", "1"]


def test_an_id_that_gets_its_task_can_become_one_that_is_there_and_is_refused(tmp_path):
    text = "model,query,task,score\nm,arc/0,arc,1\nm,0,arc,0\n"
    with pytest.raises(SourceError, match="line 3: model 'm' answers 'arc/0' a second time, as row 1 does"):
        read_all(table, write(tmp_path / "t.csv", text))


def test_tables_are_found_in_folders_and_other_files_are_none(tmp_path):
    for name in ("b.csv", "a.jsonl", "notes.txt", "c.CSV", "d.parquet.txt"):
        write(tmp_path / name, LONG_FILES["long.jsonl"] if name == "a.jsonl" else LONG)
    assert [log.files[0].rsplit("/", 1)[-1] for log in table.find_logs([str(tmp_path)])] == [
        "a.jsonl",
        "b.csv",
        "c.CSV",
    ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no table"):
        table.find_logs([str(tmp_path / "empty")])


NUMBERS = st.floats(0, 1) | st.integers(0, 1)
CELLS = st.dictionaries(
    st.tuples(st.sampled_from(["m", "n", 'ä|é,"']), st.sampled_from(["a", "b\nc", " d ", "007"])), NUMBERS, min_size=1
)


@settings(
    max_examples=100, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cells=CELLS, seed=st.integers(0, 99))
def test_any_cells_in_any_order_are_read_back_exactly(tmp_path, cells, seed):
    rows = list(cells.items())
    np.random.default_rng(seed).shuffle(rows)

    def quoted(text):
        return '"' + text.replace('"', '""') + '"'

    lines = [f"{quoted(model)},{quoted(query)},{value!r}" for (model, query), value in rows]
    path = write(tmp_path / "t.csv", "\n".join(["model,query,score", *lines]))
    found = {
        (log.identity["model"], query): score
        for log in read_all(table, path)
        for query, score in zip(log.queries, log.score.tolist(), strict=True)
    }
    assert found == cells
