"""A policy as the leaderboard publishes it: who made it, its code, and its result."""

from collections.abc import Mapping
from dataclasses import dataclass

from gembench.leaderboard.result_file import Result


@dataclass(frozen=True)
class Card:
    """What people are told about a policy. Its texts come from its author: whoever shows them escapes them.

    Attributes:
        name: what the leaderboard calls it.
        author: who wrote the file.
        source: where the idea is from: a paper, or a URL.
        license: of the file, as an SPDX identifier.
        description: what it does, in a few sentences.
        policy_class: the class in the file.
        hyper_parameters: those that the result was made with, by name.
    """

    name: str
    author: str
    source: str
    license: str
    description: str
    policy_class: str
    hyper_parameters: Mapping[str, str | int | float | bool]


@dataclass(frozen=True, eq=False)
class Published:
    """A policy on the leaderboard.

    Attributes:
        card: what people are told.
        code: the text of its file.
        result: its runs on the public benchmark.
        is_submission: whether it was submitted as a file; else it is of the catalog.
    """

    card: Card
    code: str
    result: Result
    is_submission: bool
