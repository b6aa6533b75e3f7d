"""The formats that a tensor can be exported to: their names on the command line, and the modules that write them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class ExportFormat(NamedTuple):
    """A format: the `module` whose `write` writes it, what it `needs`, and what it is in a `summary` of one line."""

    module: str
    needs: tuple[str, ...]
    summary: str
    is_folder: bool = False


EXPORT_FORMATS: Mapping[str, ExportFormat] = MappingProxyType(
    {
        "eee": ExportFormat(
            "gembench.data.export_eee", ("orjson",), "Every Eval Ever: a folder, two files a model", is_folder=True
        ),
        "parquet": ExportFormat(
            "gembench.data.export_parquet", ("pyarrow",), "Parquet: a row a model and query, with all that is known"
        ),
        "csv": ExportFormat("gembench.data.export_csv", (), "CSV: a row a model, a column a query: scores, or 1 and 0"),
        "npz": ExportFormat("gembench.data.export_npz", (), "NumPy: arrays [models, queries], as gembench reads them"),
    }
)
