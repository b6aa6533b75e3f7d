"""The engines by name: the one place where a name becomes an evaluator. None is imported before it is made.

`EngineProcess` hosts any of them in a process of its own, where it may hang, crash or leave memory behind.
"""

import difflib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType

from gembench.errors import UsageError
from gembench.evaluate.evaluator import Evaluator, Settings
from gembench.extras import require_extra


class UnknownEngineError(UsageError):
    """No engine has that name."""


class EngineOptionError(UsageError):
    """An engine has no such option, or needs one that was not given."""


@dataclass(frozen=True)
class Engine:
    """Where an engine is found, and what it needs.

    Attributes:
        module: the module that holds it.
        evaluator: the name of its class there.
        extra: the extra that installs `packages`; "" if it needs none.
        packages: what must be importable before it is.
        reads_files: whether it needs a model's files here; if not, it knows models by their names.
        swaps_weights: whether it may put a model's weights into the engine that held the model before.
    """

    module: str
    evaluator: str
    extra: str = ""
    packages: tuple[str, ...] = ()
    reads_files: bool = True
    swaps_weights: bool = False


ENGINES: Mapping[str, Engine] = MappingProxyType(
    {
        "hf": Engine("gembench.evaluate.hf_engine", "HfEngine", "hf", ("torch", "transformers")),
        "vllm": Engine("gembench.evaluate.vllm_engine", "VllmEngine", "vllm", ("vllm",), swaps_weights=True),
        "openai": Engine("gembench.evaluate.openai_server", "OpenAiServer", "openai", ("openai",), reads_files=False),
        "scripted": Engine("gembench.evaluate.scripted", "Scripted", reads_files=False),
    }
)


def find_engine(name: str) -> Engine:
    """The engine of that name, its packages found but not imported.

    Raises:
        UnknownEngineError: no engine has that name; the message gives the nearest.
        MissingExtraError: what it needs is not installed.
    """
    engine = engine_named(name)
    require_extra(engine.extra, *engine.packages)
    return engine


def engine_named(name: str) -> Engine:
    """The engine of that name, whether it is installed or not; `module:Class` is one of the user's own.

    Raises:
        UnknownEngineError: no engine has that name; the message gives the nearest.
    """
    module, colon, evaluator = name.partition(":")
    if colon:
        return Engine(module, evaluator)
    if name not in ENGINES:
        near = difflib.get_close_matches(name, ENGINES, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(ENGINES)}, and MODULE:CLASS."
        raise UnknownEngineError(f"no engine is called '{name}'; {hint}")
    return ENGINES[name]


def make_engine(name: str, options: Settings) -> Evaluator:
    """The engine of that name, made in this process.

    Raises:
        UnknownEngineError: no engine has that name, or its module has no such class.
        MissingExtraError: what it needs is not installed.
        EngineOptionError: it has no such option, or needs one that was not given.
    """
    engine = find_engine(name)
    try:
        make = getattr(import_module(engine.module), engine.evaluator)
    except (ModuleNotFoundError, AttributeError) as error:
        raise UnknownEngineError(f"engine '{name}' cannot be found: {error}.") from error
    signature = inspect.signature(make)
    try:
        signature.bind(**options)
    except TypeError as error:
        raise EngineOptionError(
            f"engine {name}: {error}; its options are {', '.join(signature.parameters)}."
        ) from error
    evaluator: Evaluator = make(**options)
    return evaluator
