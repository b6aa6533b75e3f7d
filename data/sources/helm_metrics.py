"""HELM's metrics: which is the score of a run, and what `stats.json` says of it.

Source: `environment.main_name` in the schemas of capabilities, lite, safety, mmlu and classic of crfm-helm 0.5.16;
where they differ the first of these decides. `exact_match` is left out: runs that have it name it first themselves.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from gembench.data.sources.files import parse_json, read_bytes
from gembench.data.sources.scores import is_score
from gembench.data.sources.source import Choice
from gembench.data.sources.texts import clean_text
from gembench.errors import SourceError

Spec = Mapping[str, Any]
Cell = tuple[str, int]
"""Instance and trial."""
Stats = Mapping[Cell, Mapping[str, Spec]]
"""What the metrics say of each cell."""

_GROUPS: Mapping[str, str] = {
    "chain_of_thought_correctness": "mmlu_pro gpqa",
    "ifeval_strict_accuracy": "ifeval",
    "wildbench_score_rescaled": "wildbench",
    "omni_math_accuracy": "omni_math",
    "f1_score": "narrative_qa natural_qa_closedbook natural_qa_openbook_longans quac",
    "final_number_exact_match": "gsm",
    "math_equiv_chain_of_thought": "math_chain_of_thought",
    "math_equiv": "math_regular",
    "quasi_exact_match": (
        "legalbench med_qa raft civil_comments wikifact babi_qa synthetic_reasoning legal_support lsat_qa "
        "entity_data_imputation entity_matching boolq imdb"
    ),
    "bleu_4": "wmt_14",
    "bbq_accuracy": "bbq",
    "safety_score": "harm_bench harm_bench_gcg_transfer simple_safety_tests xstest anthropic_red_team",
    "RR@10": "msmarco_regular",
    "NDCG@10": "msmarco_trec",
    "rouge_2": "summarization_cnndm summarization_xsum",
    "exact_match_indicator": "dyck_language",
    "f1_set_match": "synthetic_reasoning_natural",
    "test_avg": "code_apps",
    "pass": "code_humaneval",
}

HEADLINE: Mapping[str, str] = MappingProxyType(
    {group: metric for metric, groups in _GROUPS.items() for group in groups.split()}
)
"""Group of runs → the metric that leaderboards show of it."""


def metric_of(spec: Spec, plain: Stats, choice: Choice, file: str) -> str:
    """The chosen metric; else the headline of the run's groups, or the first that the run names and has.

    Raises:
        SourceError: the rows have none of these.
    """
    known = dict.fromkeys(name for stats in plain.values() for name in stats if isinstance(name, str))
    wanted = [choice.metric] if choice.metric is not None else [*_headlines(spec), *_named_metrics(spec)]
    for name in wanted:
        if name in known:
            return name
    if not known:
        return ""
    in_range = sorted(
        name for name in known if all(is_score(stats[name].get("mean")) for stats in plain.values() if name in stats)
    )
    asked = f"no metric {choice.metric!r}" if choice.metric is not None else "none of the metrics that HELM shows first"
    raise SourceError(f"{file}: {asked}; choose one by --metric, such as {clean_text(', '.join(in_range[:20]))}.")


def _headlines(spec: Spec) -> list[str]:
    groups = spec.get("groups")
    names = [group for group in groups if isinstance(group, str)] if isinstance(groups, list) else []
    return [HEADLINE[name] for name in names if name in HEADLINE]


def _named_metrics(spec: Spec) -> list[str]:
    names: list[str] = []
    metric_specs = spec.get("metric_specs")
    for metric_spec in metric_specs if isinstance(metric_specs, list) else ():
        arguments = metric_spec.get("args") if isinstance(metric_spec, dict) else None
        named = arguments.get("names") if isinstance(arguments, dict) else None
        names += [name for name in named if isinstance(name, str)] if isinstance(named, list) else []
    return names


def reported_means(file: str, metric: str) -> dict[tuple[str, str], float]:
    """What `stats.json` says of the metric over plain instances, by split and sub-split."""
    stats = parse_json(read_bytes(file), file)
    means: dict[tuple[str, str], float] = {}
    for stat in stats if isinstance(stats, list) else ():
        name = stat.get("name") if isinstance(stat, dict) else None
        if not isinstance(name, dict) or name.get("name") != metric or name.get("perturbation"):
            continue
        if is_score(stat.get("mean")):
            means.setdefault(splits_of(name), float(stat["mean"]))
    return means


def splits_of(name: Spec) -> tuple[str, str]:
    """The split and sub-split that a metric's name has, "" for none."""
    split, sub_split = name.get("split"), name.get("sub_split")
    return split if isinstance(split, str) else "", sub_split if isinstance(sub_split, str) else ""
