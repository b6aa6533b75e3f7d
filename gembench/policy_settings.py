"""Hyper-parameters of a policy from text."""

import dataclasses
from typing import Any

from gembench.errors import PolicySettingError


def fields_of(policy_class: type[Any]) -> tuple[dataclasses.Field[Any], ...]:
    """The hyper-parameters of a policy."""
    return dataclasses.fields(policy_class)  # every policy is a dataclass


def parse_settings(policy_class: type[Any], name: str, settings: str) -> dict[str, Any]:
    """The hyper-parameters that `key=value,...` gives a policy, each of the type of its default; "" gives none.

    Raises:
        PolicySettingError: the policy has no such hyper-parameter, or the value is not of its type.
    """
    fields = {field.name: field for field in fields_of(policy_class)}
    values = {}
    for setting in filter(None, settings.split(",")):
        key, equals, text = (part.strip() for part in setting.partition("="))
        if key not in fields or not equals:
            takes = ", ".join(f"{field.name}={field.default}" for field in fields.values()) or "none"
            raise PolicySettingError(f"policy {name} has no setting '{setting.strip()}'; it takes: {takes}.")
        if key in values:
            raise PolicySettingError(f"{name}: {key} is given twice.")
        kind: type[Any] = type(fields[key].default)
        try:
            values[key] = kind(text)
        except ValueError as error:
            raise PolicySettingError(f"{name}: {key} must be of type {kind.__name__}, got '{text}'.") from error
    return values
