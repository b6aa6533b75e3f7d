"""What may be tuned: ranges and choices of a policy's hyper-parameters, from text."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from gembench.errors import PolicySettingError, UsageError
from gembench.experiment import make_policies
from gembench.policy_settings import fields_of, parse_settings
from gembench.query_policy import AnyPolicy

LOG = "log"
Setting: TypeAlias = Mapping[str, Any]
"""Values of the hyper-parameters that are tuned, by name."""


@dataclass(frozen=True)
class NumberRange:
    """A number between two ends, both included; whole where the hyper-parameter is an int.

    Attributes:
        key: the hyper-parameter.
        low: the lower end.
        high: the upper end, above it.
        is_log: whether equal ratios, and not equal differences, are alike likely.
    """

    key: str
    low: float
    high: float
    is_log: bool

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that must be allowed."""
        return self.low, self.high

    def rounded(self, value: Any) -> Any:
        """The value in steps of a thousandth of the range or less, so that it has few digits to read and to type."""
        if isinstance(self.low, int):
            return value
        finest = min(self.high - self.low, value) if self.is_log else self.high - self.low
        return min(max(round(value, 3 - math.floor(math.log10(finest))), self.low), self.high)


@dataclass(frozen=True)
class Choices:
    """One of some values, which have no order.

    Attributes:
        key: the hyper-parameter.
        values: two or more.
    """

    key: str
    values: tuple[Any, ...]

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that must be allowed."""
        return self.values

    def rounded(self, value: Any) -> Any:
        """The value as it is."""
        return value


Dimension: TypeAlias = NumberRange | Choices


@dataclass(frozen=True)
class Space:
    """A policy, and what is tuned of it.

    Attributes:
        base: the policy's canonical text, all that is not tuned included.
        dimensions: what is tuned, one or more.
    """

    base: str
    dimensions: tuple[Dimension, ...]

    def named(self, setting: Setting) -> tuple[str, AnyPolicy]:
        """The policy with a setting, and its canonical text.

        Raises:
            PolicySettingError: the policy refuses the setting.
        """
        tuned = ",".join(f"{each.key}={each.rounded(setting[each.key])}" for each in self.dimensions)
        (named,) = make_policies([f"{self.base}{',' if ':' in self.base else ':'}{tuned}"]).items()
        return named

    def corners(self) -> Iterator[tuple[str, AnyPolicy]]:
        """The policy at every combination of ends; `PolicySettingError` where it refuses one."""
        keys = [each.key for each in self.dimensions]
        for values in itertools.product(*(each.ends for each in self.dimensions)):
            yield self.named(dict(zip(keys, values, strict=True)))


def read_space(policy: str, ranges: Sequence[str], choices: Sequence[str]) -> Space:
    """The space of `KEY=LOW:HIGH[:log]` and `KEY=A,B,...` texts, every combination of whose ends the policy takes.

    Args:
        policy: `NAME[:KEY=VALUE,...]`: what it gives is not tuned.
        ranges: of numbers.
        choices: of any values.

    Raises:
        UsageError: there is no such policy, it has no such hyper-parameter or refuses a value, a text is not of that
            form, a hyper-parameter is there twice, or there is nothing to tune.
    """
    ((base, made),) = make_policies([policy]).items()
    kind, name = type(made), base.partition(":")[0]
    fixed = parse_settings(kind, name, policy.partition(":")[2])
    if not ranges and not choices:
        takes = ", ".join(f"{field.name}={field.default}" for field in fields_of(kind))
        hint = f"it takes {takes}: give --range KEY=LOW:HIGH" if takes else "it has no hyper-parameter"
        raise UsageError(f"nothing to tune of {name}: {hint}.")
    dimensions: list[Dimension] = [_read_range(kind, name, text) for text in ranges]
    dimensions += [_read_choices(kind, name, text) for text in choices]
    for number, each in enumerate(dimensions):
        if each.key in fixed:
            raise UsageError(f"{name}: {each.key} is both fixed and to be tuned; take one away.")
        if any(each.key == other.key for other in dimensions[:number]):
            raise UsageError(f"{name}: {each.key} is to be tuned twice; give it one range.")
    space = Space(base, tuple(dimensions))
    for _ in space.corners():
        pass
    return space


def _read_range(kind: type[Any], name: str, text: str) -> NumberRange:
    key, ends = _key_and_values(kind, name, text)
    low_text, colon, rest = ends.partition(":")
    high_text, _, scale = rest.partition(":")
    if not colon or scale not in ("", LOG):
        raise UsageError(f"'{text}' is not a range; give KEY=LOW:HIGH or KEY=LOW:HIGH:{LOG}.")
    low, high = (parse_settings(kind, name, f"{key}={end}")[key] for end in (low_text, high_text))
    if not isinstance(low, int | float) or isinstance(low, bool):
        raise UsageError(f"{name}: {key} is no number, and has no range; give --choices {key}=A,B.")
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UsageError(f"the range of {key} must be finite, got {ends}.")
    if low >= high:
        raise UsageError(
            f"the range of {key} goes from {low} to {high}: the lower end comes first, and must be below the other."
        )
    if scale == LOG and low <= 0:
        raise UsageError(f"the range of {key} is logarithmic and must lie above 0, got {low}.")
    return NumberRange(key, low, high, scale == LOG)


def _read_choices(kind: type[Any], name: str, text: str) -> Choices:
    key, listed = _key_and_values(kind, name, text)
    values = tuple(parse_settings(kind, name, f"{key}={value}")[key] for value in listed.split(","))
    if len(set(values)) < max(2, len(values)):
        raise UsageError(f"{name}: {key} has to have two or more different values to choose from, got '{listed}'.")
    return Choices(key, values)


def _key_and_values(kind: type[Any], name: str, text: str) -> tuple[str, str]:
    key, equals, values = (part.strip() for part in text.partition("="))
    known = [field.name for field in fields_of(kind)]
    if not equals:
        raise UsageError(f"'{text}' is neither a range, KEY=LOW:HIGH, nor choices, KEY=A,B.")
    if key not in known:
        raise PolicySettingError(f"policy {name} has no setting '{key}'; it takes: {', '.join(known) or 'none'}.")
    return key, values
