"""What a model answered to a query, as one string: what the tensor's `response` holds, and back."""

import json
from collections.abc import Sequence

from gembench.errors import TensorError
from gembench.evaluate.evaluator import Answer


class ResponseError(TensorError):
    """A stored response is not what the query's requests can have been answered with."""


def encode_response(answers: Sequence[Answer]) -> str:
    """One generation is its plain text; else JSON, a text or a pair [log-likelihood, is greedy] for each request.

    Floats come back bit by bit. What the answers cost is not part of it.
    """
    if len(answers) == 1 and answers[0].log_likelihood is None:
        return answers[0].text
    values = [
        answer.text if answer.log_likelihood is None else [float(answer.log_likelihood), answer.is_greedy]
        for answer in answers
    ]
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False)


def decode_response(response: str, *, has_one_generation: bool) -> tuple[Answer, ...]:
    """The answers again, in the order of the requests.

    Args:
        response: as `encode_response` wrote it.
        has_one_generation: whether the query's requests are a single generation.

    Raises:
        ResponseError: the string was not written so.
    """
    if has_one_generation:
        return (Answer(text=response),)
    try:
        values = json.loads(response)
    except ValueError as error:
        raise ResponseError(f"the response {response[:80]!r} is no list of answers.") from error
    if not isinstance(values, list):
        raise ResponseError(f"the response {response[:80]!r} is no list of answers.")
    return tuple(_answer(value) for value in values)


def _answer(value: object) -> Answer:
    match value:
        case str():
            return Answer(text=value)
        case [float() as log_likelihood, bool() as is_greedy]:
            return Answer(log_likelihood=log_likelihood, is_greedy=is_greedy)
        case _:
            raise ResponseError(f"the answer {value!r} is neither a text nor a pair of log-likelihood and is-greedy.")
