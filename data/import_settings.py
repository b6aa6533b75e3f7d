"""How logs become a tensor, and who is told how far that is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gembench.data.import_merge import OnConflict
from gembench.data.import_naming import check_pattern
from gembench.data.import_reading import LogRead
from gembench.data.sources.source import Choice, Log
from gembench.errors import UsageError


@dataclass(frozen=True)
class ImportSettings:
    """What a person says of an import.

    Attributes:
        choice: which metric, filter and columns of the logs.
        threshold: an answer is right from this score on, where the log does not say itself what is right.
        min_coverage: models, then queries, with a smaller share of answered cells are left out.
        on_conflict: what happens where two logs of a model disagree on a query.
        model_name: a format string over the fields of a run's identity; None for its model, and revision if known.

    Raises:
        UsageError: one of them makes no sense.
    """

    choice: Choice = field(default_factory=Choice)
    threshold: float = 0.5
    min_coverage: float = 0.0
    on_conflict: OnConflict = "error"
    model_name: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise UsageError(f"the threshold must be above 0 and at most 1, got {self.threshold}.")
        if not 0 <= self.min_coverage <= 1:
            raise UsageError(f"the least coverage must be in [0, 1], got {self.min_coverage}.")
        if self.model_name is not None:
            check_pattern(self.model_name)


class Listener(Protocol):
    """Who is told how far an import is."""

    def found(self, logs: Sequence[Log]) -> None:
        """These logs will be read."""
        ...

    def read(self, log: LogRead) -> None:
        """A log is done."""
        ...

    def merging(self, num_models: int) -> None:
        """All logs are read, and the tensor is being made."""
        ...


class Deaf:
    """A listener that does nothing."""

    def found(self, logs: Sequence[Log]) -> None:
        """Nothing."""

    def read(self, log: LogRead) -> None:
        """Nothing."""

    def merging(self, num_models: int) -> None:
        """Nothing."""
