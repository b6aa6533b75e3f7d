"""The one look of gembench's tables: no lines but one under the header."""

from rich.box import Box
from rich.table import Table

_RULED = Box("    \n    \n ── \n    \n    \n    \n    \n    \n")


def plain_table(title: str | None = None, caption: str | None = None) -> Table:
    """An empty table. A title is folded to its width, so that a long one is better printed before it."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption=caption,
        caption_justify="left",
        box=_RULED,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
