"""How the runs that logs tell of become models of a tensor: each by a name, and no two different runs by one."""

import string
from collections.abc import Iterable, Mapping, Sequence

from gembench.data.import_spool import Part
from gembench.errors import SourceError, UsageError

PLACES = ("folder", "file")
"""Fields of an identity that say where a log lies: they tell no two models apart unless a pattern names them."""


def check_pattern(pattern: str) -> None:
    """Make sure that `--model-name` is a format string of plain fields.

    Raises:
        UsageError: it is not.
    """
    try:
        parsed = list(string.Formatter().parse(pattern))
    except ValueError as error:
        raise UsageError(f"the model name {pattern!r} is no pattern: {error}; write one like '{{model}}'.") from error
    fields = [field for _, field, _, _ in parsed if field is not None]
    is_plain = all(not spec and not conversion for _, _, spec, conversion in parsed)
    if not fields or not is_plain or not all(field.isidentifier() for field in fields):
        raise UsageError(f"the model name {pattern!r} must be made of fields, such as '{{model}}@{{revision}}'.")


def name_of(part: Part, pattern: str | None) -> str:
    """The model's name: by the pattern, else `{model}`, and `@{revision}` where the log knows one.

    Raises:
        UsageError: the log has no such field.
    """
    identity = part.identity
    if pattern is None:
        revision = identity.get("revision")
        return f"{identity['model']}@{revision}" if revision else identity["model"]
    try:
        return pattern.format_map(identity)
    except KeyError as error:
        known = ", ".join(f"{{{field}}}" for field in identity)
        raise UsageError(f"{part.file}: there is no {{{error.args[0]}}}; name its model by {known}.") from error


def group_by_model(parts: Iterable[Part], pattern: str | None) -> dict[str, list[Part]]:
    """The parts of each model, by its name; names in order.

    A pattern that a person wrote says which runs are one model. Without one, runs of one name must be of one identity.

    Raises:
        UsageError: a log does not have the fields of the pattern.
        SourceError: runs of one name are not of one identity, or a name is empty.
    """
    groups: dict[str, list[Part]] = {}
    for part in parts:
        groups.setdefault(name_of(part, pattern), []).append(part)
    if "" in groups:
        raise SourceError(f"{groups[''][0].file}: its model has no name by the pattern {pattern!r}; choose another.")
    if pattern is None:
        for name, group in groups.items():
            _refuse_different_runs(name, group)
    return dict(sorted(groups.items()))


def differing_fields(identities: Sequence[Mapping[str, str]]) -> list[str]:
    """Fields of which the identities have different values, what is missing being empty."""
    fields = dict.fromkeys(field for identity in identities for field in identity)
    return [field for field in fields if len({identity.get(field, "") for identity in identities}) > 1]


def _refuse_different_runs(name: str, group: Sequence[Part]) -> None:
    first = group[0]
    for other in group[1:]:
        fields = [field for field in differing_fields([first.identity, other.identity]) if field not in PLACES]
        if fields:
            differences = "; ".join(
                f"{field} is {first.identity.get(field, '')!r} and {other.identity.get(field, '')!r}"
                for field in fields
            )
            apart = suggested_pattern(first.identity, fields)
            raise SourceError(
                f"{first.file} and {other.file}: two runs would be called {name!r}, but {differences}. Tell them apart "
                f"by --model-name '{apart}', or say by --model-name '{{model}}' that they are one model."
            )


def suggested_pattern(identity: Mapping[str, str], fields: Sequence[str]) -> str:
    """A pattern that tells runs apart that differ in these fields."""
    names = ["model", *(["revision"] if identity.get("revision") else []), *fields]
    return "@".join(f"{{{name}}}" for name in dict.fromkeys(names))
