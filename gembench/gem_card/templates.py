"""What all pages of gembench have in common: how their templates are read and escaped, and `palette.css`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gembench.gem_card.words import one_line

if TYPE_CHECKING:
    from jinja2 import Environment

_SHARED = "gembench.gem_card"


def make_environment(package: str, finalize: Callable[[Any], Any], *, autoescape: bool = True) -> Environment:
    """The templates and styles of a package, and those of this one.

    Args:
        package: in whose folder they lie.
        finalize: what becomes of each value before it is escaped.
        autoescape: whether values are escaped as HTML.
    """
    # Few commands end in a page.
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=ChoiceLoader([PackageLoader(each, "") for each in dict.fromkeys((package, _SHARED))]),
        autoescape=autoescape,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def visible(value: Any) -> Any:
    """Texts without what cannot be seen; what is HTML already (`Markup` has `__html__`) as it is."""
    return one_line(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
