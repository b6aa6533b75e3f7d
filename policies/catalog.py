"""The policies by name: the one place where a name becomes a policy."""

import difflib
from collections.abc import Mapping
from types import MappingProxyType

from gembench.errors import UnknownPolicyError
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
from gembench.policy_settings import fields_of, parse_settings

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
    return CATALOG[name](**parse_settings(CATALOG[name], name, settings))


def policy_spec(policy: Policy) -> str:
    """The shortest text from which `make_policy` makes an equal policy: only settings that differ from the default."""
    (name,) = (name for name, policy_class in CATALOG.items() if type(policy) is policy_class)
    changed = [
        f"{field.name}={getattr(policy, field.name)}"
        for field in fields_of(type(policy))
        if getattr(policy, field.name) != field.default
    ]
    return f"{name}:{','.join(changed)}" if changed else name
