"""The page of one policy: its card, its numbers, whom it beats, its code, and how to run it."""

import json
import shlex
from dataclasses import dataclass

from gembench.gem_card.words import encodable
from gembench.intervals import Interval
from gembench.leaderboard.entry import Card, Published
from gembench.leaderboard.site.board import Board
from gembench.leaderboard.site.rendering import render
from gembench.leaderboard.standing import Entry, Pair


@dataclass(frozen=True)
class Rival:
    """Another policy, as seen from one.

    Attributes:
        entry: of the other.
        ratio: the other's number over this one's: above 1, this one is better.
        interval: of the ratio, simultaneous over all pairs; None where the runs are too few.
        verdict: what the interval says.
    """

    entry: Entry
    ratio: float
    interval: Interval | None
    verdict: str


def render_policy(board: Board, published: Published, entry: Entry) -> str:
    """The page of a published policy."""
    entries = {each.name: each for each in board.standing.entries}
    card = published.card
    private = board.private.standing.entries if board.private else ()
    return render(
        "policy.html.jinja",
        section="policy",
        has_atlases=bool(board.atlases),
        scripts=("sorting.js",),
        benchmark=board.benchmark,
        standing=board.standing,
        published=published,
        card=card,
        entry=entry,
        private=next((each for each in private if each.name == entry.name), None),
        hyper_parameters=[(name, _setting(value)) for name, value in card.hyper_parameters.items()],
        commands=encodable("\n".join(commands(card, is_submission=published.is_submission))),
        rivals=[_rival(pair, entry.name, entries) for pair in board.standing.pairs_of(entry.name)],
        atlas_of={atlas.name: atlas for atlas in board.atlases},
    )


def commands(card: Card, *, is_submission: bool) -> tuple[str, ...]:
    """What to type to run the policy, and to score it again. Its name cannot add a word, or a command, to a line."""
    name = shlex.quote(card.name)
    verify = f"gembench leaderboard verify {name}"
    if not is_submission:
        return f"gembench simulate -p {name}", verify
    settings = ",".join(f"{key}={value}" for key, value in card.hyper_parameters.items())
    file = ":".join(filter(None, (f"policies/submissions/{card.name}/policy.py", card.policy_class, settings)))
    return f"gembench leaderboard score {shlex.quote(file)}", verify


def _rival(pair: Pair, name: str, entries: dict[str, Entry]) -> Rival:
    if pair.better == name:
        verdict = "better" if pair.is_certain else "cannot be told apart"
        return Rival(entries[pair.worse], pair.ratio, pair.interval, verdict)
    interval = (1 / pair.interval[1], 1 / pair.interval[0]) if pair.interval else None
    verdict = "worse" if pair.is_certain else "cannot be told apart"
    return Rival(entries[pair.better], 1 / pair.ratio, interval, verdict)


def _setting(value: str | int | float | bool) -> str:
    return value if isinstance(value, str) else json.dumps(value)
