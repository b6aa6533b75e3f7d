"""The catalog's policies as the leaderboard publishes them: their results lie here in `catalog/`, a file a policy."""

import dataclasses
import inspect
import re
import sys
from collections.abc import Collection
from pathlib import Path

from gembench.errors import BenchmarkError
from gembench.experiment import make_policies
from gembench.leaderboard.entry import Card, Published
from gembench.leaderboard.result_file import from_json
from gembench.query_policy import AnyPolicy

RESULTS = Path(__file__).with_name("catalog")
_ALSO_PUBLISHED = ("gem",)
"""Beside the policies that are replayed where none is named."""
_SOURCE = re.compile(r"^Source: (.*?)(?:\. [A-Z]|\.?\n\n|\.?\Z)", re.DOTALL | re.MULTILINE)


def published_policies() -> dict[str, AnyPolicy]:
    """The policies of the catalog that are published, by their names."""
    return make_policies(()) | make_policies(_ALSO_PUBLISHED)


def read_catalog(but_for: Collection[str] = ()) -> tuple[Published, ...]:
    """The policies of the catalog, in its order, each with its published result.

    Args:
        but_for: the names of those that are left out.

    Raises:
        BenchmarkError: a result is missing or damaged.
    """
    published = []
    for name, policy in published_policies().items():
        if name in but_for:
            continue
        place = RESULTS / f"{name}.json"
        try:
            text = place.read_text(encoding="utf-8")
        except OSError as error:
            raise BenchmarkError(f"{place}: cannot be read: {error.strerror}; score {name} again.") from error
        code = inspect.getsource(sys.modules[type(policy).__module__])
        published.append(Published(_card(name, policy), code, from_json(text, str(place)), is_submission=False))
    return tuple(published)


def _card(name: str, policy: AnyPolicy) -> Card:
    """What the docstring of a policy's file says of it."""
    about = inspect.getdoc(sys.modules[type(policy).__module__]) or ""
    stated = _SOURCE.search(about)
    return Card(
        name=name,
        author="gembench",
        source=" ".join(stated[1].split()) if stated else "",
        license="Apache-2.0",
        description=" ".join(about.partition("\n\n")[0].split()),
        policy_class=type(policy).__name__,
        hyper_parameters=dataclasses.asdict(policy),  # type: ignore[call-overload]  # every policy is a dataclass
    )
