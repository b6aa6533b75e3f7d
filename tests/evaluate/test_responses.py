import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gembench.evaluate.evaluator import Answer
from gembench.evaluate.responses import ResponseError, decode_response, encode_response

texts = st.text(st.characters(codec="utf-8"))
generations = texts.map(Answer)
likelihoods = st.tuples(st.just(""), st.floats(allow_nan=False), st.booleans()).map(lambda said: Answer(*said))


@given(texts)
def test_one_generation_is_its_plain_text(text):
    assert encode_response([Answer(text=text, prompt_tokens=3, completion_tokens=2)]) == text
    assert decode_response(text, has_one_generation=True) == (Answer(text=text),)


@given(st.lists(likelihoods, min_size=1) | st.lists(generations, min_size=2))
def test_all_other_answers_come_back_bit_by_bit(answers):
    decoded = decode_response(encode_response(answers), has_one_generation=False)
    assert decoded == tuple(answers)
    assert [math.copysign(1, one.log_likelihood or 1) for one in decoded] == [
        math.copysign(1, one.log_likelihood or 1) for one in answers
    ]


def test_log_likelihoods_are_compact_json():
    answers = [Answer(log_likelihood=-1.5, is_greedy=True), Answer(log_likelihood=-2, is_greedy=False)]
    assert encode_response(answers) == "[[-1.5,true],[-2.0,false]]"


def test_a_log_likelihood_that_is_no_number_is_kept():
    encoded = encode_response([Answer(log_likelihood=math.nan)])
    (decoded,) = decode_response(encoded, has_one_generation=False)
    assert math.isnan(decoded.log_likelihood)


@pytest.mark.parametrize(
    "response", ["", "a", "{}", "3", "[3]", "[[1.0]]", "[[1.0,0]]", '[["a",true]]', "[[-1.5,true]"]
)
def test_what_was_not_written_so_is_refused(response):
    with pytest.raises(ResponseError, match=r"response|answer"):
        decode_response(response, has_one_generation=False)
