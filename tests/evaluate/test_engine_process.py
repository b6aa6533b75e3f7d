import gc
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from gembench.data.status import ModelStatus
from gembench.errors import UsageError
from gembench.evaluate.engine_process import EngineProcess, EngineStartError
from gembench.evaluate.evaluator import Checkpoint, EvaluatorFailure, Generate, LogLikelihood


def checkpoint(model="a"):
    return Checkpoint(model, Path("/models") / "a")


def ask(engine, *orders):
    """The texts, in the order of the requests."""
    return [answer.text for _, answer in sorted(engine.answer([Generate(order) for order in orders]))]


def is_alive(pid):
    """A zombie whose reaper is elsewhere is dead."""
    return psutil.pid_exists(int(pid)) and psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE


def all_end(*pids, seconds=10):
    deadline = time.monotonic() + seconds
    while any(is_alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def host():
    """Makes engine processes, and sees to it that no test leaves a process behind."""
    engines = []

    def make(engine="Obedient", load_timeout=20, answer_timeout=20, **options):
        name = f"wild_engine:{engine}"
        engines.append(EngineProcess(name, options, load_timeout=load_timeout, answer_timeout=answer_timeout))
        return engines[-1]

    before = set(psutil.Process().children(recursive=True))
    yield make
    for engine in engines:
        engine.close()
    assert set(psutil.Process().children(recursive=True)) <= before


@pytest.fixture
def engine(host):
    engine = host()
    engine.load(checkpoint())
    return engine


def test_answers_are_those_of_the_engine_in_the_order_that_it_gave_them(engine):
    requests = [LogLikelihood("c" * 21, " yes"), Generate("hello"), Generate("\ud800 naïve \0 文")]
    answers = list(engine.answer(requests))
    assert [position for position, _ in answers] == [2, 1, 0]
    assert [answer.text for _, answer in answers] == ["\ud800 naïve \0 文", "hello", ""]
    assert answers[2][1].log_likelihood == -3.0
    assert answers[2][1].prompt_tokens == 4


def test_settings_are_known_before_a_model_is_loaded_and_after_the_engine_is_closed(host):
    engine = host()
    expected = {"engine": "obedient", "version": 3, "temperature": 0.5, "dtype": None}
    assert engine.settings == expected
    engine.close()
    assert engine.settings == expected


def test_an_answer_arrives_while_the_next_is_still_being_made(engine):
    start = time.monotonic()
    answers = engine.answer([Generate("sleep 1.5"), Generate("at once")])
    assert next(answers)[0] == 1
    assert time.monotonic() - start < 1
    assert next(answers)[0] == 0
    assert time.monotonic() - start >= 1.5


def test_requests_and_answers_beyond_every_buffer_pass_without_deadlock(engine):
    long = "z" * 5_000
    texts = ask(engine, *[f"size {5_000 + number}" for number in range(4_000)], long)
    assert [len(text) for text in texts] == [*range(5_000, 9_000), 5_000]
    assert ask(engine, *[f"{number} {long}" for number in range(4_000)])[3_999] == f"3999 {long}"


def test_no_requests_need_no_engine(host):
    assert list(host().answer([])) == []


def test_what_the_engine_prints_goes_nowhere_but_into_the_words_of_its_failure(engine, capfd):
    with pytest.raises(EvaluatorFailure, match=r"its last words: CUDA is angry \| CUDA is angry to stderr"):
        ask(engine, "exit 3", "print CUDA is angry")
    assert capfd.readouterr() == ("", "")


def test_an_engine_that_hangs_in_an_answer_is_ended_and_what_it_had_answered_stands(host):
    engine = host(answer_timeout=1)
    engine.load(checkpoint())
    (pid, forked) = ask(engine, "pid", "fork")
    engine_answers = engine.answer([Generate("hang"), Generate("first")])
    assert next(engine_answers)[1].text == "first"
    with pytest.raises(EvaluatorFailure, match=r"silent for 1 s while answering, 1 of 2 requests done") as failure:
        next(engine_answers)
    assert failure.value.status == ModelStatus.TIMEOUT
    assert all_end(pid, forked)


def test_an_engine_that_hangs_in_a_load_is_ended_even_if_it_ignores_sigterm(host):
    engine = host(load_timeout=2)
    engine.load(checkpoint("ignore_sigterm"))
    (pid,) = ask(engine, "pid")
    with pytest.raises(EvaluatorFailure, match="silent for 2 s while loading the model") as failure:
        engine.load(checkpoint("hang"))
    assert failure.value.status == ModelStatus.TIMEOUT
    assert not engine.is_fresh
    assert all_end(pid)


def test_an_engine_that_is_stopped_does_not_stop_the_sending_of_requests(host):
    engine = host(answer_timeout=1)
    engine.load(checkpoint())
    (pid,) = ask(engine, "pid")
    os.kill(int(pid), signal.SIGSTOP)
    with pytest.raises(EvaluatorFailure, match="while taking its requests") as failure:
        ask(engine, *["x" * 10_000] * 1_000)
    assert failure.value.status == ModelStatus.TIMEOUT
    assert all_end(pid)


@pytest.mark.parametrize(
    ("order", "status", "message"),
    [
        (
            "kill SIGSEGV",
            "engine_crashed",
            r"died of SIGSEGV \(Segmentation fault\) while answering, [12] of 4.*its last words: .*told to",
        ),
        ("kill SIGABRT", "engine_crashed", r"died of SIGABRT \(Aborted\) while answering"),
        ("kill SIGKILL", "out_of_memory", "probably by the kernel because memory ran out"),
        ("exit 3", "engine_crashed", "ended with exit code 3 while answering"),
        ("raise", "engine_crashed", "failed while answering, [12] of 4 requests done: RuntimeError: two lines"),
        ("skip", "engine_crashed", "gave 3 answers to 4 requests"),
    ],
)
def test_an_engine_that_dies_in_an_answer_is_a_typed_failure_and_the_next_load_starts_another(
    engine, order, status, message
):
    (grandchild,) = ask(engine, "sleeper")
    answers = engine.answer([Generate(words) for words in ("never", order, "sleep 0.2", "print told to")])
    assert next(answers)[0] == 3
    with pytest.raises(EvaluatorFailure, match=message) as failure:
        list(answers)
    assert failure.value.status == status
    assert engine.is_fresh
    if order != "skip":
        assert all_end(grandchild)
        with pytest.raises(EvaluatorFailure, match="holds no model"):
            ask(engine, "hello")
    engine.load(checkpoint())
    assert ask(engine, "hello") == ["hello"]


@pytest.mark.parametrize("order", ["kill SIGSEGV", "raise", "exit 0"])
def test_an_engine_that_dies_in_a_load_is_a_typed_failure_and_the_next_load_starts_another(host, order):
    engine = host()
    with pytest.raises(EvaluatorFailure, match="while loading the model") as failure:
        engine.load(checkpoint(order))
    assert failure.value.status == ModelStatus.ENGINE_CRASHED
    engine.load(checkpoint())
    assert engine.is_fresh


def test_a_crash_is_seen_at_once_though_a_fork_of_the_engine_holds_its_end_of_the_socket(engine):
    (forked,) = ask(engine, "fork")
    start = time.monotonic()
    with pytest.raises(EvaluatorFailure, match="SIGSEGV"):
        ask(engine, "kill SIGSEGV")
    assert time.monotonic() - start < 5
    assert all_end(forked)


def test_a_failure_that_the_engine_knows_keeps_its_status_and_the_engine(engine):
    (pid,) = ask(engine, "pid")
    with pytest.raises(EvaluatorFailure, match=r"^told to fail: nan_logits$") as failure:
        ask(engine, "never", "fail nan_logits", "hello")
    assert failure.value.status == ModelStatus.NAN_LOGITS
    with pytest.raises(EvaluatorFailure, match=r"^told to fail: weight_mismatch$"):
        engine.load(checkpoint("fail weight_mismatch"))
    with pytest.raises(EvaluatorFailure, match="holds no model"):
        ask(engine, "hello")
    engine.load(checkpoint())
    assert ask(engine, "pid") == [pid]
    assert not engine.is_fresh


def test_a_checkpoint_that_cannot_be_swapped_in_gets_a_process_of_its_own(host):
    engine = host("Picky")
    pids, freshness = [], []
    for model in ["a", "a", "b", "b", "a", "a"]:
        engine.load(checkpoint(model))
        pids += ask(engine, "pid")
        freshness.append(engine.is_fresh)
    assert freshness == [True, False] * 3
    assert pids[0::2] == pids[1::2]
    assert len(set(pids)) == 3
    assert engine.can_swap(checkpoint("a"))
    assert not engine.can_swap(checkpoint("b"))


def test_after_a_restart_the_next_model_is_loaded_into_a_fresh_process(engine):
    engine.load(checkpoint())
    (pid,) = ask(engine, "pid")
    assert not engine.is_fresh
    engine.restart()
    assert all_end(pid)
    assert engine.is_fresh
    with pytest.raises(EvaluatorFailure, match="holds no model"):
        ask(engine, "hello")
    engine.load(checkpoint())
    assert ask(engine, "pid") != [pid]
    assert engine.is_fresh


def test_another_thread_may_close_the_engine_in_the_middle_of_an_answer(engine):
    (pid,) = ask(engine, "pid")
    answers = engine.answer([Generate("hang"), Generate("hello")])
    next(answers)
    with ThreadPoolExecutor(1) as pool:
        rest = pool.submit(list, answers)
        time.sleep(0.2)
        start = time.monotonic()
        engine.close()
        assert time.monotonic() - start < 4
        with pytest.raises(EvaluatorFailure, match="was closed while answering, 1 of 2"):
            rest.result()
    assert all_end(pid)


def test_another_thread_may_close_the_engine_in_the_middle_of_a_load(engine):
    (pid,) = ask(engine, "pid")
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(engine.load, checkpoint("hang"))
        time.sleep(0.2)
        engine.close()
        with pytest.raises(EvaluatorFailure, match="was closed while loading the model"):
            load.result()
    assert all_end(pid)


def test_an_answer_left_half_way_does_not_leak_into_the_next(engine):
    (pid,) = ask(engine, "pid")
    left = engine.answer([Generate("hang"), *[Generate(f"old {number}") for number in range(50_000)]])
    next(left)
    assert ask(engine, "new", "pid") == ["new", pid]
    with pytest.raises(RuntimeError, match="later call"):
        list(left)
    left = engine.answer([Generate("old")] * 50_000)
    next(left)
    engine.load(checkpoint())
    with pytest.raises(RuntimeError, match="later call"):
        list(left)


def test_an_answer_left_in_the_middle_of_a_hang_costs_the_process_and_no_more(host):
    engine = host(answer_timeout=1)
    engine.load(checkpoint())
    (pid,) = ask(engine, "pid")
    next(engine.answer([Generate("hang"), Generate("hello")]))
    time.sleep(0.2)  # until it hangs
    engine.load(checkpoint())
    assert ask(engine, "pid") != [pid]
    assert all_end(pid)


def test_closing_closes_the_engine_ends_what_it_started_and_may_be_repeated(host, tmp_path):
    engine = host(close_file=str(tmp_path / "closed"))
    engine.close()
    engine.load(checkpoint())
    pids = ask(engine, "pid", "sleeper", "fork")
    engine.close()
    assert (tmp_path / "closed").read_text() == "closed"
    assert all_end(*pids)
    engine.close()
    engine.load(checkpoint())
    assert ask(engine, "hello") == ["hello"]


def test_an_engine_that_is_ended_is_asked_to_end_before_it_is_killed(host, tmp_path):
    engine = host(answer_timeout=1)
    engine.load(checkpoint(f"on_sigterm {tmp_path / 'asked'}"))
    with pytest.raises(EvaluatorFailure, match="silent"):
        ask(engine, "hang")
    assert (tmp_path / "asked").read_text() == "asked"


def test_an_engine_process_that_is_dropped_unclosed_ends_with_its_engine():
    engine = EngineProcess("wild_engine:Obedient", {}, load_timeout=20, answer_timeout=20)
    engine.load(checkpoint())
    (pid,) = ask(engine, "pid")
    del engine
    gc.collect()
    assert all_end(pid)


def test_an_engine_that_cannot_be_started_is_no_models_fault(host):
    with pytest.raises(EngineStartError, match="while starting: ValueError: the driver is too old") as error:
        host("Unimportable").load(checkpoint())
    assert not isinstance(error.value, EvaluatorFailure)
    with pytest.raises(EngineStartError, match="SIGSEGV"):
        host(at_start="kill SIGSEGV").load(checkpoint())
    with pytest.raises(EngineStartError, match=r"silent for 0.7 s while starting"):
        host(at_start="hang", load_timeout=0.7).load(checkpoint())


def test_an_option_that_the_engine_does_not_have_is_an_error_of_usage(host):
    with pytest.raises(UsageError, match=r"unexpected keyword argument 'dtype'; its options are at_start, close_file"):
        _ = host(dtype="float32").settings
    with pytest.raises(UsageError, match="has no attribute 'Missing'"):
        _ = host("Missing").settings


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan])
def test_time_limits_are_positive_and_finite(seconds):
    with pytest.raises(UsageError, match="positive number of seconds"):
        EngineProcess("wild_engine:Obedient", {}, load_timeout=1, answer_timeout=seconds)


PARENT = """
    import sys, time
    from pathlib import Path
    from gembench.evaluate.engine_process import EngineProcess
    from gembench.evaluate.evaluator import Checkpoint, Generate

    engine = EngineProcess("wild_engine:Obedient", {}, load_timeout=20, answer_timeout=100)
    engine.load(Checkpoint("a", Path("a")))
    orders = ["sleeper", "fork", "pid"]
    print(*[answer.text for _, answer in engine.answer([Generate(order) for order in orders])], flush=True)
    {then}
"""


def start_parent(then):
    script = textwrap.dedent(PARENT).replace("{then}", then)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
    )
    pids = [int(word) for word in parent.stdout.readline().split() if word.isdigit()]
    assert len(pids) == 3
    return parent, pids


@pytest.mark.parametrize("then", ["time.sleep(1000)", "list(engine.answer([Generate('hang')]))"])
def test_a_parent_killed_outright_leaves_no_process_behind(then):
    parent, pids = start_parent(then)
    everyone = psutil.Process(parent.pid).children(recursive=True)
    assert {child.pid for child in everyone} >= set(pids)
    parent.kill()
    parent.communicate()
    assert all_end(*[child.pid for child in everyone])


def test_ctrl_c_leaves_no_process_behind():
    parent, pids = start_parent("list(engine.answer([Generate('hang')]))")
    time.sleep(0.2)
    parent.send_signal(signal.SIGINT)
    _, errors = parent.communicate()
    assert "KeyboardInterrupt" in errors
    assert all_end(*pids)


def test_a_parent_that_ends_without_closing_leaves_no_process_behind():
    parent, pids = start_parent("")
    _, errors = parent.communicate()
    assert (parent.returncode, errors) == (0, "")
    assert all_end(*pids)


def test_a_hundred_thousand_small_requests_take_a_few_seconds(engine):
    """The aim is one second on two idle cores; the bound leaves room for busy ones."""
    requests = [LogLikelihood("context", " yes")] * 100_000
    start = time.perf_counter()
    assert sum(1 for _ in engine.answer(requests)) == 100_000
    assert time.perf_counter() - start < 10
