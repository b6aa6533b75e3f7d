"""The formats that can be imported: their names on the command line, and the modules that read them."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, cast

from gembench.errors import UsageError
from gembench.extras import MissingExtraError

if TYPE_CHECKING:
    from gembench.data.sources.source import SourceFormat


class Format(NamedTuple):
    """A format: the `module` that reads it (a `SourceFormat`), and what it is in a `summary` of one line."""

    module: str
    summary: str


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "lm-eval": Format("gembench.data.sources.lm_eval", "LM Evaluation Harness: results_*.json, samples_*.jsonl"),
        "lighteval": Format("gembench.data.sources.lighteval", "lighteval: results_*.json, details_*.parquet"),
        "inspect": Format("gembench.data.sources.inspect_ai", "Inspect: .eval and .json logs"),
        "eee": Format("gembench.data.sources.every_eval_ever", "Every Eval Ever: .json with *_samples.jsonl"),
        "alpaca-eval": Format("gembench.data.sources.alpaca_eval", "AlpacaEval: annotations.json"),
        "helm": Format("gembench.data.sources.helm", "HELM: per_instance_stats.json, run_spec.json"),
        "table": Format("gembench.data.sources.table", "CSV, TSV, JSONL, Parquet, .npy, .npz: long, or a row a model"),
    }
)


def load_format(name: str) -> "SourceFormat":
    """The module of a format.

    Raises:
        UsageError: no format has that name.
        MissingExtraError: what the format needs is not installed.
    """
    if name not in FORMATS:
        raise UsageError(f"no format is called {name!r}; there are {', '.join(FORMATS)}.")
    try:
        return cast("SourceFormat", import_module(FORMATS[name].module))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "gembench":
            raise
        raise MissingExtraError(f"{name} logs need {error.name}: run pip install 'gembench[import]'.") from error
