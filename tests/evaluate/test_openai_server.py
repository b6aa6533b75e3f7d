import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from fake_server import KEY, FakeServer
from needs import needs_openai

from gembench.errors import UsageError
from gembench.evaluate.evaluator import Answer, Checkpoint, EvaluatorFailure, Generate, LogLikelihood
from gembench.evaluate.openai_server import OpenAiServer

pytestmark = needs_openai

MODEL = Checkpoint("org/model@main", Path("org/model"))


@pytest.fixture
def connect():
    """Starts a fake server and an evaluator that has loaded its model; both end with the test."""
    with ExitStack() as stack:

        def make(model=MODEL, options=None, **server_options):
            server = stack.enter_context(FakeServer(**server_options))
            evaluator = OpenAiServer(server.url, **{"request_timeout": 10.0, **(options or {})})
            stack.callback(evaluator.close)
            evaluator.load(model)
            return evaluator, server

        yield make


def ask(evaluator, *requests):
    return [answer for _, answer in sorted(evaluator.answer(requests), key=lambda pair: pair[0])]


def fate(evaluator, *requests):
    with pytest.raises(EvaluatorFailure) as failure:
        ask(evaluator, *requests)
    return failure.value.status, str(failure.value)


def test_a_generation_is_asked_as_it_stands_and_counted(connect):
    evaluator, server = connect()
    (answer,) = ask(evaluator, Generate("one two", stop=("\n", "Q:"), max_tokens=7, temperature=0.5))
    assert answer == Answer(text="you said one two", prompt_tokens=3, completion_tokens=1)
    assert server.asked == [
        {"model": "org/model", "prompt": "one two", "stop": ["\n", "Q:"], "max_tokens": 7, "temperature": 0.5}
    ]


def test_a_log_likelihood_is_the_sum_over_the_continuations_tokens(connect):
    """Tokens of 'a b c d yes' after the server's own are numbered 1 to 5, and the k-th weighs -k/4."""
    evaluator, server = connect()
    request = LogLikelihood("a b c", " d yes")
    assert ask(evaluator, request) == [Answer(log_likelihood=-9 / 4, is_greedy=True, prompt_tokens=6)]
    assert server.asked[0]["echo"] is True
    assert server.asked[0]["max_tokens"] == 0


def test_a_continuation_is_greedy_only_if_each_of_its_tokens_is_the_likeliest(connect):
    evaluator, _ = connect()
    requests = [LogLikelihood("a", " yes no"), LogLikelihood("a no", " yes"), LogLikelihood("a", " no yes")]
    assert [answer.is_greedy for answer in ask(evaluator, *requests)] == [False, True, False]


def test_white_space_before_the_continuation_belongs_to_it(connect):
    evaluator, _ = connect()
    split, whole = ask(evaluator, LogLikelihood("a b ", "c"), LogLikelihood("a b", " c"))
    assert split == whole
    assert whole.log_likelihood == -3 / 4


def test_a_token_that_a_server_generates_unasked_is_not_weighed(connect):
    evaluator, _ = connect()
    assert ask(evaluator, LogLikelihood("surplus b", " c"))[0].log_likelihood == -3 / 4


def test_a_continuation_of_no_text_is_certain(connect):
    evaluator, _ = connect()
    assert ask(evaluator, LogLikelihood("a b", "")) == [Answer(log_likelihood=0.0, is_greedy=True, prompt_tokens=3)]


def test_an_echo_that_lacks_tokens_is_a_typed_failure(connect):
    evaluator, _ = connect()
    assert fate(evaluator, LogLikelihood("shortened b", " c"))[0] == "unsupported"


def test_a_continuation_whose_tokens_spell_no_text_is_found_by_counting_the_contexts(connect):
    evaluator, server = connect()
    (answer,) = ask(evaluator, LogLikelihood("cut-up b", " c d"))
    assert answer.log_likelihood == -7 / 4
    assert [asked["prompt"] for asked in server.asked] == ["cut-up b c d", "cut-up b"]


def test_a_server_without_echo_is_a_typed_failure_that_says_what_to_use(connect):
    evaluator, _ = connect(can_echo=False)
    status, message = fate(evaluator, LogLikelihood("a", " b"))
    assert status == "unsupported"
    assert "gives no log-likelihoods" in message
    assert "a suite that only generates" in message
    assert ask(evaluator, Generate("a"))[0].text == "you said a"


def test_a_likelihood_without_a_context_is_refused_when_the_first_token_has_none(connect):
    evaluator, _ = connect()
    assert fate(evaluator, LogLikelihood("", "bare yes"))[0] == "unsupported"


def test_answers_come_as_they_are_there_with_as_many_in_flight_as_allowed(connect):
    evaluator, server = connect(options={"concurrency": 8})
    requests = [Generate("sleep 1")] + [Generate("sleep 0.05")] * 40
    positions = [position for position, _ in evaluator.answer(requests)]
    assert positions[-1] == 0
    assert sorted(positions) == list(range(41))
    assert server.most_in_flight == 8


def test_a_burst_of_429_is_waited_out(connect):
    evaluator, server = connect(num_busy=20)
    answers = ask(evaluator, *[Generate(f"prompt {number}") for number in range(30)])
    assert [answer.text for answer in answers] == [f"you said prompt {number}" for number in range(30)]
    assert len(server.asked) == 50


def test_a_429_without_end_is_a_typed_failure(connect):
    evaluator, _ = connect(num_busy=10**9, options={"max_retries": 1})
    status, message = fate(evaluator, Generate("a"))
    assert status == "timeout"
    assert "lower concurrency" in message


def test_a_server_that_hangs_is_a_timeout_and_what_was_answered_stands(connect):
    evaluator, _ = connect(options={"request_timeout": 0.3, "max_retries": 1})
    answers = evaluator.answer([Generate("hang"), Generate("hello")])
    assert next(answers)[0] == 1
    with pytest.raises(EvaluatorFailure, match=r"unanswered for 0\.3 s, 2 times") as failure:
        next(answers)
    assert failure.value.status == "timeout"


@pytest.mark.parametrize("prompt", ["html", "broken", "empty", "textless"])
def test_a_malformed_answer_is_a_typed_failure_and_no_answer(connect, prompt):
    evaluator, _ = connect(options={"max_retries": 0})
    status, message = fate(evaluator, Generate(prompt))
    assert status == "engine_crashed"
    assert "sent what the protocol does not know" in message


@pytest.mark.parametrize(
    ("prompt", "status", "message"),
    [
        ("status 500", "engine_crashed", "failed: "),
        ("status 400", "unsupported", "refuses the request"),
        ("status 404", "unsupported", "refuses the request"),
        ("status 403", "gated", "name its variable in api_key_env"),
        ("cut", "engine_crashed", "cannot be reached"),
    ],
)
def test_a_refusal_is_a_typed_failure(connect, prompt, status, message):
    evaluator, _ = connect(options={"max_retries": 0})
    found, said = fate(evaluator, Generate(prompt))
    assert found == status
    assert message in said


def test_a_prompt_beyond_the_models_context_is_too_long_and_no_failure(connect):
    evaluator, _ = connect()
    requests = [Generate("long prompt"), LogLikelihood("long", " prompt"), Generate("a")]
    assert [answer.is_too_long for answer in ask(evaluator, *requests)] == [True, True, False]


def test_a_model_that_the_server_does_not_hold_is_not_found(connect):
    with pytest.raises(EvaluatorFailure, match="has no model org/modle; it holds org/model") as failure:
        connect(model=Checkpoint("org/modle@main", Path("x")))
    assert failure.value.status == "not_found"


@pytest.mark.parametrize(
    "model", [Checkpoint("other", Path("x")), Checkpoint("mine", Path("org/model")), Checkpoint("other@v2", Path("x"))]
)
def test_a_model_is_found_by_its_id_its_id_without_revision_or_its_folder(connect, model):
    evaluator, server = connect(model=model)
    ask(evaluator, Generate("a"))
    assert server.asked[0]["model"] == ("org/model" if model.model == "mine" else "other")


def test_a_server_that_is_not_there_is_a_typed_failure():
    evaluator = OpenAiServer("http://127.0.0.1:9/v1", max_retries=0)
    with pytest.raises(EvaluatorFailure, match=r"cannot be reached .*; is the server running"):
        evaluator.load(MODEL)
    evaluator.close()


def test_the_key_comes_from_the_environment_and_is_never_shown(connect, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    evaluator, _ = connect(key=KEY, options={"api_key_env": "MY_KEY", "max_retries": 0})
    assert ask(evaluator, Generate("a"))[0].text == "you said a"
    assert KEY not in str(evaluator.settings)
    status, message = fate(evaluator, Generate("status 403"))
    assert status == "gated"
    assert "check the key in MY_KEY" in message
    assert "***" in message
    assert KEY not in message


def test_a_wrong_key_is_named_by_its_variable(connect, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-wrong")
    with pytest.raises(EvaluatorFailure, match="check the key in MY_KEY") as failure:
        connect(key=KEY, options={"api_key_env": "MY_KEY"})
    assert failure.value.status == "gated"
    assert "sk-wrong" not in str(failure.value)


def test_after_a_failure_and_after_a_close_the_same_evaluator_goes_on(connect):
    evaluator, _ = connect(options={"max_retries": 0})
    fate(evaluator, Generate("status 500"), *[Generate("sleep 0.2")] * 100)
    assert ask(evaluator, Generate("a"))[0].text == "you said a"
    evaluator.close()
    evaluator.close()
    evaluator.load(MODEL)
    assert ask(evaluator, Generate("a"))[0].text == "you said a"


def test_an_answer_left_half_way_asks_no_more(connect):
    evaluator, server = connect(options={"concurrency": 2})
    answers = evaluator.answer([Generate("sleep 0.1")] * 100)
    next(answers)
    answers.close()
    time.sleep(0.5)
    assert len(server.asked) <= 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_url": "localhost:8000"}, "base_url must be like"),
        ({"base_url": "http://me:secret@localhost/v1"}, "must hold no name, password"),
        ({"base_url": "http://localhost/v1", "api_key_env": "NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE"),
        ({"base_url": "http://localhost/v1", "concurrency": 0}, "must be positive"),
    ],
)
def test_options_that_cannot_work_are_errors_of_usage(options, message):
    with pytest.raises(UsageError, match=message) as error:
        OpenAiServer(**options)
    assert "secret" not in str(error.value)
