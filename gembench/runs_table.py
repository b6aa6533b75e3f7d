"""A row a run: what each randomized run recommended, how good it was and what it paid. CSV, or Parquet by pyarrow."""

import csv
import io
from collections.abc import Iterable, Sequence

from gembench.experiment import ContestResult

COLUMNS = (
    *("tensor", "policy", "queries_per_model", "run", "recommended", "rank"),
    *("pulls", "distinct_queries", "decision_digest"),
)

RunRow = tuple[str, str, float, int, str, int, int, float, str]


def run_rows(results: Iterable[ContestResult]) -> Iterable[RunRow]:
    """The rows of `COLUMNS`, run by run; `recommended` is the name of the first model."""
    for result in results:
        row, runs = result.row, result.runs
        digests = runs.decision_digests
        if digests is None:
            raise ValueError("the runs were made without decision digests.")
        models = result.contest.loaded.models
        for run, digest in enumerate(digests):
            yield (
                row.tensor,
                row.policy,
                row.queries_per_model,
                run,
                models[int(runs.recommended[run, 0])],
                int(result.measures.rank[run]),
                int(runs.pulls[run]),
                float(runs.distinct_queries[run]),
                digest,
            )


def to_csv(results: Sequence[ContestResult]) -> bytes:
    """All runs as CSV (UTF-8)."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(run_rows(results))
    return text.getvalue().encode()


def to_parquet(results: Sequence[ContestResult]) -> bytes:
    """All runs as Parquet."""
    import pyarrow as pa
    from pyarrow import parquet

    types = (
        *(pa.string(), pa.string(), pa.float64(), pa.int32(), pa.string(), pa.int32()),
        *(pa.int64(), pa.float64(), pa.string()),
    )
    columns = zip(*run_rows(results), strict=True)
    arrays = [pa.array(column, kind) for kind, column in zip(types, columns, strict=True)]
    table = pa.table(arrays, names=COLUMNS)
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    return buffer.getvalue()
