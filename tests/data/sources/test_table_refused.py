"""What is no table, or holds no scores, is refused by file and line."""

import gzip
import io
import json
import re

import numpy as np
import pytest
from hypothesis import strategies as st
from long_tables import LONG, LONG_FILES, OBJECTS, as_lines, as_parquet, packed_zst, write
from spoiled import read_all, spoiled_bytes, spoiled_json, survives, with_some, with_very_many

from gembench.data.sources import table, table_long
from gembench.errors import SourceError

BAD_VALUES = {
    "72.5": "72.5 is not in [0, 1]; if these are percentages, divide them by 100",
    "87%": "'87%' is neither a number in [0, 1] nor true or false; write percentages as shares of 1",
    "-1": "-1 is not in [0, 1]; leave the cells of queries that were never answered empty",
    "1e9": "1e+09 is not in [0, 1]; scale the scores",
    "inf": "inf is not in [0, 1]",
    "C": "'C' is neither a number in [0, 1] nor true or false",
}


@pytest.mark.parametrize("value", BAD_VALUES)
def test_what_is_no_score_is_refused_by_file_line_and_column(tmp_path, value):
    for name, content, place in [
        ("long.csv", f'model,query,note,score\nm,a,"two\nlines",1\n\nm,b,,{value}\n', "line 5: 'score': "),
        ("wide.csv", f"model,a,b\nm,1,1\nn,1,{value}\n", "line 3: 'b': "),
        (
            "t.jsonl",
            f'{{"model":"m","query":"a"}}\n\n{{"model":"m","query":"b","score":"{value}"}}',
            "line 3: 'score': ",
        ),
        ("t.parquet", as_parquet({"model": ["m"], "query": ["a"], "score": [value]}), "row 1: 'score': "),
    ]:
        path = write(tmp_path / name, content)
        with pytest.raises(SourceError, match=re.escape(f"{path}, {place}{BAD_VALUES[value]}")):
            read_all(table, path)


BAD_FILES = {
    "empty.csv": ("", "it is empty"),
    "one.csv": ("model\nm\n", "one column only, 'model'"),
    "semicolons.csv": ("model;query;score\nm;a;1\n", "separated by something other than commas"),
    "header.csv": ("model,query,score\n", "a header and no row"),
    "wide-header.csv": ("model,a,b\n", "a header and no row"),
    "cut.csv": ("model,query,score\nm,a,1\nm,b", "line 3: 2 fields, where the header has 3"),
    "latin.csv": (b"model,query,score\nm,a,1\nm,\xe9,1\n", "line 3: it is not UTF-8"),
    "nameless.csv": ("model,query,score\n,a,1\n", "line 2: 'model' is empty"),
    "queryless.csv": ("model,query,score\nm,a,1\nm,,1\n", "line 3: 'query' is empty"),
    "twice.csv": ("model,query,score\nm,a,1\nn,a,1\nm,a,1\n", "line 4: model 'm' answers 'a' a second time, as row 1"),
    "wide-twice.csv": ("model,a,b\nm,1,1\nm,1,1\n", "line 3: a second row of model 'm', after row 1"),
    "columns-twice.csv": ("model,a,a\nm,1,1\n", "two columns are called 'a'"),
    "no-name.csv": ("model,a,\nm,1,1\n", "a column has no name"),
    "no-model.csv": ("model,a,b\n,1,1\n", "line 2: the row has no model"),
    "cut.csv.gz": (gzip.compress(LONG.encode())[:-20], "Truncated compressed stream"),
    "not.csv.gz": (LONG, "incorrect header check"),
    "empty.jsonl": ("\n\n", "it is empty"),
    "cut.jsonl": (as_lines(OBJECTS)[:-20], "line 4: it is cut short, or not JSON"),
    "list.jsonl": ("[1, 2]\n", "line 1: no JSON object stands there"),
    "deep.jsonl": ("[" * 100_000, "line 1: it is cut short, or not JSON"),
    "latin.jsonl": (b'{"model": "\xe9"}', "line 1: it is"),
    "key-twice.jsonl": ('{"model":"m","query":"a","score":0,"score":1}', "line 1: a key stands twice"),
    "nested.jsonl": ('{"model":"m","query":"a","score":{"acc":1}}', "holds values of type struct"),
    "mixed.jsonl": (
        '{"model":"m","query":"a","score":1}\n{"model":"m","query":"b","score":[]}',
        "line 2: 'score': '[]'",
    ),
    "huge.jsonl": ('{"model":"m","query":"a","score":1' + "0" * 400 + "}", "line 1: 'score': inf is not"),
    "list-model.jsonl": ('{"model":["m"],"query":"a","score":1}', "the column of model, holds values of type list"),
    "not.parquet": (LONG, "cannot be read"),
    "cut.parquet": (LONG_FILES["long.parquet"][:-10], "cannot be read"),
    "no.npz": (LONG, "not an .npz file"),
    "no.npy": (LONG, "not an .npy file of plain numbers"),
    "table.xlsx": (b"PK", "a table of unknown kind"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_none_is_refused_by_name_and_line(tmp_path, name):
    content, message = BAD_FILES[name]
    path = write(tmp_path / name, content)
    with pytest.raises(SourceError, match=re.escape(message)) as caught:
        read_all(table, path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_line_of_ten_megabytes_is_read_and_one_without_an_end_is_not(tmp_path, monkeypatch):
    long_text = "x" * (10 << 20)
    (log,) = read_all(table, write(tmp_path / "t.csv", f"model,query,response,score\nm,a,{long_text},1\n"))
    assert log.score.tolist() == [1]
    line = json.dumps({"model": "m", "query": "a", "response": long_text, "score": 1})
    (log,) = read_all(table, write(tmp_path / "t.jsonl", line))
    assert log.score.tolist() == [1]
    monkeypatch.setattr("gembench.data.sources.streams.MAX_LINE_BYTES", 1 << 20)
    with pytest.raises(SourceError, match="line 1: it is longer than 1,048,576 bytes"):
        read_all(table, tmp_path / "t.jsonl")


def test_line_breaks_in_texts_end_no_block(tmp_path, monkeypatch):
    monkeypatch.setattr("gembench.data.sources.table_csv.BLOCK_BYTES", 64)
    rows = "".join(f'm,"{number}\nof\nmany",1\n' for number in range(100))
    (log,) = read_all(table, write(tmp_path / "t.csv", "model,query,score\n" + rows))
    assert list(log.queries) == [f"{number}\nof\nmany" for number in range(100)]


def test_what_an_archive_can_cost_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(table_long, "MAX_ROWS", 1000)
    rows = "model,query,score\n" + "".join(f"m,{number},1\n" for number in range(1001))
    with pytest.raises(SourceError, match="more than 1,000 rows"):
        read_all(table, write(tmp_path / "bomb.csv.gz", gzip.compress(rows.encode())))
    monkeypatch.setattr("gembench.data.sources.table_arrays.MAX_BYTES", 1000)
    arrays = {"correct": np.zeros((100, 100), np.int8), "models": np.array(["m"]), "queries": np.array(["q"])}
    np.savez_compressed(tmp_path / "bomb.npz", **arrays)
    with pytest.raises(SourceError, match=r"unpacks to 10,\d+ bytes, more than 1,000"):
        read_all(table, tmp_path / "bomb.npz")


NPZ = io.BytesIO()
np.savez(NPZ, correct=np.eye(2, dtype=np.int8), models=np.array(["a", "b"]), queries=np.array(["x", "y"]))
NPY = io.BytesIO()
np.save(NPY, np.eye(2))
WIDE = "model,a,b\nm,1,0.5\nn,,1\n"
RICH = "model,query,score,correct,outcome,seconds,downloads,subject\nm,a,1,1,answered,2,5,s\nn,a,0,,failed,,x,\n"
SPOILED = {
    "long.csv": spoiled_bytes(LONG.encode()),
    "rich.csv": spoiled_bytes(RICH.encode()),
    "wide.tsv": spoiled_bytes(WIDE.replace(",", "\t").encode()),
    "long.csv.gz": spoiled_bytes(gzip.compress(LONG.encode())),
    "long.csv.zst": spoiled_bytes(packed_zst(LONG)),
    "long.parquet": spoiled_bytes(LONG_FILES["long.parquet"]),
    "dictionary.parquet": spoiled_bytes(LONG_FILES["dictionary.parquet"]),
    "t.npz": spoiled_bytes(NPZ.getvalue()),
    "t.npy": spoiled_bytes(NPY.getvalue()),
    "lines.jsonl": st.lists(spoiled_json(OBJECTS[0]), max_size=4).map(b"\n".join),
    "shuffled.jsonl": spoiled_json(OBJECTS).map(lambda text: text.strip(b"[]").replace(b"}, {", b"}\n{")),
}
FILES = st.sampled_from(list(SPOILED)).flatmap(lambda name: st.tuples(st.just(name), SPOILED[name]))


@with_some(file=FILES)
def test_whatever_is_wrong_in_a_table_is_one_clear_line(tmp_path, file):
    name, content = file
    survives(table, write(tmp_path / name, content))


@with_very_many(file=FILES)
def test_whatever_is_wrong_in_a_table_is_one_clear_line_often(tmp_path, file):
    name, content = file
    survives(table, write(tmp_path / name, content))
