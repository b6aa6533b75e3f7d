"""Imports of logs of the format of `fake_format.py`, and what came of them."""

from gembench.data.import_settings import ImportSettings
from gembench.data.importing import import_logs
from gembench.data.tensor import open_tensor

A = {"identity": {"model": "org/a"}}
B = {"identity": {"model": "org/b"}}


def run(places, store, *, append=False, overwrite=False, num_processes=None, **options):
    places = [str(place) for place in (places if isinstance(places, list) else [places])]
    return import_logs(
        "fake",
        places,
        store,
        ImportSettings(**options),
        append=append,
        overwrite=overwrite,
        num_processes=num_processes,
    )


def values(store, name="correct"):
    """By model, its cells by query."""
    tensor = open_tensor(store)
    return {
        str(model): dict(zip(map(str, tensor["query"].values), row.tolist(), strict=True))
        for model, row in zip(tensor["model"].values, tensor[name].values, strict=True)
    }
