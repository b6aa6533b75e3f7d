"""Rescoring: stored responses are graded again, by another grader or another version of it, without an engine."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gembench.data.cells import checked_blocks, place_of, read_values
from gembench.data.digest import ATTRIBUTE
from gembench.data.outcomes import Outcome
from gembench.errors import TensorError
from gembench.evaluate.evaluator import Generate
from gembench.evaluate.responses import ResponseError, decode_response
from gembench.evaluate.suite import Grade, Suite

GRADER_SETTINGS = "grader"
"""How the names of a suite's settings begin that say how it grades; the others say what it asks."""


class RescoreError(TensorError):
    """A tensor's responses cannot be graded by this suite."""


def rescore(dataset: xr.Dataset, suite: Suite) -> xr.Dataset:
    """The tensor with every stored response graded by the suite, and the suite's grader named in the attributes.

    Columns are matched by the queries' ids, so that the suite may have more of them, in another order. Cells that have
    no answer, and what the cells cost, stay as they are.

    Raises:
        RescoreError: there are no responses, or a query is not in the suite, or a response answers something else.
        SchemaError: a cell holds a value that the schema forbids.
        CorruptTensorError: stored bytes cannot be read back.
    """
    if "response" not in dataset:
        raise RescoreError(f"{place_of(dataset)}: it holds no responses; there is nothing to grade again.")
    columns = _columns(dataset, suite)
    models = read_values(dataset, "model").tolist()
    correct = np.empty((dataset.sizes["model"], dataset.sizes["query"]), np.int8)
    outcome = np.empty(correct.shape, np.uint8)
    score = np.full(correct.shape, np.nan, np.float32)
    for block in checked_blocks(dataset):
        correct[block.rows], outcome[block.rows] = block.correct, block.outcome
        for row in range(*block.rows.indices(len(models))):
            responses = read_values(dataset, "response", slice(row, row + 1))[0]
            for column in np.flatnonzero(np.isin(outcome[row], (Outcome.ANSWERED, Outcome.UNGRADED))).tolist():
                try:
                    grade = columns[column].grade(responses[column])
                except ResponseError as error:
                    raise RescoreError(
                        f"{place_of(dataset)}: model {models[row]!r}, query {columns[column].id!r}: {error}"
                    ) from error
                _write(grade, correct[row], outcome[row], score[row], column)
    variables = {
        "correct": (("model", "query"), correct),
        "outcome": (("model", "query"), outcome, dataset["outcome"].attrs),
        "score": (("model", "query"), score),
    }
    rescored = dataset.assign(variables)
    graders = {name: value for name, value in suite.settings.items() if name.startswith(GRADER_SETTINGS)}
    kept = {name: value for name, value in dataset.attrs.items() if not str(name).startswith(GRADER_SETTINGS)}
    rescored.attrs = {name: value for name, value in kept.items() if name != ATTRIBUTE} | graders
    return rescored


class _Column:
    """A query of the suite, met by its id."""

    def __init__(self, suite: Suite, query: int) -> None:
        requests = suite.requests(query)
        self.id = suite.queries[query].id
        self._suite = suite
        self._query = query
        self._num_requests = len(requests)
        self._has_one_generation = self._num_requests == 1 and isinstance(requests[0], Generate)

    def grade(self, response: str) -> Grade | None:
        answers = decode_response(response, has_one_generation=self._has_one_generation)
        if len(answers) != self._num_requests:
            raise ResponseError(f"it has {len(answers)} answers, and the suite asks {self._num_requests}.")
        return self._suite.grade(self._query, answers)


def _columns(dataset: xr.Dataset, suite: Suite) -> Sequence[_Column]:
    positions = {query.id: position for position, query in enumerate(suite.queries)}
    ids = read_values(dataset, "query").tolist()
    unknown = [name for name in ids if name not in positions]
    if unknown:
        raise RescoreError(
            f"{place_of(dataset)}: {len(unknown)} of {len(ids)} queries are not in the suite {suite.name}, "
            f"the first of them {unknown[0]!r}; name the suite that it was recorded with, or one that holds it."
        )
    return [_Column(suite, positions[name]) for name in ids]


def _write(
    grade: Grade | None,
    correct: NDArray[np.int8],
    outcome: NDArray[np.uint8],
    score: NDArray[np.float32],
    column: int,
) -> None:
    outcome[column] = Outcome.UNGRADED if grade is None else Outcome.ANSWERED
    correct[column] = -1 if grade is None else grade.is_correct
    score[column] = np.nan if grade is None else grade.score
