"""One page of the site from a template: autoescaped, with its styles and scripts within, and nothing else allowed.

Nothing that is shown is trusted: Jinja's autoescape escapes every value, and the page's Content-Security-Policy runs
no script and applies no style but those of the package, which it knows by their hashes. So a page cannot use `style`
and `on…` attributes; its scripts may set `element.style`. Data for a script goes into the page as
`<script type="application/json" id="…">{{ data | tojson }}</script>`, which no browser runs.
"""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from gembench.gem_card.templates import make_environment, visible
from gembench.gem_card.words import NONE, counted, one_line, percent
from gembench.leaderboard.site.links import atlas_page, linked_text, policy_page
from gembench.leaderboard.site.numbers import number, number_interval, share_interval

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

Section = Literal["ranking", "policy", "atlas", "about"]


@dataclass(frozen=True)
class _Inline:
    """A style sheet or script as it stands in the page.

    Attributes:
        text: HTML already: a file of the package.
        source: what allows it in a Content-Security-Policy.
    """

    text: str
    source: str


def render(
    template: str,
    *,
    section: Section,
    has_atlases: bool,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    **values: Any,
) -> str:
    """A page of HTML from a template that extends `base.html.jinja` with the blocks `title` and `main`.

    Args:
        template: its file name, beside this module.
        section: what the page belongs to; the navigation marks the page's own link.
        has_atlases: whether the site has an atlas to link to.
        styles: file names of style sheets, after `palette.css` and `site.css`.
        scripts: file names of scripts, run at the end of the body.
        values: what the template uses.
    """
    return (
        _environment()
        .get_template(template)
        .render(
            section=section,
            has_atlases=has_atlases,
            styles=[_inline("palette.css", "site.css"), *map(_inline, styles)],
            scripts=[*map(_inline, scripts)],
            **values,
        )
    )


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = make_environment("gembench.leaderboard.site", visible)
    environment.filters["code"] = _code
    environment.globals |= {
        "atlas_page": atlas_page,
        "counted": counted,
        "dash": NONE,
        "linked_text": linked_text,
        "number": number,
        "number_interval": number_interval,
        "one_line": one_line,
        "percent": percent,
        "policy_page": policy_page,
        "share_interval": share_interval,
    }
    return environment


@lru_cache(maxsize=16)
def _inline(*names: str) -> _Inline:
    """Files of the package, one after the other."""
    from markupsafe import Markup

    environment = _environment()
    text = "".join(environment.loader.get_source(environment, name)[0] for name in names if environment.loader)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return _Inline(Markup(text), f"'sha256-{digest}'")


def _code(text: str) -> Markup:
    """A text with its lines and blanks, escaped; what cannot be seen, and might hide what code does, is shown."""
    from markupsafe import escape

    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")  # Python ends a line at any of them
    return escape("\n".join(line if line.isprintable() else "".join(map(_shown, line)) for line in lines))


def _shown(letter: str) -> str:
    is_hidden = letter != "\t" and unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return "\ufffd" if is_hidden else letter
