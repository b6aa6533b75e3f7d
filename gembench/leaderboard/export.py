"""From a policy's file to what can be replayed: the file runs in a sandbox, and only checked programs come out."""

import json
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from gembench.errors import ContractError, GembenchError, UsageError
from gembench.evaluate.sandbox import run_sandboxed
from gembench.leaderboard.policy_file import PolicyFile, PolicyFileError
from gembench.leaderboard.unpack import one_line, read_answer
from gembench.policy import Problem

SECONDS = 120.0
MEMORY_BYTES = 4 * 2**30
_MAX_THREADS = 512
_MAX_OUTPUT = 64 * 2**20
_WORKER = Path(__file__).with_name("export_worker.py")
_PACKAGE = Path(__file__).parents[1]
_LIBRARIES = ("jax", "jaxlib", "numpy", "scipy", "ml_dtypes", "opt_einsum", "flatbuffers")


def export_policy(
    file: PolicyFile,
    problems: Sequence[Problem],
    *,
    num_histories: int = 0,
    seconds: float = SECONDS,
    memory_bytes: int = MEMORY_BYTES,
) -> bytes:
    """What the sandbox made of a policy's file, for `unpack` to check: it is to be trusted no more than the file.

    Args:
        file: the file.
        problems: what the programs are for; one whose budget pays for every cell needs none.
        num_histories: the models of the history of each of them; 0 for none.
        seconds: the longest that it may take.
        memory_bytes: the most address space.

    Raises:
        PolicyFileError: the file raises, takes too long, or holds no policy that can be exported.
        UsageError: the policy refuses its settings, or cannot spend a budget.
        SandboxError: the sandbox itself does not work.
    """
    order = {
        "text": file.text,
        "policy_class": file.policy_class,
        "settings": file.settings,
        "problems": [[problem.num_models, problem.num_queries, problem.budget] for problem in problems],
        "num_histories": num_histories,
    }
    result = run_sandboxed(
        f"{_WORKER.read_text(encoding='utf-8')}\nmain({json.dumps(order)!r}, write_output)\n",
        seconds=seconds,
        memory_bytes=memory_bytes,
        max_processes=_MAX_THREADS,
        may_fork=False,
        max_output=_MAX_OUTPUT,
        libraries=dict(_libraries()),
    )
    if not result.has_finished:
        raise PolicyFileError(f"{file.path}: {one_line(result.message)}.")
    try:
        answer = read_answer(result.output)
    except ContractError as error:
        raise PolicyFileError(f"{file.path}: {error}") from error
    if answer.error is None:
        return result.output
    message = f"{', '.join(filter(None, (file.path, answer.error.place)))}: {answer.error.message}"
    raise UsageError(message) if answer.error.is_usage else PolicyFileError(message)


def _libraries() -> Iterator[tuple[str, Path]]:
    """What a policy may import, by its path: the numerical libraries, the contract, and the catalog."""
    for name in _LIBRARIES:
        specification = find_spec(name)
        if specification is None or not specification.submodule_search_locations:
            raise GembenchError(f"the library {name}, which comes with gembench, is not installed.")
        folder = Path(specification.submodule_search_locations[0])
        yield name, folder
        bundled = folder.with_name(f"{name}.libs")
        if bundled.is_dir():
            yield bundled.name, bundled
    for part in (".", "policies"):
        for file in sorted((_PACKAGE / part).glob("*.py")):
            yield str(Path("gembench", part, file.name)), file
