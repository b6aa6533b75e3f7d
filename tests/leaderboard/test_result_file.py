import copy
import json
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pytest
from boards import make_benchmark, make_scores

from gembench.errors import BenchmarkError
from gembench.leaderboard.result_file import check_benchmark, from_json, make_result, to_json
from gembench.leaderboard.standing import make_standing
from gembench.leaderboard.standing import to_json as standing_to_json

BENCHMARK = make_benchmark(("oak", "ash"), (10, 2.5), runs=20)


def make_example(name="reference", **arguments):
    rng = np.random.default_rng(0)
    ranks = rng.integers(1, 40, (4, 20))
    scores = make_scores(BENCHMARK, name, ranks, pulls=rng.integers(5, 9, (4, 20)), seconds=rng.random((4, 20)) + 1)
    return make_result(BENCHMARK, scores, **arguments)


def test_what_is_written_is_read_back_to_the_same_bytes_and_the_same_standing():
    result = make_example(file_sha256="0a" * 32)
    text = to_json(result)
    again = from_json(text, "result.json")
    assert to_json(again) == text
    assert (again.file_sha256, again.benchmark, again.seed, again.runs) == ("0a" * 32, "test", 0, 20)
    first, second = (standing_to_json(make_standing(BENCHMARK, [each.scores])) for each in (result, again))
    assert first == second


def test_the_same_scores_are_the_same_bytes():
    assert to_json(make_example()) == to_json(make_example())


def test_a_result_says_what_it_came_from_and_every_rank():
    document = json.loads(to_json(make_example()))
    assert (document["policy"], document["file_sha256"]) == ("reference", None)
    assert (document["benchmark"], document["seed"], document["runs"]) == ("test", 0, 20)
    assert document["versions"]["jax"] == version("jax")
    assert document["versions"]["gembench"] == version("gembench")
    ranks = np.random.default_rng(0).integers(1, 40, (4, 20))
    assert [cell["rank"] for cell in document["cells"]] == ranks.tolist()
    for cell, row in zip(document["cells"], ranks, strict=True):
        values = np.array(cell["accuracy"]["values"])[cell["accuracy"]["runs"]]
        assert values.tolist() == (1 / row).tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "2"}, "x: the benchmark's version was 'test', but is '2' here"),
        ({"seed": 1}, "x: the benchmark's seed was 0, but is 1 here"),
        ({"runs": 21}, "x: the benchmark's number of runs was 20, but is 21 here"),
    ],
)
def test_a_result_of_other_runs_is_refused(change, message):
    check_benchmark(make_example(), BENCHMARK, "x")
    with pytest.raises(BenchmarkError, match=message):
        check_benchmark(make_example(), replace(BENCHMARK, **change), "x")


def test_a_cell_is_one_line():
    lines = to_json(make_example()).splitlines()
    assert sum(line.startswith('  {"tensor":') for line in lines) == 4
    assert len(lines) == 4 + 12


def changed(change):
    document = json.loads(to_json(make_example()))
    change(document)
    return json.dumps(document)


def set_in(*path, value):
    def change(document):
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    return change


def point_past_the_end(document):
    pulls = document["cells"][0]["pulls"]
    pulls["runs"][0] = len(pulls["values"])


FORGERIES = {
    "another format": (set_in("format", value=2), "is of format 2"),
    "no policy": (lambda document: document.pop("policy"), "the file: policy should be there, as a text"),
    "a name that is no text": (set_in("policy", value=["x"]), "policy should be there, as a text"),
    "a digest of the file that is none": (set_in("file_sha256", value="<script>"), "file_sha256 should be 64 hex"),
    "versions that are no texts": (set_in("versions", "jax", value={}), "versions should be texts"),
    "cells that are no list": (set_in("cells", value={}), "cells should be there, as a list"),
    "a cell that is no object": (set_in("cells", 1, value=7), "cell 1: tensor_digest should be there"),
    "a digest that is none": (set_in("cells", 0, "tensor_digest", value="sha256:"), "cell 0: tensor_digest should"),
    "true for N": (set_in("cells", 0, "queries_per_model", value=True), "cell 0: queries_per_model should be a list"),
    "a rank of 0": (set_in("cells", 2, "rank", 3, value=0), "cell 2: rank should lie between 1"),
    "half a rank": (set_in("cells", 2, "rank", 3, value=1.5), "cell 2: rank should be a list of 20 integers"),
    "a rank past any": (set_in("cells", 2, "rank", 3, value=10**400), "cell 2: rank should lie between 1"),
    "a run too few": (lambda document: document["cells"][0]["rank"].pop(), "rank should be a list of 20 integers"),
    "accuracy above 1": (set_in("cells", 0, "accuracy", "values", 0, value=1.1), "accuracy should lie between 0 and 1"),
    "a place past the end": (point_past_the_end, "pulls should lie between 0"),
    "a place from the end": (set_in("cells", 0, "pulls", "runs", 0, value=-1), "pulls should lie between 0"),
    "no places": (lambda document: document["cells"][0]["pulls"].pop("runs"), "pulls should be a list of 20"),
    "a k that is no number": (set_in("cells", 0, "recall", value={"x": {}}), "the ks of recall should be positive"),
    "negative seconds": (set_in("cells", 0, "cost_seconds", 0, value=-1), "cost_seconds should lie between 0"),
}


@pytest.mark.parametrize(("change", "message"), FORGERIES.values(), ids=FORGERIES)
def test_a_result_that_is_none_is_refused_in_one_line_that_says_where(change, message):
    with pytest.raises(BenchmarkError, match=message) as caught:
        from_json(changed(change), "entry/result.json")
    assert str(caught.value).startswith("entry/result.json: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"format": NaN}', '{"format": 1' + "0" * 5000 + "}"])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(BenchmarkError, match=r"x\.json: is no JSON"):
        from_json(text, "x.json")


@pytest.mark.parametrize("text", ["[]", "null", "7", '"format"'])
def test_json_that_is_no_object_is_refused(text):
    with pytest.raises(BenchmarkError, match=r"x\.json: the file: format should be there"):
        from_json(text, "x.json")


def test_every_field_of_a_result_is_missed():
    document = json.loads(to_json(make_example()))
    for name in document.keys() - {"file_sha256"}:
        without = copy.deepcopy(document)
        del without[name]
        with pytest.raises(BenchmarkError, match=name):
            from_json(json.dumps(without), "x.json")
    for name in document["cells"][0]:
        without = copy.deepcopy(document)
        del without["cells"][0][name]
        with pytest.raises(BenchmarkError, match=name):
            from_json(json.dumps(without), "x.json")
