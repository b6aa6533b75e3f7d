"""Groups of options that several commands share: each is a dataclass whose fields are the options' values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, TypeVar

Command = TypeVar("Command", bound=Callable[..., Any])
Group = TypeVar("Group")


def add_options(options: Sequence[Callable[[Any], Any]]) -> Callable[[Command], Command]:
    """A decorator that gives a command these options, in their order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def take_group(group: type[Group], values: dict[str, Any]) -> Group:
    """A group made of those of a command's values that are its fields, which are taken out of `values`."""
    return group(**{field.name: values.pop(field.name) for field in fields(group)})  # type: ignore[arg-type]
