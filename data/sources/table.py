"""Tables: long ones (a row an answer) and wide ones (a row a model), and NumPy files.

`.csv`, `.tsv`, `.jsonl` (packed as `.gz`, `.zst` or `.bz2` too), `.parquet`, `.npz` (docs/tensor.md) and `.npy`, from
any path or fsspec URL.

- Long: columns of models, queries and values; tasks too where there are several. They are found by their usual names
  (`table_columns.py`) where nobody says them; which were taken is said. `--metric NAME` names the column of values.
- Wide (CSV, TSV, Parquet): one column has the models, every other is a query.

Traps:
- values are 0 and 1, true and false, or scores in [0, 1]. Empty, null or NaN is *never answered*, not wrong. 72.5 is
  refused: whether it is a percentage, a table does not say.
- where columns `correct` and `score` are both there, the first says what is right, whatever the threshold. `outcome`
  (answered, truncated, ungraded, failed, not_asked) says why there is no answer.
- queries numbered anew in each task would be taken for one: an id gets its task before it. Ids in files that
  `gembench export` wrote are kept as they are.
- two rows of one model and query are refused: they may be two trials, two metrics, or a join gone wrong.
- ids stay texts: `007` is not `7`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from gembench.data.sources.files import find_files
from gembench.data.sources.source import Choice, Log, ModelLog, Remark
from gembench.data.sources.streams import without_codec
from gembench.data.sources.table_arrays import read_npy_file, read_npz_file
from gembench.data.sources.table_columns import find_long_columns, find_model_column
from gembench.data.sources.table_files import open_table
from gembench.data.sources.table_json_lines import JsonLinesTable
from gembench.data.sources.table_long import read_long
from gembench.data.sources.table_wide import read_wide
from gembench.errors import SourceError

ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".pq", ".npz", ".npy")


def find_logs(places: Sequence[str]) -> list[Log]:
    """A log a table.

    Raises:
        SourceError: no table lies there.
    """
    files = find_files(places, _is_wanted, "table (.csv, .tsv, .jsonl, .parquet, .npz, .npy)")
    return [Log((path,), size) for path, size in files]


def _is_wanted(path: str) -> bool:
    return without_codec(path).lower().endswith(ENDINGS)


def read_log(log: Log, choice: Choice) -> Iterator[ModelLog]:
    """What a table says, a model at a time.

    Raises:
        SourceError: the table cannot be used; with the line where there is one.
    """
    file = log.files[0]
    if file.lower().endswith((".npz", ".npy")):
        if choice.columns or choice.metric is not None or choice.filter_name is not None:
            raise SourceError(
                f"{file}: NumPy files have no columns, metrics or filters to choose; leave the choice out."
            )
        yield from read_npz_file(file) if file.lower().endswith(".npz") else read_npy_file(file)
        return
    table = open_table(file)
    columns = find_long_columns(table.names, choice, file)
    if columns is None and isinstance(table, JsonLinesTable):
        raise SourceError(
            f"{file}: no columns of queries and values; say --columns model=NAME,query=NAME,value=NAME. "
            f"There are {', '.join(table.names[:12])}."
        )
    if columns is None:
        yield from read_wide(table, find_model_column(table.names, choice, file))
        return
    models = read_long(table, columns)
    if columns.guessed and not table.is_own:
        taken = ", ".join(f"{role}={name}" for role, name in columns.guessed.items())
        first = next(models)
        remark = Remark(file, None, f"taken by their names: {taken}; others by --columns", 0)
        yield replace(first, remarks=[remark, *first.remarks])
    yield from models
