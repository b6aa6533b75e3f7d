"""What `gembench info` prints of the complete part of a tensor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gembench.describe import TensorSummary
    from gembench.race_summary import RaceSummary

MOST_TASKS = 10
MOST_BASES = 3
MOST_GROUPS = 3
MOST_NAMES = 5
_EXAMPLE_QUERIES = 10


def race_lines(summary: TensorSummary) -> Iterator[tuple[str, str]]:
    """What each line is about, and what it says; of a tensor that has a complete part."""
    race = summary.race
    if race is None:
        return
    left_out = [
        f"{number:,} {what}"
        for number, what in (
            (summary.num_models - race.num_models, "models"),
            (summary.num_queries - race.num_queries, "queries"),
        )
        if number
    ]
    yield (
        "race",
        f"{race.num_models:,} models on {race.num_queries:,} queries with no answer missing"
        + (f"; {' and '.join(left_out)} left out" if left_out else ""),
    )
    spread = ", ".join(f"{share}%: {value:.1%}" for share, value in race.accuracy_percentiles.items())
    yield "accuracy", f"mean {race.mean_accuracy:.1%}; percentiles {spread}"
    yield "best", "\n".join(f"{accuracy:6.1%}  {model}" for model, accuracy in race.best)
    if race.bases:
        yield "base", "\n".join(_bases(race))
    gems = _gems(summary.tensor, race)
    if gems:
        yield "hidden gems", gems
    if race.tasks:
        yield "tasks", "\n".join(_tasks(race))
    yield "correlation", _correlation(race)
    if race.nearest_difference is not None:
        share = f"{race.nearest_difference:.1%}"
        yield "likeness", f"a model and the one most like it differ on {share} of queries (median)"
    yield from _what_tells_nothing(race)


def some(names: Sequence[str], most: int = MOST_NAMES) -> str:
    """The first of some names, and how many there are more."""
    num_more = len(names) - most
    return ", ".join(names[:most]) + (f" and {num_more:,} more" if num_more > 0 else "")


def _bases(race: RaceSummary) -> Iterator[str]:
    for base in race.bases[:MOST_BASES]:
        what = f"{base.base}, of {base.num_descendants:,} other models"
        if base.accuracy is None:
            yield f"{what}; not among the models itself"
        else:
            yield f"{base.accuracy:6.1%}  {what}; rank {base.rank:,} of {race.num_models:,}"
    if len(race.bases) > MOST_BASES:
        yield f"and {len(race.bases) - MOST_BASES:,} more"


def _gems(tensor: str, race: RaceSummary) -> str:
    if race.hidden_gems is None:
        if race.num_unknown_downloads == race.num_models:
            return ""
        return f"not known: the downloads of {race.num_unknown_downloads:,} models are unknown"
    if not race.hidden_gems:
        return "none"
    return f"{len(race.hidden_gems):,}: {some(race.hidden_gems)} (gembench gems {tensor} says how surely)"


def _tasks(race: RaceSummary) -> Iterator[str]:
    widest = len(f"{race.tasks[0].num_queries:,}")
    for one in race.tasks[:MOST_TASKS]:
        yield f"{one.num_queries:>{widest},} queries  {one.mean_accuracy:5.1%}  {one.task or '(none)'}"
    if len(race.tasks) > MOST_TASKS:
        yield f"and {len(race.tasks) - MOST_TASKS:,} tasks more (--json has all)"


def _correlation(race: RaceSummary) -> str:
    if race.mean_correlation is None or race.shared_variance is None:
        return "unknown: no two models are right on some queries and wrong on others"
    mean = f"mean {race.mean_correlation:.2f} over all pairs of models"
    if race.shared_variance == 0:
        return f"{mean}; all differ by the same on any queries that they share"
    worth = _EXAMPLE_QUERIES / race.shared_variance
    return (
        f"{mean}: {_EXAMPLE_QUERIES} queries that two of them share tell them apart as well as {worth:.1f} "
        f"independent ones each"
    )


def _what_tells_nothing(race: RaceSummary) -> Iterator[tuple[str, str]]:
    if race.identical_models:
        num_models = sum(map(len, race.identical_models))
        groups = [some(group) for group in race.identical_models[:MOST_GROUPS]]
        if len(race.identical_models) > MOST_GROUPS:
            groups.append(f"and {len(race.identical_models) - MOST_GROUPS:,} groups more (--json has all)")
        lines = [f"{num_models:,} models in {len(race.identical_models):,} groups answer every query alike:", *groups]
        yield "duplicates", "\n".join(lines)
    constant = [
        f"{len(models):,} models answer {what}: {some(models)}"
        for models, what in ((race.always_right, "all right"), (race.always_wrong, "none right"))
        if models
    ]
    if race.num_queries_all_right or race.num_queries_all_wrong:
        constant.append(
            f"{race.num_queries_all_right:,} queries that all models answer right, {race.num_queries_all_wrong:,} "
            f"that none does"
        )
    if constant:
        yield "constant", "\n".join(constant)
