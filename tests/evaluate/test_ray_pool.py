import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from needs import needs_ray

from gembench.errors import UsageError
from gembench.evaluate.engine_process import EngineStartError
from gembench.evaluate.evaluator import Checkpoint, EvaluatorFailure, EvaluatorLost, Generate, LogLikelihood
from gembench.evaluate.ray_pool import ray_evaluators

pytestmark = [needs_ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster():
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        yield
        ray.shutdown()


def pool(num_workers=2, engine="wild_engine:Obedient", load_timeout=60, answer_timeout=30, **options):
    return ray_evaluators(num_workers, engine, options, load_timeout=load_timeout, answer_timeout=answer_timeout)


def checkpoint(model="a"):
    return Checkpoint(model, Path("/models") / "a")


def ask(evaluator, *orders):
    return [answer.text for _, answer in sorted(evaluator.answer([Generate(order) for order in orders]))]


def ancestors(pid):
    return [parent.pid for parent in psutil.Process(int(pid)).parents()]


def actor_of(pid):
    """The process of the Ray actor that hosts the engine with that process."""
    return ancestors(pid)[0]


def all_end(*pids, seconds=15):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        alive = [pid for pid in pids if psutil.pid_exists(int(pid))]
        if all(psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE for pid in alive):
            return True
        time.sleep(0.05)
    return False


def test_two_workers_answer_side_by_side_each_with_its_own_engine(cluster):
    with pool() as evaluators:
        for evaluator in evaluators:
            assert evaluator.settings["engine"] == "obedient"
            evaluator.load(checkpoint())
        with ThreadPoolExecutor(2) as threads:
            start = time.monotonic()
            pids = list(threads.map(lambda evaluator: ask(evaluator, "sleep 1", "pid")[1], evaluators))
            assert time.monotonic() - start < 1.9
        assert len(set(pids)) == 2
    assert all_end(*pids)


def test_an_answer_arrives_while_the_next_is_still_being_made(cluster):
    with pool(1) as (evaluator,):
        evaluator.load(checkpoint())
        answers = evaluator.answer([LogLikelihood("c" * 7, " yes"), Generate("sleep 2"), Generate("first")])
        start = time.monotonic()
        assert next(answers)[0] == 2
        assert time.monotonic() - start < 1.5
        assert [(position, answer.log_likelihood) for position, answer in answers] == [(1, None), (0, -1.0)]


def test_a_failure_of_the_model_keeps_its_status_and_the_worker(cluster):
    with pool(1) as (evaluator,):
        with pytest.raises(EvaluatorFailure, match="told to fail") as failure:
            evaluator.load(checkpoint("fail weight_mismatch"))
        assert failure.value.status == "weight_mismatch"
        evaluator.load(checkpoint())
        (pid,) = ask(evaluator, "pid")
        with pytest.raises(EvaluatorFailure, match="SIGSEGV") as failure:
            ask(evaluator, "kill SIGSEGV")
        assert failure.value.status == "engine_crashed"
        evaluator.load(checkpoint())
        (other,) = ask(evaluator, "pid")
        assert other != pid


def test_the_loss_of_one_worker_in_flight_is_no_fault_of_its_model_and_leaves_the_other_alone(cluster):
    with pool() as (lost, other):
        for evaluator in (lost, other):
            evaluator.load(checkpoint())
        pids = ask(lost, "ignore_sigterm", "fork", "pid")[1:]
        (other_pid,) = ask(other, "pid")
        answers = lost.answer([Generate("sleep 20"), Generate("first")])
        others = other.answer([Generate("late"), Generate("sleep 2"), Generate("early")])
        assert next(answers)[1].text == "first"
        assert next(others)[1].text == "early"
        os.kill(actor_of(pids[1]), signal.SIGKILL)
        with pytest.raises(EvaluatorLost, match="a Ray worker is gone"):
            next(answers)
        assert [answer.text for _, answer in others] == ["sleep 2", "late"]
        assert ask(other, "pid") == [other_pid]
        assert all_end(*pids)

        lost.load(checkpoint())
        (new_pid,) = ask(lost, "pid")
        assert new_pid != pids[1]
    assert all_end(new_pid, other_pid)


def test_a_restart_gives_the_next_model_a_fresh_engine(cluster):
    with pool(1) as (evaluator,):
        evaluator.load(checkpoint())
        evaluator.load(checkpoint("b"))
        assert not evaluator.is_fresh
        (pid,) = ask(evaluator, "pid")
        evaluator.restart()
        assert all_end(pid)
        evaluator.load(checkpoint())
        assert evaluator.is_fresh


def test_an_answer_left_half_way_does_not_hold_up_the_next(cluster):
    with pool(1) as (evaluator,):
        evaluator.load(checkpoint())
        (pid,) = ask(evaluator, "pid")
        answers = evaluator.answer([Generate("sleep 0.5") for _ in range(100)])
        next(answers)
        answers.close()
        start = time.monotonic()
        assert ask(evaluator, "new", "pid") == ["new", pid]
        assert time.monotonic() - start < 5


def test_another_thread_may_close_a_worker_in_the_middle_of_an_answer(cluster):
    with pool(1) as (evaluator,):
        evaluator.load(checkpoint())
        (pid,) = ask(evaluator, "pid")
        with ThreadPoolExecutor(1) as threads:
            answers = threads.submit(ask, evaluator, "hang")
            time.sleep(0.5)
            evaluator.close()
            with pytest.raises(EvaluatorFailure, match="was closed"):
                answers.result(timeout=10)
        assert all_end(pid)
        evaluator.load(checkpoint())
        assert ask(evaluator, "hello") == ["hello"]


def test_options_that_the_engine_refuses_and_engines_that_do_not_start_are_no_models_fault(cluster):
    with pytest.raises(UsageError, match="'speed'; its options are"), pool(1, speed=3):
        pass
    with pytest.raises(EngineStartError, match="the driver is too old"), pool(1, engine="wild_engine:Unimportable"):
        pass


def test_more_workers_than_the_cluster_has_room_for_are_refused_in_time(cluster):
    many = ray_evaluators(1, "wild_engine:Obedient", {}, load_timeout=3, answer_timeout=3, num_gpus_per_worker=64)
    with pytest.raises(EvaluatorLost, match="is there room for it"), many:
        pass


def test_a_clients_address_is_refused_with_what_to_do():
    with (
        pytest.raises(UsageError, match="run the command on a machine of the cluster"),
        ray_evaluators(1, "wild_engine:Obedient", {}, load_timeout=1, answer_timeout=1, address="ray://head:10001"),
    ):
        pass


def test_a_hundred_thousand_small_requests_take_a_few_seconds(cluster):
    with pool(1) as (evaluator,):
        evaluator.load(checkpoint())
        requests = [LogLikelihood("context", " yes")] * 100_000
        start = time.perf_counter()
        assert sum(1 for _ in evaluator.answer(requests)) == 100_000
        assert time.perf_counter() - start < 15


SCRIPT = """
import sys
from pathlib import Path
from gembench.evaluate.evaluator import Checkpoint, Generate
from gembench.evaluate.ray_pool import ray_evaluators

with ray_evaluators(2, "wild_engine:Obedient", {}, load_timeout=60, answer_timeout=60) as evaluators:
    for evaluator in evaluators:
        evaluator.load(Checkpoint("a", Path("a")))
    print(*[a.text for e in evaluators for _, a in e.answer([Generate("print noise"), Generate("pid")])], flush=True)
    if sys.argv[1] == "hang":
        list(evaluators[0].answer([Generate("ignore_sigterm"), Generate("hang")]))
"""


def run_alone(then):
    """A process that has no cluster before it asks for workers, and the engines' processes."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SCRIPT, then]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True)
    line = process.stdout.readline()
    return process, line, [word for word in line.split() if word.isdigit()]


def test_without_a_cluster_one_is_started_here_and_ended_and_nothing_else_is_printed():
    process, line, pids = run_alone("end")
    assert line.split() == [pids[0], "print", "noise", pids[1], "print", "noise"]
    assert process.communicate()[0] == ""
    assert process.returncode == 0
    assert all_end(*pids)


def test_a_driver_killed_outright_leaves_no_engine_behind():
    process, _, pids = run_alone("hang")
    time.sleep(1)
    process.kill()
    process.communicate()
    assert len(pids) == 2
    assert all_end(*pids, seconds=60)
