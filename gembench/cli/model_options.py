"""`--models`, `--tree` and the filters of trees: which models a command is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import click

from gembench.cli.option_groups import add_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gembench.evaluate.model_list import ModelSource

_DATE = click.DateTime(formats=["%Y-%m-%d"])
_OPTIONS = (
    click.option(
        "--models", "-m", metavar="FILE|ID,…|FOLDER", help="Ids, folders, or a file: one a line, or a .csv of models."
    ),
    click.option("--tree", metavar="BASE", help="A model on the Hub, and all that was made from it."),
    click.option("--limit", type=click.IntRange(min=1), help="Of a tree: the most models, the most downloaded first."),
    click.option("--max-parameters", type=click.FloatRange(min=0), help="Of a tree: no larger models, as 8e9."),
    click.option("--license", "licenses", multiple=True, help="Of a tree: models under this licence; repeatable."),
    click.option("--created-after", type=_DATE, metavar="DATE", help="Of a tree: models of that day or later."),
    click.option("--created-before", type=_DATE, metavar="DATE", help="Of a tree: models before that day."),
    click.option("--min-downloads", type=click.IntRange(min=0), help="Of a tree: models downloaded so often a month."),
    click.option("--tag", "tags", multiple=True, help="Of a tree: models with this tag; repeatable."),
)


@dataclass(frozen=True)
class ModelChoice:
    """What the options said: models by name, or a tree and its filters."""

    models: str | None
    tree: str | None
    limit: int | None
    max_parameters: float | None
    licenses: tuple[str, ...]
    created_after: datetime | None
    created_before: datetime | None
    min_downloads: int | None
    tags: tuple[str, ...]

    def sources(self) -> Sequence[ModelSource]:
        """The models.

        Raises:
            UsageError: neither or both ways were used, a filter without a tree, or a name is wrong.
        """
        if (self.models is None) == (self.tree is None):
            raise click.UsageError("name the models either by --models or by --tree.")
        if self.models is not None:
            from gembench.evaluate.model_list import read_models

            self._refuse_filters()
            return read_models(self.models)
        from gembench.evaluate.model_tree import TreeFilter, model_tree

        tree_filter = TreeFilter(
            max_parameters=None if self.max_parameters is None else int(self.max_parameters),
            licenses=frozenset(self.licenses),
            created_after=self.created_after.date() if self.created_after else None,
            created_before=self.created_before.date() if self.created_before else None,
            min_downloads=self.min_downloads or 0,
            tags=frozenset(self.tags),
        )
        return model_tree(str(self.tree), tree_filter=tree_filter, limit=self.limit)

    def _refuse_filters(self) -> None:
        filters = {
            "--limit": self.limit,
            "--max-parameters": self.max_parameters,
            "--license": self.licenses,
            "--created-after": self.created_after,
            "--created-before": self.created_before,
            "--min-downloads": self.min_downloads,
            "--tag": self.tags,
        }
        for name, value in filters.items():
            if value not in (None, ()):
                raise click.UsageError(f"{name} filters a --tree; --models takes those that it names.")


model_options = add_options(_OPTIONS)
"""Adds the options of `ModelChoice`."""
