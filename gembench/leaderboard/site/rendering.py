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

from gembench.gem_card.words import NONE, counted, one_line
from gembench.leaderboard.site.links import atlas_page, linked_text, policy_page
from gembench.leaderboard.site.numbers import number, number_interval, share, share_interval

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
        styles: file names of style sheets, after `site.css`.
        scripts: file names of scripts, run at the end of the body.
        values: what the template uses.
    """
    return (
        _environment()
        .get_template(template)
        .render(
            section=section,
            has_atlases=has_atlases,
            styles=[_inline(name) for name in ("site.css", *styles)],
            scripts=[_inline(name) for name in scripts],
            **values,
        )
    )


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # no command but `build` needs it

    environment = Environment(
        loader=PackageLoader("gembench.leaderboard.site", ""),
        autoescape=True,
        finalize=_visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["code"] = _code
    environment.globals |= {
        "atlas_page": atlas_page,
        "counted": counted,
        "dash": NONE,
        "linked_text": linked_text,
        "number": number,
        "number_interval": number_interval,
        "one_line": one_line,
        "policy_page": policy_page,
        "share": share,
        "share_interval": share_interval,
    }
    return environment


@lru_cache(maxsize=16)
def _inline(name: str) -> _Inline:
    from markupsafe import Markup

    environment = _environment()
    text = environment.loader.get_source(environment, name)[0] if environment.loader else ""
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


def _visible(value: Any) -> Any:
    """Texts without what cannot be seen; what is HTML already (`Markup` has `__html__`) as it is."""
    return one_line(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
