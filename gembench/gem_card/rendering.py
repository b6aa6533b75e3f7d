"""A gem card as JSON, as Markdown and as one page of HTML.

Nothing in a card is trusted: every value that a template puts into HTML is escaped by Jinja's autoescape, every one put
into Markdown by `markdown_text`. The page needs no script and asks nothing of any server.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from gembench.gem_card.facts import CardModel, GemCard, Interval
from gembench.gem_card.story import HIDDEN_GEM, origin, tell
from gembench.gem_card.templates import make_environment, visible
from gembench.gem_card.words import NONE, counted, encodable, hub_url, one_line, percent, percent_interval

_MARKDOWN_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_MARKDOWN_MARKS = re.compile(r"([\\`*_\[\]|~$])")
_BARE_LINK = re.compile(r":(?=//)|(?<=www)\.", re.IGNORECASE)
_AXIS_STEP = 0.05


class _Markdown(str):
    """Text that is Markdown already."""

    __slots__ = ()


@dataclass(frozen=True)
class _Axis:
    """The part of [0, 1] that the bars of the ranking show, so that close models can be told apart."""

    low: float
    high: float

    def at(self, share: float) -> str:
        """Where on the axis an accuracy lies, such as 12.5%."""
        return f"{100 * min(max((share - self.low) / (self.high - self.low), 0.0), 1.0):.2f}%"

    def length(self, interval: Interval) -> str:
        """How much of the axis an interval takes, such as 7.3%."""
        low, high = (min(max(end, self.low), self.high) for end in interval)
        return f"{100 * (high - low) / (self.high - self.low):.2f}%"


def to_json(card: GemCard) -> str:
    """The card's fields as a JSON object, tuples as lists.

    Raises:
        ValueError: a number is not finite.
    """
    plain = asdict(replace(card, engine=dict(card.engine)))
    return json.dumps(plain, indent=2, allow_nan=False) + "\n"


def to_markdown(card: GemCard) -> str:
    """The card as Markdown, with tables as on GitHub."""
    return _rendered("card.md.jinja", card, _markdown_value, autoescape=False)


def to_html(card: GemCard) -> str:
    """The card as one self-contained page of HTML, for wide screens and phones, light and dark, without scripts."""
    return _rendered("card.html.jinja", card, visible, autoescape=True)


def markdown_text(text: str) -> str:
    """A text that Markdown shows as it is, within a line or a table's cell: no link, no mark-up, no line break.

    It must not begin a line: a leading `#`, `-` or `1.` is left as it is.
    """
    escaped = _MARKDOWN_MARKS.sub(r"\\\1", one_line(text).translate(_MARKDOWN_ENTITIES))
    return _BARE_LINK.sub(lambda found: f"&#{ord(found[0])};", escaped)


def _rendered(template: str, card: GemCard, finalize: Callable[[Any], Any], *, autoescape: bool) -> str:
    environment = make_environment("gembench.gem_card", finalize, autoescape=autoescape)
    return environment.get_template(template).render(
        card=card,
        story=tell(card),
        hidden_gem=HIDDEN_GEM,
        axis=_axis(card.ranking),
        whole=_Axis(0.0, 1.0),
        command=encodable(card.command),
        dash=NONE,
        counted=counted,
        fenced=_fenced,
        hub_link=_hub_link,
        hub_url=hub_url,
        origin=origin,
        percent=percent,
        percent_interval=percent_interval,
    )


def _axis(ranking: tuple[CardModel, ...]) -> _Axis:
    """From the lowest end of the ranking's intervals to the highest, to the next step outwards."""
    low = min((model.interval[0] for model in ranking), default=0.0)
    high = max((model.interval[1] for model in ranking), default=1.0)
    first, last = math.floor(low / _AXIS_STEP), math.ceil(high / _AXIS_STEP)
    return _Axis(first * _AXIS_STEP, max(last, first + 1) * _AXIS_STEP)


def _markdown_value(value: Any) -> str:
    return value if isinstance(value, _Markdown) else markdown_text(str(value))


def _hub_link(model: str) -> _Markdown:
    """The model's id, as a link to the Hub where it has a page there."""
    url, name = hub_url(model), markdown_text(model)
    return _Markdown(f"[{name}]({url})" if url else name)


def _fenced(text: str) -> _Markdown:
    """The very text as a block of code, in a fence longer than any run of backticks within."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return _Markdown(f"{fence}sh\n{text}\n{fence}")
