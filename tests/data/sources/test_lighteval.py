"""lighteval's details: each naming of the columns, shuffled rows, tasks with metrics of their own."""

import copy
import io
import json
import random
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st
from spoiled import JUNK, SEEDS, read_all, spoiled_bytes, spoiled_json, survives, with_some, with_very_many

from gembench.data.outcomes import Outcome
from gembench.data.sources import lighteval
from gembench.data.sources.source import Choice
from gembench.errors import SourceError

DATE = "2001-02-03T04-05-06.789012"


def row(number, metrics, query=None, **doc):
    """A row as 0.13 writes it."""
    document = {
        "id": str(number),
        "query": query or f"question {number}",
        "choices": ["a", "b"],
        "gold_index": 1,
        **doc,
    }
    return {
        "doc": {**document, "instruction": None, "specific": {"of this task": number}},
        "metric": metrics,
        "model_response": {"text": ["b"], "logprobs": [-0.5]},
    }


def renamed(rows):
    """The same rows as 0.10 to 0.12 wrote them."""
    return [{f"__{name}__": value for name, value in row.items()} for row in rows]


def flat(rows):
    """The same rows as 0.9 and before wrote them."""
    return [
        {
            "example": row["doc"]["query"],
            "choices": row["doc"]["choices"],
            "gold_index": [row["doc"]["gold_index"]],
            "metrics": row["metric"],
            "predictions": ["b"],
        }
        for row in rows
    ]


def parquet(rows):
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


def write(folder, tasks, results=MappingProxyType({}), model="org/tuned", date=DATE, config=MappingProxyType({})):
    """A run as the tool writes it: `tasks` are rows by task, `results` figures by task or None for no such file."""
    details = folder / "details" / model / date
    details.mkdir(parents=True, exist_ok=True)
    for task, rows in tasks.items():
        (details / f"details_{task}_{date}.parquet").write_bytes(parquet(rows))
    if results is not None:
        (folder / "results" / model).mkdir(parents=True, exist_ok=True)
        general = {"model_name": model, "lighteval_sha": "abc", **config}
        text = json.dumps({"config_general": general, "results": dict(results)})
        (folder / "results" / model / f"results_{date}.json").write_text(text)
    return folder


GSM = "lighteval|gsm8k|5"


@pytest.mark.parametrize("naming", [list, renamed, flat])
def test_each_naming_of_the_columns_is_read_and_asks_the_same_queries(tmp_path, naming):
    rows = [row(n, {"em": float(n == 2), "em_with_type": 1.0}) for n in range(3)]
    figures = {GSM: {"em": 1 / 3, "em_stderr": 0.3}, "all": {"em": 0.9}}
    (log,) = read_all(lighteval, write(tmp_path / "one", {GSM: naming(rows)}, figures))
    assert log.identity == {"model": "org/tuned", "folder": "tuned"}
    assert log.date == "2001-02-03T04:05:06.789012"
    assert log.score.tolist() == [0, 0, 1]
    assert log.tasks == [GSM] * 3
    assert log.score.mean() == pytest.approx(log.reported[GSM], abs=1e-9)
    (modern,) = read_all(lighteval, write(tmp_path / "other", {GSM: rows}))
    assert log.queries == modern.queries
    assert log.query_columns == modern.query_columns


def test_rows_are_shuffled_and_those_alike_are_told_apart_by_the_documents_id(tmp_path):
    rows = [row(n, {"em": n % 2}, query="twice" if n in (2, 10) else None) for n in range(12)]
    rows[2]["metric"]["em"], rows[10]["metric"]["em"] = 0, 1
    shuffled = random.Random(1).sample(rows, len(rows))
    write(tmp_path / "a", {GSM: rows})
    write(tmp_path / "b", {GSM: shuffled}, model="org/other")
    one, other = read_all(lighteval, tmp_path)
    assert list(one.queries) == list(other.queries)
    assert one.score.tolist() == other.score.tolist()
    (second,) = [query for query in one.queries if query.endswith("#2")]
    assert one.score[one.queries.index(second)] == 1
    assert one.score[one.queries.index(second.removesuffix("#2"))] == 0


def test_the_same_question_with_other_choices_or_another_right_one_is_another_query(tmp_path):
    rows = [row(0, {"em": 1}, query="q"), row(1, {"em": 1}, query="q", choices=["a", "c"])]
    rows.append(row(2, {"em": 1}, query="q", gold_index=0))
    (log,) = read_all(lighteval, write(tmp_path, {GSM: rows}))
    assert len({query.partition("#")[0] for query in log.queries}) == 3
    assert len(set(log.query_columns["doc_hash"])) == 1


def test_tasks_have_structs_and_metrics_of_their_own(tmp_path):
    multiple = [row(n, {"acc": bool(n), "acc_norm": 0}, specific={"other": ["x"]}, choices=None) for n in range(2)]
    corpus = [row(0, {"bleu": [0.3, 0.1], "chrf": "text"})]
    figures = {"mmlu:anatomy|5": {"acc_norm": 0, "acc": 0.5}, GSM: {"em": 1.0}}
    tasks = {"mmlu:anatomy|5": multiple, GSM: [row(0, {"em": 1.0})], "wmt|0": corpus}
    (log,) = read_all(lighteval, write(tmp_path, tasks, figures))
    # The first metric that the tool reports, not the first column.
    assert log.settings["metrics"] == {"mmlu:anatomy|5": "acc_norm", GSM: "em"}
    assert log.score.tolist() == [1.0, 0.0, 0.0]
    assert [(remark.num_rows, "wmt|0" in remark.message) for remark in log.remarks] == [(1, True)]
    assert log.num_rows == 4
    (chosen,) = read_all(lighteval, tmp_path, choice=Choice(metric="acc"))
    assert chosen.score.tolist() == [0.0, 1.0]
    assert chosen.reported == {"mmlu:anatomy|5": 0.5}
    assert len(chosen.remarks) == 2


def test_a_row_without_a_number_is_ungraded(tmp_path):
    rows = [row(0, {"em": 1.0}), row(1, {"em": None}), row(2, None), row(3, {"em": float("nan")})]
    (log,) = read_all(lighteval, write(tmp_path, {GSM: rows}))
    assert log.outcome.tolist() == [Outcome.ANSWERED] + [Outcome.UNGRADED] * 3
    assert np.isnan(log.score[1:]).all()


def test_a_task_whose_metric_is_no_score_is_left_out_and_a_run_of_such_tasks_refused(tmp_path):
    write(tmp_path, {"wiki|0": [row(0, {"perplexity": 12.5})], GSM: [row(0, {"em": 1})]})
    (log,) = read_all(lighteval, tmp_path)
    assert log.tasks == [GSM]
    assert "has perplexity 12.5, which is no score in [0, 1]" in log.remarks[0].message
    write(tmp_path / "alone", {"wiki|0": [row(0, {"perplexity": 12.5})]})
    with pytest.raises(SourceError, match=r"has perplexity 12.5.*choose another by --metric"):
        read_all(lighteval, tmp_path / "alone")
    with pytest.raises(SourceError, match=r"has no metric .f1., but (em|perplexity)"):
        read_all(lighteval, tmp_path, choice=Choice(metric="f1"))
    with pytest.raises(SourceError, match="no filters"):
        read_all(lighteval, tmp_path, choice=Choice(filter_name="strict"))


def test_the_model_and_its_revision_are_those_of_the_results(tmp_path):
    tasks = {GSM: [row(0, {"em": 1})]}
    write(tmp_path / "a", tasks, model="org/tuned", config={"model_name": None, "model_config": {"model_name": "x/y"}})
    write(tmp_path / "b", tasks, config={"model_config": {"revision": "main"}})
    write(tmp_path / "c", tasks, config={"model_config": {"revision": "v2"}})
    write(tmp_path / "d", tasks, config={"model_sha": "0123abc"})
    logs = read_all(lighteval, tmp_path)
    assert [log.identity["model"] for log in logs] == ["x/y", "org/tuned", "org/tuned", "org/tuned"]
    assert [log.identity.get("revision") for log in logs] == [None, None, "v2", "0123abc"]


def test_details_alone_have_the_model_of_their_folder(tmp_path):
    write(tmp_path, {GSM: [row(0, {"em": 1})]}, results=None)
    (log,) = read_all(lighteval, tmp_path)
    assert log.identity["model"] == "org/tuned"
    assert log.reported == {}


def test_runs_of_one_moment_and_copies_of_a_run_keep_their_own_results(tmp_path):
    for folder, model, em in (("a", "org/one", 0), ("a", "org/two", 1), ("b", "org/one", 1)):
        write(tmp_path / folder, {GSM: [row(0, {"em": em})]}, {GSM: {"em": em}}, model=model)
    logs = read_all(lighteval, tmp_path)
    assert [log.identity["model"] for log in logs] == ["org/one", "org/two", "org/one"]
    assert [log.score.mean() == log.reported[GSM] for log in logs] == [True] * 3


def test_nothing_of_this_format_is_said(tmp_path):
    with pytest.raises(SourceError, match=r"no details_\*\.parquet of lighteval lies there"):
        lighteval.find_logs([str(tmp_path)])
    write(tmp_path, {}, {GSM: {"em": 1}})
    with pytest.raises(SourceError, match=r"no details_\*\.parquet of lighteval lies there"):
        lighteval.find_logs([str(tmp_path)])
    (tmp_path / "table.parquet").write_bytes(b"")
    with pytest.raises(SourceError, match="is not called details_TASK_DATE"):
        lighteval.find_logs([str(tmp_path / "table.parquet")])


def test_a_parquet_that_is_none_is_refused_by_name(tmp_path):
    write(tmp_path, {GSM: [row(0, {"em": 1})]})
    (file,) = tmp_path.rglob("details_*")
    whole = file.read_bytes()
    tables = {
        "cannot be read as Parquet": whole[:-20],
        "neither the columns doc and metric": parquet([{"a": 1}]),
        "documents have no 'query'": parquet([{"doc": {"id": "1"}, "metric": {"em": 1.0}}]),
        "is of type string": parquet([{"doc": {"query": "1"}, "metric": "{'em': 1.0}"}]),
    }
    for message, data in tables.items():
        file.write_bytes(data)
        with pytest.raises(SourceError, match=message) as caught:
            read_all(lighteval, tmp_path)
        assert str(file) in str(caught.value)


def test_a_parquet_of_a_few_bytes_and_endless_rows_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("gembench.data.sources.lighteval_details.MAX_ROWS", 3)
    write(tmp_path, {GSM: [row(n, {"em": 1}) for n in range(4)]})
    with pytest.raises(SourceError, match="has 4 rows; more than 3 are not read"):
        read_all(lighteval, tmp_path)


ROWS = [row(n, {"em": 1.0, "f1": 0.5, "other": [1.0]}) for n in range(4)]


def spoiled_table(seed):
    """Tables with a value of another type in a column, or a column less; spoiled rows that Arrow refuses stay whole."""
    rng = random.Random(seed)
    rows = [copy.deepcopy(row) for row in rng.choice((ROWS, renamed(ROWS), flat(ROWS)))]
    column = rng.choice(list(rows[0]))
    junk = rng.choice(JUNK)
    field = rng.choice(list(rows[0][column])) if isinstance(rows[0][column], dict) else None
    for changed in rows[: rng.choice((1, len(rows)))]:
        if field is None:
            changed[column] = junk
        else:
            changed[column][field] = junk
    try:
        return parquet(rows)
    except (pa.ArrowException, OverflowError, UnicodeError):
        return parquet(ROWS)


SPOILED = {
    "files": st.one_of(
        spoiled_bytes(parquet(ROWS)).map(lambda data: {"details": data}),
        SEEDS.map(spoiled_table).map(lambda data: {"details": data}),
        spoiled_json({"config_general": {"model_name": "a", "model_sha": "b"}, "results": {GSM: {"em": 1.0}}}).map(
            lambda data: {"results": data}
        ),
    ),
    "metric": st.sampled_from((None, None, "em", "f1", "other")),
}


def read_spoiled(folder, files, metric):
    write(folder, {GSM: ROWS}) if not (folder / "details").exists() else None
    details, results = next(folder.rglob("details_*")), next(folder.rglob("results_*"))
    whole = details.read_bytes(), results.read_bytes()
    details.write_bytes(files.get("details", whole[0]))
    results.write_bytes(files.get("results", whole[1]))
    survives(lighteval, folder, Choice(metric=metric))
    details.write_bytes(whole[0])
    results.write_bytes(whole[1])


@with_some(**SPOILED)
def test_whatever_is_wrong_in_a_file_is_one_clear_line(tmp_path, files, metric):
    read_spoiled(tmp_path, files, metric)


@with_very_many(**SPOILED)
def test_whatever_is_wrong_in_a_file_is_one_clear_line_often(tmp_path, files, metric):
    read_spoiled(tmp_path, files, metric)
