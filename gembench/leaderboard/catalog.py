"""The catalog's policies as the leaderboard publishes them: their results lie here in `catalog/`, a file a policy."""

import dataclasses
import inspect
import re
import sys
from pathlib import Path

from gembench.errors import BenchmarkError
from gembench.experiment import make_first_level
from gembench.leaderboard.entry import Card, Published
from gembench.leaderboard.result_file import from_json
from gembench.policy import Policy

RESULTS = Path(__file__).with_name("catalog")
_SOURCE = re.compile(r"^Source: (.*?)(?:\. [A-Z]|\.?\n\n|\.?\Z)", re.DOTALL | re.MULTILINE)


def read_catalog() -> tuple[Published, ...]:
    """The policies of the catalog, in its order, each with its published result.

    Raises:
        BenchmarkError: a result is missing or damaged.
    """
    published = []
    for name, policy in make_first_level(()).items():
        place = RESULTS / f"{name}.json"
        try:
            text = place.read_text(encoding="utf-8")
        except OSError as error:
            raise BenchmarkError(f"{place}: cannot be read: {error.strerror}; score {name} again.") from error
        code = inspect.getsource(sys.modules[type(policy).__module__])
        published.append(Published(_card(name, policy), code, from_json(text, str(place)), is_submission=False))
    return tuple(published)


def _card(name: str, policy: Policy) -> Card:
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
