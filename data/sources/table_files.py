"""The table in a file, by the file's name."""

from gembench.data.sources.streams import without_codec
from gembench.data.sources.table_csv import open_csv
from gembench.data.sources.table_json_lines import open_json_lines
from gembench.data.sources.table_parquet import open_parquet
from gembench.data.sources.table_source import Table
from gembench.errors import SourceError


def open_table(location: str) -> Table:
    """The table in a file, by the file's name.

    Raises:
        SourceError: its name says of no such table, or its columns cannot be read.
    """
    name = without_codec(location).lower()
    if name.endswith((".csv", ".tsv")):
        return open_csv(location, "\t" if name.endswith(".tsv") else ",")
    if name.endswith((".jsonl", ".ndjson")):
        return open_json_lines(location)
    if name.endswith((".parquet", ".pq")):
        return open_parquet(location)
    raise SourceError(
        f"{location}: a table of unknown kind; name it .csv, .tsv, .jsonl, .parquet, .npz or .npy, as it is one."
    )
