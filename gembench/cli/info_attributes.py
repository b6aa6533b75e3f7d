"""What `gembench info` prints of a tensor's attributes: imports and metadata in words, all else as it is stored."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

_NOT_PRINTED = ("content_digest", "reported")
MOST_REMARKS = 3


def attribute_lines(attributes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What each line is about, and what it says."""
    for name, value in attributes.items():
        if name in _NOT_PRINTED:
            continue
        try:
            lines = [("\n".join(_IN_WORDS[name](record))) for record in value] if name in _IN_WORDS else None
        except (KeyError, TypeError, AttributeError, ValueError):  # somebody else's attribute of that name
            lines = None
        for line in lines if lines is not None else [_as_stored(value)]:
            yield name, line


def _as_stored(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _metadata(record: Mapping[str, Any]) -> Iterator[str]:
    filled = ", ".join(f"{name} of {count:,}" for name, count in record["filled"].items())
    yield f"{record['source']} on {record['day']}: {filled}"


def _import(record: Mapping[str, Any]) -> Iterator[str]:
    report = record["report"]
    chosen = [f", {name} {record[name]}" for name in ("metric", "filter", "model_name") if record[name] is not None]
    yield f"{record['format']}: {report['num_rows']:,} rows of {report['num_logs']:,} logs{''.join(chosen)}"
    left_out = [
        f"{report[name]:,} {what}"
        for name, what in (
            ("num_unusable_logs", "logs"),
            ("num_dropped_models", "models"),
            ("num_dropped_queries", "queries"),
        )
    ]
    coverage = f" (least coverage {record['min_coverage']:.0%})" if record["min_coverage"] else ""
    yield f"left out: {', '.join(left_out)}{coverage}"
    kept = f", of which the {record['on_conflict']} is kept" if report["num_conflicts"] else ""
    yield f"conflicts: {report['num_conflicts']:,} cells{kept}"
    if report["num_between"]:
        yield f"{report['num_between']:,} scores between 0 and 1; right from {record['threshold']:g} on"
    if report["num_reported"]:
        yield (
            f"{len(report['differences']):,} of {report['num_reported']:,} means differ from the reported ones by more "
            f"than 0.05 points"
        )
    for message, num_rows in report["remarks"][:MOST_REMARKS]:
        yield f"{message} ({num_rows:,} rows)" if num_rows else message
    if len(report["remarks"]) > MOST_REMARKS:
        yield f"and {len(report['remarks']) - MOST_REMARKS:,} remarks more (--json has them)"


_IN_WORDS = {"imports": _import, "metadata": _metadata}
