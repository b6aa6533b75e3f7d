"""`--hub-metadata` and `--metadata`: what is known of a tensor's models beside their answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from gembench.cli.option_groups import add_options

if TYPE_CHECKING:
    from gembench.data.metadata import LookUp, Metadata

_OPTIONS = (
    click.option(
        "--hub-metadata",
        "asks_hub",
        is_flag=True,
        help="Ask the Hugging Face Hub for the models' downloads, likes, license, size, parent and base.",
    ),
    click.option(
        "--metadata",
        "metadata_file",
        metavar="FILE.csv",
        help="The same from a table: a column model, and downloads, likes, ... It stands over what the Hub says.",
    ),
)


@dataclass(frozen=True)
class MetadataChoice:
    """What the options said."""

    asks_hub: bool
    metadata_file: str | None

    def look_up(self, on_progress: Callable[[int, int], None]) -> LookUp:
        """What is to be asked of models, the Hub first. The file is read now, so that its mistakes show at once.

        Raises:
            SourceError: the file cannot be used.
        """
        from gembench.data.metadata_file import read_metadata

        of_file = read_metadata(self.metadata_file) if self.metadata_file else None

        def ask(models: Sequence[str]) -> Iterator[Metadata]:
            if self.asks_hub:
                from gembench.evaluate.hub_metadata import hub_metadata

                yield hub_metadata(models, on_progress=on_progress)
            if of_file is not None:
                yield of_file

        return ask


metadata_options = add_options(_OPTIONS)
"""Adds the options of `MetadataChoice`."""
