"""Which column of a table holds what: as a person says, else by its usual names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gembench.data.schema import COORDINATES, QUERY
from gembench.data.sources.source import Choice
from gembench.errors import SourceError

USUAL_NAMES: Mapping[str, Sequence[str]] = {
    "model": ("model", "model_name", "model_id", "llm", "system", "checkpoint"),
    "query": (
        *("query", "query_id", "question_id", "item_id", "instance_id", "sample_id", "example_id", "problem_id"),
        *("doc_id", "prompt_id", "qid", "question", "item", "id"),
    ),
    "value": ("score", "value", "correct", "is_correct", "acc", "accuracy", "exact_match", "passed", "result"),
    "task": ("task", "task_name", "dataset", "benchmark", "subset"),
}
"""Lower-case, the most telling first."""
QUERY_TEXTS = tuple(name for name, variable in COORDINATES.items() if variable.dims == QUERY and name != "task")
MODEL_TEXTS = tuple(name for name, variable in COORDINATES.items() if variable.dims != QUERY)
OPTIONAL = ("correct", "outcome", "seconds", "repeats", *QUERY_TEXTS, *MODEL_TEXTS)
"""Taken where a column has just this name."""


@dataclass(frozen=True)
class LongColumns:
    """The columns of a long table, by name.

    Attributes:
        model: who answered.
        query: what.
        value: the score, or whether it was right.
        task: of which task; None where there is none.
        others: those of `OPTIONAL` that the table has, by what they hold.
        guessed: what was found by its name alone.
    """

    model: str
    query: str
    value: str
    task: str | None
    others: Mapping[str, str]
    guessed: Mapping[str, str]

    @property
    def by_role(self) -> dict[str, str]:
        """All of them, by what they hold."""
        task = {"task": self.task} if self.task is not None else {}
        return {"model": self.model, "query": self.query, "value": self.value, **task, **self.others}


def find_long_columns(names: Sequence[str], choice: Choice, file: str) -> LongColumns | None:
    """The columns of a long table; None where there are no columns of queries and values.

    Raises:
        SourceError: a column that was chosen is not there, or the table is long and has no column of models.
    """
    chosen = _chosen(names, choice, file)
    found = dict(chosen)
    taken = set(found.values())
    for role in ("model", "query", "value", "task"):
        if role not in found:
            name = _usual(role, names, taken)
            if name is not None:
                found[role] = name
                taken.add(name)
    if "query" not in found or "value" not in found:
        if "query" in chosen or "value" in chosen:
            missing = "value" if "query" in found else "query"
            raise SourceError(f"{file}: no column of {missing}; {_advice(missing)}. {_listing(names)}")
        return None
    if "model" not in found:
        raise SourceError(f"{file}: no column of models; {_advice('model')}. {_listing(names)}")
    others = {name: found.get(name, name) for name in OPTIONAL if name in found or name in set(names) - taken}
    return LongColumns(
        found["model"],
        found["query"],
        found["value"],
        found.get("task"),
        others,
        {role: name for role, name in found.items() if role not in chosen},
    )


def find_model_column(names: Sequence[str], choice: Choice, file: str) -> str:
    """The column of models of a wide table: a usual name, or the first column where that has none, as pandas writes.

    Raises:
        SourceError: there is none.
    """
    chosen = _chosen(names, choice, file).get("model") or _usual("model", names, set())
    if chosen is not None:
        return chosen
    if names and names[0] in ("", "__index_level_0__", "Unnamed: 0"):
        return names[0]
    raise SourceError(
        f"{file}: neither a long table (no columns of queries and values) nor a wide one (no column of models); say "
        f"--columns model=NAME,query=NAME,value=NAME, or model=NAME where every other column is a query. "
        f"{_listing(names)}"
    )


def _chosen(names: Sequence[str], choice: Choice, file: str) -> dict[str, str]:
    """What a person chose. `--metric` names the column of values, as far as a table has metrics."""
    if choice.filter_name is not None:
        raise SourceError(f"{file}: tables have no filters; leave out the filter {choice.filter_name!r}.")
    chosen = dict(choice.columns)
    if choice.metric is not None and "value" not in chosen:
        chosen["value"] = choice.metric
    roles = (*USUAL_NAMES, *OPTIONAL)
    for role, name in chosen.items():
        if role not in roles:
            raise SourceError(f"{file}: a column cannot be {role!r}; name columns of {', '.join(roles)}.")
        if names.count(name) != 1:
            problem = "no column" if name not in names else "more than one column"
            raise SourceError(f"{file}: {problem} {name!r}, chosen for {role}. {_listing(names)}")
    return chosen


def _usual(role: str, names: Sequence[str], taken: set[str]) -> str | None:
    """The first of the usual names that one column has, in whichever case; other columns may then lie unread."""
    by_lower: dict[str, list[str]] = {}
    for name in names:
        by_lower.setdefault(name.strip().lower(), []).append(name)
    for usual in USUAL_NAMES[role]:
        of_name = by_lower.get(usual, [])
        if len(of_name) == 1 and of_name[0] not in taken:
            return of_name[0]
    return None


def _advice(role: str) -> str:
    return f"say --columns {role}=NAME"


def _listing(names: Sequence[str], limit: int = 12) -> str:
    shown = ", ".join(repr(name[:60]) for name in names[:limit])
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return f"There are {shown}{more}." if names else "There is no column at all."
