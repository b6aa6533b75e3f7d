"""Policies that mean ill: their files, what they bring home, and small benchmarks for them to attack."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np

from gembench.leaderboard import export_worker
from gembench.leaderboard.benchmark import Benchmark, load_benchmark, private_benchmark
from gembench.leaderboard.export import export_policy
from gembench.leaderboard.policy_file import PolicyFile, PolicyFileError
from gembench.policy import Problem

PROBLEM = Problem(7, 20, 28)

_FILE = '''
{first}
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from gembench.policy import Ask, Stage, TallyOnly, mean_accuracy
{at_import}

@dataclass(frozen=True)
class Attack(TallyOnly):
    """Asks every model alike."""

    sampling: ClassVar[str] = "shared"

    def plan(self, problem):
{plan}
        return {stages}

    def ask(self, rng_key, step, tally, memory):
        num_models, budget = step.problem.num_models, step.problem.budget
        num_each = budget // num_models
{ask}
        return Ask({models}, {num_queries})

    def recommend(self, rng_key, problem, tally, memory):
{recommend}
        return {scores}
'''


def policy_text(
    first="",
    at_import="",
    plan="",
    ask="",
    recommend="",
    stages="(Stage(problem.num_models, problem.budget // problem.num_models),)",
    models="jnp.arange(num_models, dtype=jnp.int32)",
    num_queries="jnp.full(num_models, num_each, jnp.int32)",
    scores="mean_accuracy(tally)",
):
    """The file of a policy that asks every model alike, but where it is told otherwise. `first` is its first lines."""
    body = {
        name: textwrap.indent(textwrap.dedent(code), " " * 8)
        for name, code in {"plan": plan, "ask": ask, "recommend": recommend}.items()
    }
    first, at_import = textwrap.dedent(first), textwrap.dedent(at_import)
    expressions = {"stages": stages, "models": models, "num_queries": num_queries, "scores": scores}
    return _FILE.format(first=first, at_import=at_import, **body, **expressions)


def policy_file(text):
    return PolicyFile("attack.py", text, None, "")


def export_text(text, problems=(PROBLEM,), **limits):
    """What the sandbox makes of a file."""
    return export_policy(policy_file(text), problems, **limits)


def failure_of(text, **limits):
    """The message of a file of which nothing can be made."""
    try:
        export_text(text, **limits)
    except PolicyFileError as error:
        return str(error)
    raise AssertionError("nothing went wrong")


def order_of(text, problems=(PROBLEM,), num_histories=0, policy_class=None):
    sizes = [[problem.num_models, problem.num_queries, problem.budget] for problem in problems]
    return json.dumps(
        {"text": text, "policy_class": policy_class, "settings": "", "problems": sizes, "num_histories": num_histories}
    )


def export_here(text, problems=(PROBLEM,), num_histories=0, policy_class=None):
    """What the worker writes in this very process: for files that do no harm here."""
    written = []
    export_worker.main(order_of(text, problems, num_histories, policy_class), written.append)
    (output,) = written
    return output


def failure_outside(text):
    """What a file comes to in the same worker, without the sandbox."""
    worker = f"{Path(export_worker.__file__).read_text()}\nmain({order_of(text)!r}, sys.stdout.buffer.write)"
    command = [sys.executable, "-c", worker]
    output = subprocess.run(command, capture_output=True, check=True, timeout=100).stdout
    return json.loads(output.partition(b"\n")[0])["error"]


def make_board(
    folder, num_models=7, num_queries=20, queries_per_model=(4,), runs=20, seed=0, correct=None
) -> Benchmark:
    """A benchmark of one hidden tensor, in a folder of its own: with these answers, by default some drawn ones."""
    folder.mkdir()
    if correct is None:
        accuracy = np.linspace(0.2, 0.9, num_models)[:, None]
        correct = (np.random.default_rng(seed).random((num_models, num_queries)) < accuracy).astype(np.int8)
    num_models, num_queries = correct.shape
    np.savez(
        folder / "planted-tensor.npz",
        correct=correct,
        models=np.array([f"planted-model-{model}" for model in range(num_models)]),
        queries=np.array([f"planted-query-{query}" for query in range(num_queries)]),
    )
    public = load_benchmark()
    hidden = private_benchmark(public, folder)
    return Benchmark(
        version=hidden.version,
        tensors=hidden.tensors,
        queries_per_model=queries_per_model,
        runs=runs,
        seed=hidden.seed,
        top_k=(1,),
        reference=hidden.reference,
    )
