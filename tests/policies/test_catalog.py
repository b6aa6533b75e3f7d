"""From a name and its settings to a policy, and back."""

import pytest

from gembench.errors import PolicySettingError, UnknownPolicyError, UsageError
from gembench.policies.accelerated_sequential_halving import AcceleratedSequentialHalving
from gembench.policies.catalog import CATALOG, make_policy, policy_spec
from gembench.policies.ttts import TTTS
from gembench.policies.ucb import UCB


def test_the_baselines_of_the_paper_are_there_under_their_names():
    assert {
        "uniform", "ucb", "ucb_stddev", "ucb_e", "ttts", "successive_rejects", "bayes_elim", "sequential_halving",
        "accelerated_sequential_halving",
    } <= set(CATALOG)  # fmt: skip


def test_the_catalog_cannot_be_changed():
    with pytest.raises(TypeError):
        CATALOG["mine"] = UCB


@pytest.mark.parametrize("name", CATALOG)
def test_a_name_makes_the_policy_with_its_defaults_and_back(name):
    policy = make_policy(name)
    assert policy == CATALOG[name]()
    assert policy_spec(policy) == name
    assert make_policy(name.replace("_", "-")) == policy


@pytest.mark.parametrize(
    ("spec", "policy", "canonical"),
    [
        ("ucb:exploration=0.5", UCB(0.5), "ucb:exploration=0.5"),
        ("ucb:exploration=1e-1", UCB(0.1), "ucb:exploration=0.1"),
        (" ucb : exploration = 3 ,", UCB(3.0), "ucb:exploration=3.0"),
        # A default that was spelled out is left out.
        ("ttts:leader_probability=0.5", TTTS(), "ttts"),
        ("ucb:", UCB(), "ucb"),
        (
            "accelerated-sequential-halving:first_share=0.5,first_cut=20",
            AcceleratedSequentialHalving(first_cut=20, first_share=0.5),
            "accelerated_sequential_halving:first_cut=20,first_share=0.5",
        ),
        ("ttts:leader_probability=0", TTTS(0.0), "ttts:leader_probability=0.0"),
    ],
)
def test_settings_are_read_and_written(spec, policy, canonical):
    assert make_policy(spec) == policy
    assert hash(make_policy(spec)) == hash(policy)
    assert policy_spec(policy) == canonical
    assert make_policy(policy_spec(policy)) == policy


@pytest.mark.parametrize("spec", ["ucb:exploration=0.1", "ucb:exploration=0.30000000000000004"])
def test_a_number_keeps_every_digit_there_and_back(spec):
    assert policy_spec(make_policy(spec)) == spec


@pytest.mark.parametrize(
    ("spec", "hint"),
    [("unifrom", "did you mean uniform"), ("ucbe", "ucb_e"), ("sequential-havling", "sequential_halving")],
)
def test_an_unknown_name_is_answered_with_the_nearest(spec, hint):
    with pytest.raises(UnknownPolicyError, match=hint) as caught:
        make_policy(spec)
    assert spec.replace("-", "_") in str(caught.value)
    assert isinstance(caught.value, UsageError)


@pytest.mark.parametrize("spec", ["zzz", ""])
def test_a_name_like_no_other_is_answered_with_all(spec):
    with pytest.raises(UnknownPolicyError, match=", ".join(CATALOG)):
        make_policy(spec)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("ucb:c=3", "policy ucb has no setting 'c=3'; it takes: exploration="),
        ("ucb:exploration", "no setting 'exploration'; it takes: exploration="),
        ("uniform:exploration=2", "policy uniform has no setting 'exploration=2'; it takes: none"),
        ("accelerated_sequential_halving:cut=3", "it takes: first_cut=100, first_share=0.0"),
        ("ucb:exploration=much", "ucb: exploration must be of type float, got 'much'"),
        ("accelerated_sequential_halving:first_cut=2.5", "first_cut must be of type int"),
        ("ucb:exploration=0", "exploration must be positive and finite, got 0.0"),
        ("ucb_e:exploration=-1", "exploration must be positive and finite, got -1.0"),
        ("ucb:exploration=nan", "exploration must be positive and finite, got nan"),
        ("ttts:leader_probability=1", "leader_probability must be at least 0 and under 1, got 1.0"),
        ("accelerated_sequential_halving:first_cut=1", "first_cut must keep at least 2 models, got 1"),
        ("accelerated_sequential_halving:first_share=1", "first_share must be at least 0 and under 1, got 1.0"),
    ],
)
def test_a_wrong_setting_is_an_error_that_says_what_is_right(spec, text):
    with pytest.raises(PolicySettingError) as caught:
        make_policy(spec)
    assert text in str(caught.value)


@pytest.mark.parametrize("name", ["ucb", "ucb_e", "ucb_stddev"])
def test_no_policy_can_explore_without_end(name):
    """An infinite width is no number to compare with another."""
    with pytest.raises(PolicySettingError, match="exploration"):
        make_policy(f"{name}:exploration=inf")


def test_a_setting_given_twice_is_refused():
    with pytest.raises(PolicySettingError, match="exploration"):
        make_policy("ucb:exploration=1,exploration=3")
