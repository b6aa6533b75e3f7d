"""The policies by name: the one place where a name becomes a policy."""

import dataclasses
import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from gembench.errors import PolicySettingError, UnknownPolicyError
from gembench.policies.accelerated_sequential_halving import AcceleratedSequentialHalving
from gembench.policies.bayes_elim import BayesElim
from gembench.policies.sequential_halving import SequentialHalving
from gembench.policies.successive_rejects import SuccessiveRejects
from gembench.policies.thompson import Thompson
from gembench.policies.ttts import TTTS
from gembench.policies.ucb import UCB
from gembench.policies.ucb_e import UCBE
from gembench.policies.ucb_stddev import UCBStdDev
from gembench.policies.uniform import Uniform
from gembench.policy import Policy

CATALOG: Mapping[str, type[Policy]] = MappingProxyType(
    {
        "uniform": Uniform,
        "ucb": UCB,
        "ucb_stddev": UCBStdDev,
        "ucb_e": UCBE,
        "thompson": Thompson,
        "ttts": TTTS,
        "successive_rejects": SuccessiveRejects,
        "bayes_elim": BayesElim,
        "sequential_halving": SequentialHalving,
        "accelerated_sequential_halving": AcceleratedSequentialHalving,
    }
)


def make_policy(spec: str) -> Policy:
    """The policy that `NAME` or `NAME:key=value,...` stands for; hyphens in names count as underscores.

    Raises:
        UnknownPolicyError: no policy has that name; the message gives the nearest.
        PolicySettingError: it has no such hyper-parameter, or the value is not of its type or range.
    """
    name, _, settings = spec.partition(":")
    name = name.strip().replace("-", "_")
    if name not in CATALOG:
        near = difflib.get_close_matches(name, CATALOG, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(CATALOG)}."
        raise UnknownPolicyError(f"no policy is called '{name}'; {hint}")
    return CATALOG[name](**_parse_settings(name, settings))


def policy_spec(policy: Policy) -> str:
    """The shortest text from which `make_policy` makes an equal policy: only settings that differ from the default."""
    (name,) = (name for name, policy_class in CATALOG.items() if type(policy) is policy_class)
    changed = [
        f"{field.name}={getattr(policy, field.name)}"
        for field in _fields(type(policy))
        if getattr(policy, field.name) != field.default
    ]
    return f"{name}:{','.join(changed)}" if changed else name


def _fields(policy_class: type[Policy]) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(policy_class)  # type: ignore[arg-type]  # every policy is a dataclass


def _parse_settings(name: str, settings: str) -> dict[str, Any]:
    fields = {field.name: field for field in _fields(CATALOG[name])}
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
