import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gembench.data.status import ModelStatus
from gembench.errors import UsageError
from gembench.evaluate.evaluator import Checkpoint, EvaluatorFailure, Generate, LogLikelihood
from gembench.evaluate.scripted import Scripted

REQUESTS = [
    Generate("Question: What is 12 + 30?\nAnswer:"),
    LogLikelihood("The sky is", " blue"),
    LogLikelihood("7 * 6 =", " 42"),
]


def loaded(model: str = "org/a", **options) -> Scripted:
    evaluator = Scripted(**options)
    evaluator.load(Checkpoint(model, Path()))
    return evaluator


def answers(model: str, requests=REQUESTS, **options):
    return [answer for _, answer in sorted(loaded(model, **options).answer(requests))]


def share_of_right_sums(model: str, number: int) -> float:
    requests = [Generate(f"Question: What is {i} + 4?\nAnswer:") for i in range(number)]
    return sum(answer.text == f" {i + 4}" for i, answer in enumerate(answers(model, requests))) / number


def test_answers_depend_on_model_and_request_alone():
    assert answers("org/a") == answers("org/a")
    assert answers("org/a") == [one for _, one in sorted(loaded().answer(REQUESTS))]
    assert answers("org/a")[1] == answers("org/a", REQUESTS[1:])[0]
    assert answers("org/a")[1] != answers("org/b")[1]


def test_models_differ_in_how_often_they_get_sums_right_and_all_lie_between_a_tenth_and_nine_tenths():
    # 400 sums at a chance of at most 0.9: 5 standard errors are 0.075, so that one model in millions strays further.
    shares = [share_of_right_sums(f"org/m{i}", 400) for i in range(20)]
    assert min(shares) > 0.1 - 0.075
    assert max(shares) < 0.9 + 0.075
    assert max(shares) - min(shares) > 0.3


def test_a_model_that_knows_a_sum_prefers_the_right_choice():
    contexts = [f"{i} * 6 =" for i in range(50)]
    for i, context in enumerate(contexts):
        right, wrong = answers("org/a", [LogLikelihood(context, f" {6 * i}"), LogLikelihood(context, " 1000")])
        says = answers("org/a", [Generate(context)])[0].text
        assert (right.log_likelihood > -1 and right.is_greedy) == (says == f" {6 * i}")
        assert wrong.log_likelihood <= -1


def test_a_model_fails_to_load_as_told_and_the_next_one_loads():
    evaluator = Scripted(failures="org/a=gated, org/b@main=out_of_memory")
    with pytest.raises(EvaluatorFailure, match="org/b@main") as failure:
        evaluator.load(Checkpoint("org/b@main", Path()))
    assert failure.value.status == ModelStatus.OUT_OF_MEMORY
    evaluator.load(Checkpoint("org/c", Path()))
    assert len(list(evaluator.answer(REQUESTS))) == len(REQUESTS)


@pytest.mark.parametrize("failures", ["org/a=broken", "gated"])
def test_a_failure_of_no_known_kind_is_refused(failures):
    with pytest.raises(UsageError, match="is not model=status"):
        Scripted(failures=failures)


def test_a_prompt_beyond_the_limit_is_not_asked():
    assert [answer.is_too_long for answer in answers("org/a", max_characters=20)] == [True, False, False]


@pytest.mark.parametrize(
    ("options", "num_answers", "sign"),
    [({"die_after": 2}, 2, signal.SIGKILL), ({"crashes": "org/a"}, 0, signal.SIGSEGV)],
)
def test_the_process_dies_as_told(options, num_answers, sign):
    program = f"""if True:
        from pathlib import Path
        from gembench.evaluate.evaluator import Checkpoint, Generate
        from gembench.evaluate.scripted import Scripted
        evaluator = Scripted(**{options})
        evaluator.load(Checkpoint("org/a", Path()))
        for position, _ in evaluator.answer([Generate("1 + 1")] * 3):
            print(position, flush=True)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == -sign
    assert done.stdout.split() == [str(i) for i in range(num_answers)]


def test_a_hundred_thousand_requests_take_a_few_seconds_at_most():
    # About 0.7 s on one quiet core; the limit leaves room for a machine that does ten other things.
    requests = [Generate(f"Question: What is {i} + 4?\nAnswer:") for i in range(100_000)]
    evaluator = loaded()
    started = time.perf_counter()
    assert sum(1 for _ in evaluator.answer(requests)) == 100_000
    assert time.perf_counter() - started < 10
