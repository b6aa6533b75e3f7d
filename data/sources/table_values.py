"""What the cells of a table say: scores in [0, 1], right and wrong, or nothing."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

NUMBERS_OF_WORDS = {"true": "1", "false": "0", "": "nan"}

MOST_REPEATS = 2**31 - 1


class BadValueError(ValueError):
    """A value that is not what its column is for. Whoever knows file and row makes it a message for people."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(message)
        self.position = position


def read_scores(column: pa.Array) -> NDArray[np.float64]:
    """[n] float64 in [0, 1] of numbers, booleans or their texts; NaN where a cell is empty, null or NaN.

    Raises:
        BadValueError: a value is something else.
    """
    values = _read_numbers(column)
    wrong = (values < 0) | (values > 1)
    if wrong.any():
        position = int(wrong.argmax())
        value = values[position]
        if 1 < value <= 100:
            advice = "if these are percentages, divide them by 100"
        elif value in (-1, 255):
            advice = "leave the cells of queries that were never answered empty"
        else:
            advice = "scale the scores"
        raise BadValueError(position, f"{value:g} is not in [0, 1]; {advice}")
    return values


def read_seconds(column: pa.Array) -> NDArray[np.float64]:
    """[n] float64, NaN where unknown.

    Raises:
        BadValueError: a value is no number, negative or infinite.
    """
    values = _read_numbers(column)
    wrong = (values < 0) | np.isinf(values)
    if wrong.any():
        position = int(wrong.argmax())
        raise BadValueError(position, f"{values[position]:g} is no time in seconds")
    return values


def read_repeats(column: pa.Array) -> NDArray[np.int64]:
    """[n] int64, at least 1; empty is once.

    Raises:
        BadValueError: a value is no whole number of at least 0, which is taken as 1.
    """
    values = np.nan_to_num(_read_numbers(column), nan=1, posinf=np.inf)
    wrong = (values < 0) | (values > MOST_REPEATS) | (values != np.floor(values))
    if wrong.any():
        position = int(wrong.argmax())
        raise BadValueError(position, f"{values[position]:g} is no number of answers")
    return np.maximum(values, 1).astype(np.int64)


def read_correct(column: pa.Array) -> NDArray[np.int8]:
    """[n] 1 right, 0 wrong, -1 where empty.

    Raises:
        BadValueError: a value is something else.
    """
    values = read_scores(column)
    wrong = (values != 0) & (values != 1) & ~np.isnan(values)
    if wrong.any():
        position = int(wrong.argmax())
        raise BadValueError(position, f"{values[position]:g} is neither 1 (right) nor 0 (wrong)")
    return np.where(np.isnan(values), -1, values).astype(np.int8)


def _read_numbers(column: pa.Array) -> NDArray[np.float64]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _parse(column)
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        if pa.types.is_null(kind):
            return np.full(len(column), np.nan)
        raise BadValueError(0, f"the column holds values of type {kind}, not numbers")
    numbers = column.cast(pa.float64(), safe=False)
    return np.asarray(numbers.fill_null(float("nan")).to_numpy(zero_copy_only=False))


def _parse(column: pa.Array) -> NDArray[np.float64]:
    """Numbers from texts: Arrow reads numbers, here are only the few words that stand for one."""
    texts = pc.utf8_lower(pc.utf8_trim_whitespace(column.fill_null("")))
    for word, number in NUMBERS_OF_WORDS.items():
        texts = pc.if_else(pc.equal(texts, word), number, texts)
    try:
        return np.asarray(texts.cast(pa.float64()).to_numpy())
    except pa.ArrowInvalid:
        position = next(position for position, text in enumerate(texts) if not _is_number(text))
        raise BadValueError(position, _no_number(str(column[position]))) from None


def _is_number(text: pa.Scalar) -> bool:
    try:
        text.cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def _no_number(text: str) -> str:
    advice = "; write percentages as shares of 1" if text.strip().endswith("%") else ""
    return f"{text[:60]!r} is neither a number in [0, 1] nor true or false{advice}"
