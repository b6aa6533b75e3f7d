import numpy as np
import pytest

from gembench.data.outcomes import Outcome
from gembench.data.schema import check_tensor, make_tensor
from gembench.data.tensor import open_tensor, write_tensor
from gembench.evaluate.evaluator import Answer, Generate, LogLikelihood
from gembench.evaluate.responses import encode_response
from gembench.evaluate.suite import Grade, Query
from gembench.rescore import RescoreError, rescore


class Capitals:
    """Query 0 is generated and 1 is chosen among two; a third was never recorded. Graders are lax or strict."""

    name = "capitals"
    queries = tuple(Query(f"capital:{number}", "capital", "", f"d{number}", f"t{number}") for number in (2, 1, 0))

    def __init__(self, is_strict: bool) -> None:
        self.is_strict = is_strict
        self.settings = {"suite": "capitals", "grader": "strict" if is_strict else "lax", "grader_digest": "new"}

    def requests(self, query, chat_template=None):
        if self.queries[query].id == "capital:1":
            return LogLikelihood("Peru:", " Lima"), LogLikelihood("Peru:", " Oslo")
        return (Generate("Norway:"),)

    def grade(self, query, answers):
        if len(answers) == 2:
            is_right = answers[0].log_likelihood > answers[1].log_likelihood
            return Grade(is_right, float(is_right))
        if not answers[0].text:
            return None
        wanted = "Oslo" if self.is_strict else "oslo"
        said = answers[0].text if self.is_strict else answers[0].text.lower()
        return Grade(said == wanted, 1.0 if said == wanted else 0.25)


def chosen(*log_likelihoods):
    return encode_response([Answer(log_likelihood=value) for value in log_likelihoods])


def recorded():
    """Five models, graded by a grader that finds everything wrong."""
    responses = [
        ["Oslo", chosen(-1.0, -2.0)],
        ["oslo", chosen(-2.0, -1.0)],
        ["", chosen(-1.0, -2.0)],
        ["Oslo", ""],
        ["", ""],
    ]
    outcome = np.asarray([[1, 1], [1, 3], [3, 1], [2, 4], [0, 0]], np.uint8)
    correct = np.where(outcome == Outcome.ANSWERED, 0, -1).astype(np.int8)
    return make_tensor(
        correct,
        [f"org/m{number}@main" for number in range(5)],
        ["capital:0", "capital:1"],
        tasks=["capital"] * 2,
        variables={
            "outcome": outcome,
            "response": np.asarray(responses, object),
            "score": np.where(outcome == Outcome.ANSWERED, 0, np.nan).astype(np.float32),
            "seconds": np.ones((5, 2), np.float32),
        },
        attributes={"suite": "capitals", "engine": "hf", "grader": "old", "grader_digest": "old", "grader_extra": 1},
    )


def test_every_response_is_graded_again_and_all_else_stays():
    before = recorded()
    after = rescore(before, Capitals(is_strict=True))
    check_tensor(after)
    np.testing.assert_array_equal(after["correct"], [[1, 1], [0, 0], [-1, 1], [-1, -1], [-1, -1]])
    np.testing.assert_array_equal(after["outcome"], [[1, 1], [1, 1], [3, 1], [2, 4], [0, 0]])
    np.testing.assert_array_equal(after["score"], [[1, 1], [0.25, 0], [np.nan, 1], [np.nan] * 2, [np.nan] * 2])
    np.testing.assert_array_equal(rescore(before, Capitals(is_strict=False))["correct"][:, 0], [1, 1, -1, -1, -1])
    for name in ("response", "seconds", "task", "query", "model"):
        np.testing.assert_array_equal(after[name], before[name])


def test_the_attributes_name_the_new_grader_and_what_was_asked_of_old():
    sealed = recorded().assign_attrs(content_digest="sha256:of the old content")
    attributes = rescore(sealed, Capitals(is_strict=True)).attrs
    assert attributes["grader"] == "strict"
    assert attributes["grader_digest"] == "new"
    assert "grader_extra" not in attributes
    assert attributes["engine"] == "hf"
    assert "content_digest" not in attributes


def test_a_tensor_that_lies_on_disk_is_rescored_as_the_same_one_in_memory(tmp_path):
    write_tensor(recorded(), tmp_path / "old.zarr")
    after = rescore(open_tensor(tmp_path / "old.zarr"), Capitals(is_strict=True))
    write_tensor(after, tmp_path / "new.zarr")
    np.testing.assert_array_equal(
        open_tensor(tmp_path / "new.zarr")["correct"], rescore(recorded(), Capitals(is_strict=True))["correct"]
    )


def test_a_tensor_without_responses_is_refused():
    with pytest.raises(RescoreError, match="holds no responses"):
        rescore(recorded().drop_vars("response"), Capitals(is_strict=True))


def test_a_query_that_is_not_in_the_suite_is_named():
    other = recorded().assign_coords(query=["capital:0", "river:1"])
    with pytest.raises(RescoreError, match="1 of 2 queries are not in the suite capitals, the first of them 'river:1'"):
        rescore(other, Capitals(is_strict=True))


@pytest.mark.parametrize("response", ["Lima", "[[-1.0,true]]"])
def test_a_response_to_something_else_is_named_by_model_and_query(response):
    damaged = recorded()
    damaged["response"][0, 1] = response
    with pytest.raises(RescoreError, match="model 'org/m0@main', query 'capital:1': "):
        rescore(damaged, Capitals(is_strict=True))
