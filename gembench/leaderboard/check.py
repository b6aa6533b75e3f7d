"""The contract test of a policy in a stranger's file: exported twice in the sandbox, checked in a process of ours."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from gembench.errors import ContractError, UsageError
from gembench.leaderboard.contract_checks import PROBLEMS, Finding
from gembench.leaderboard.export import export_policy
from gembench.leaderboard.history_check import KNOWN, NUM_HISTORIES, history_fault
from gembench.leaderboard.policy_file import PolicyFile, PolicyFileError
from gembench.leaderboard.replay_process import ReplayDiedError, ReplayTimeoutError, follow
from gembench.leaderboard.unpack import read_answer
from gembench.memory import memory_for_strangers

SECONDS = 60.0
# What to do about an error in whose text such a word stands.
_ADVICE = {
    "Tracer": "While a policy is traced, arrays have no values: take jnp.where for if, jax.numpy for numpy.",
    "ConcretizationTypeError": "While a policy is traced, arrays have no values: sizes come from problem and plan.",
    "ModuleNotFoundError": "There are jax, numpy, scipy, and of gembench what its own policies import.",
    "FileNotFoundError": "A policy reads no files: what it needs stands in its own.",
    "callback": "A policy computes on arrays, with jax.numpy alone.",
    "it took longer than": "Each stage of a plan becomes two programs: give one stage with repeats in place of many.",
}


def check_file(file: PolicyFile, *, seconds: float = SECONDS, memory_bytes: int | None = None) -> Iterator[Finding]:
    """Check a policy's file; an error in one check may end it before the others.

    Args:
        file: the file.
        seconds: the longest that its export, and then its replay, may take.
        memory_bytes: the most address space of the process that replays; None for `memory_for_strangers`.

    Raises:
        SandboxError: the sandbox itself does not work.
    """
    try:
        with ThreadPoolExecutor(2) as pool:
            exports = [pool.submit(export_policy, file, PROBLEMS, seconds=seconds) for _ in range(2)]
            first, second = (export.result() for export in exports)
        answer = read_answer(first)
    except (PolicyFileError, UsageError, ContractError) as error:
        message = f"{file.path}: {error}" if isinstance(error, ContractError) else str(error)
        advice = next((_ADVICE[word] for word in _ADVICE if word in message), "")
        yield Finding("file", "error", message if message.endswith(".") else f"{message}.", advice)
        return
    settings = ", ".join(f"{name}={value}" for name, value in (answer.hyper_parameters or {}).items())
    yield Finding("file", "ok", f"{answer.policy_class}({settings}) runs in the sandbox; {answer.sampling} sampling.")
    if first != second:
        message = "Run twice, the file came to different programs, so that nobody can repeat its result."
        advice = "All randomness comes from rng_key: take no random, no time, and no order of a set."
        yield Finding("repeat", "error", message, advice)
        return
    yield Finding("repeat", "ok", "Run twice, the file came to the same programs.")
    known, fault = b"", None
    if answer.uses_history:
        try:
            known = export_policy(file, (KNOWN,), num_histories=NUM_HISTORIES, seconds=seconds)
        except (PolicyFileError, UsageError) as error:
            fault = history_fault(str(error))
    yield from _replay(first, known, seconds, memory_bytes or memory_for_strangers())
    if fault is not None:
        yield fault


def _replay(output: bytes, known: bytes, seconds: float, memory_bytes: int) -> Iterator[Finding]:
    """What a child, which can be killed, finds."""
    order = json.dumps(memory_bytes).encode()
    try:
        with closing(follow("gembench.leaderboard.check_worker", (order, output, known), seconds=seconds)) as told:
            while (said := next(told)) is not None:
                yield Finding(**said)
    except ReplayTimeoutError:
        advice = "Look for a loop without an end, or make its asks fewer."
        yield Finding("replay", "error", f"Its replay on small problems takes longer than {seconds:g} s.", advice)
    except ReplayDiedError as error:
        yield Finding("replay", "error", f"Its replay on small problems died: {error}.")
