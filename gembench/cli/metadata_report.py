"""What is printed of metadata: what it filled, and of which models it says nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gembench.data.metadata import MetadataReport

MOST_NAMES = 3


def metadata_lines(report: MetadataReport) -> Iterator[str]:
    """One source's report, in lines."""
    filled = ", ".join(f"{name} of {count:,}" for name, count in report.filled.items())
    yield f"{report.source}: tells about {report.num_known:,} of {report.num_models:,} models" + (
        f": {filled}" if filled else ""
    )
    if report.remark:
        yield f"{report.source}: {report.remark}"
    reasons: dict[str, list[str]] = {}
    for one in report.missing:
        # Some reasons begin with the model itself.
        reasons.setdefault(one.reason.replace(one.model.partition("@")[0], "it"), []).append(one.model)
    for reason, models in reasons.items():
        yield f"{report.source}: nothing about {len(models):,} models ({reason}): {_some(models)}"
    if report.unknown:
        yield f"{report.source}: {len(report.unknown):,} rows are of no model of the tensor: {_some(report.unknown)}"


def _some(names: Sequence[str]) -> str:
    num_more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {num_more:,} more (--json has all)" if num_more > 0 else "")
