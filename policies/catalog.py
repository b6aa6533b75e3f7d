"""The policies by name: the one place where a name becomes a policy."""

import difflib
from collections.abc import Mapping
from types import MappingProxyType

from gembench.errors import UnknownPolicyError
from gembench.policies.accelerated_sequential_halving import AcceleratedSequentialHalving
from gembench.policies.anchor_points import AnchorPoints
from gembench.policies.bayes_elim import BayesElim
from gembench.policies.coda import CODA
from gembench.policies.doubly_robust import DoublyRobust
from gembench.policies.factorized_active_querying import FactorizedActiveQuerying
from gembench.policies.gem import Gem
from gembench.policies.gp_irt import GPIRT
from gembench.policies.model_selector import ModelSelector
from gembench.policies.paired_elimination import PairedElimination
from gembench.policies.sequential_halving import SequentialHalving
from gembench.policies.successive_rejects import SuccessiveRejects
from gembench.policies.thompson import Thompson
from gembench.policies.top_two_shared import TopTwoShared
from gembench.policies.ttts import TTTS
from gembench.policies.ucb import UCB
from gembench.policies.ucb_e import UCBE
from gembench.policies.ucb_e_lrf import UCBELRF
from gembench.policies.ucb_stddev import UCBStdDev
from gembench.policies.uniform import Uniform
from gembench.policy import Policy
from gembench.policy_settings import fields_of, parse_settings
from gembench.query_policy import AnyPolicy

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
"""The policies that take queries as they come: those that are replayed where none is named."""

CHOOSING: Mapping[str, type[AnyPolicy]] = MappingProxyType(
    {
        "gem": Gem,
        "model_selector": ModelSelector,
        "coda": CODA,
        "anchor_points": AnchorPoints,
        "gp_irt": GPIRT,
        "paired_elimination": PairedElimination,
        "top_two_shared": TopTwoShared,
        "ucb_e_lrf": UCBELRF,
        "doubly_robust": DoublyRobust,
        "factorized_active_querying": FactorizedActiveQuerying,
    }
)
"""The policies that choose queries, or do so where there is a history."""


def make_policy(spec: str) -> AnyPolicy:
    """The policy that `NAME` or `NAME:key=value,...` stands for; hyphens in names count as underscores.

    Raises:
        UnknownPolicyError: no policy has that name; the message gives the nearest.
        PolicySettingError: it has no such hyper-parameter, or the value is not of its type or range.
    """
    name, _, settings = spec.partition(":")
    name = name.strip().replace("-", "_")
    policies = _by_name()
    if name not in policies:
        near = difflib.get_close_matches(name, policies, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(policies)}."
        raise UnknownPolicyError(f"no policy is called '{name}'; {hint}")
    return policies[name](**parse_settings(policies[name], name, settings))


def policy_spec(policy: AnyPolicy) -> str:
    """The shortest text from which `make_policy` makes an equal policy: only settings that differ from the default."""
    (name,) = (name for name, policy_class in _by_name().items() if type(policy) is policy_class)
    changed = [
        f"{field.name}={getattr(policy, field.name)}"
        for field in fields_of(type(policy))
        if getattr(policy, field.name) != field.default
    ]
    return f"{name}:{','.join(changed)}" if changed else name


def _by_name() -> dict[str, type[AnyPolicy]]:
    return {**CATALOG, **CHOOSING}
