"""Of the rows of a task, those of one filter: an answer has a row for each filter that cut it out of the response."""

from collections import Counter
from collections.abc import Sequence

from gembench.data.sources.lm_eval_samples import Samples
from gembench.data.sources.source import Remark


def choose_filter(
    path: str, samples: Samples, known: Sequence[str], wanted: str | None, remarks: list[Remark]
) -> tuple[str, list[bool]]:
    """The filter, and which rows are of it.

    Args:
        path: of the rows, for remarks.
        samples: the rows.
        known: the filters in the tool's order; empty where no results file says.
        wanted: the one that a person chose; the first where it is None, or where the task has no such filter.
        remarks: to which is added what is left out.
    """
    if samples.filters is None:
        return _of_unnamed_filters(path, samples, known, wanted, remarks)
    names = list(known) or list(dict.fromkeys(samples.filters))
    chosen = _chosen(path, names, wanted, remarks)
    is_kept = [name == chosen for name in samples.filters]
    _note_others(path, is_kept.count(False), remarks)
    return chosen, is_kept


def _chosen(path: str, names: Sequence[str], wanted: str | None, remarks: list[Remark]) -> str:
    if wanted is None or wanted in names:
        return wanted or names[0]
    remarks.append(Remark(path, None, f"there is no filter {wanted!r}; {names[0]!r} is taken", 0))
    return names[0]


def _note_others(path: str, num_others: int, remarks: list[Remark]) -> None:
    if num_others:
        remarks.append(Remark(path, None, "rows of other filters are left out; --filter takes one of them", num_others))


def _of_unnamed_filters(
    path: str, samples: Samples, known: Sequence[str], wanted: str | None, remarks: list[Remark]
) -> tuple[str, list[bool]]:
    """Old files do not name the filters, but write a document's rows in their order.

    The tool's number of the document, right in those days, tells documents of the same text apart.
    """
    seen: Counter[tuple[str, str, str]] = Counter()
    places = []
    for key in zip(samples.documents, samples.doc_hashes, samples.target_hashes, strict=True):
        places.append(seen[key])
        seen[key] += 1
    num_filters = max(seen.values())
    if num_filters > max(1, len(known)) and (known or wanted is not None):
        why = f"its rows name no filter; a document has {num_filters} rows, the results tell of {len(known)} filters"
        remarks.append(Remark(path, None, f"the task is left out: {why}", len(places)))
        return "", [False] * len(places)
    if num_filters > 1 and not known:
        remarks.append(Remark(path, None, "rows name no filter, and no results file does: the first is taken", 0))
    chosen = _chosen(path, known, wanted, remarks) if known else ""
    place = known.index(chosen) if known else 0
    is_kept = [each == place for each in places]
    _note_others(path, is_kept.count(False), remarks)
    return chosen, is_kept
