"""Families: a model and those nearest to it, against a slow twin that counts differing answers one by one."""

import numpy as np
import pytest

from gembench.data.families import make_family
from gembench.errors import UsageError

ANSWERS = np.random.default_rng(0).integers(0, 2, (40, 50)).astype(np.uint8)
SIZES = {"num_models": 12, "num_queries": 20, "num_histories": 15}


def num_differing(one, other):
    return sum(int(a != b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_some_model_of_the_family_is_in_the_middle_and_nobody_outside_is_nearer_to_it_than_anyone_inside(seed):
    family = make_family(ANSWERS, seed, **SIZES)
    answers = ANSWERS[:, family.queries].tolist()
    outside = set(range(40)) - set(family.models.tolist())

    def is_middle(model):
        farthest = max(num_differing(answers[model], answers[other]) for other in family.models)
        return all(num_differing(answers[model], answers[other]) >= farthest for other in outside)

    assert any(is_middle(model) for model in family.models)


def test_likeness_is_counted_on_the_chosen_queries_alone():
    # Two clusters: each answers alike throughout. A draw of any queries keeps them apart.
    clusters = np.repeat([[0] * 30, [1] * 30], 5, axis=0).astype(np.uint8)
    members = {
        tuple(sorted(make_family(clusters, seed, num_models=5, num_queries=3, num_histories=5).models))
        for seed in range(30)
    }
    # Each middle's cluster, and both turn up: one in 2**29 that a sound draw fails this.
    assert members == {(0, 1, 2, 3, 4), (5, 6, 7, 8, 9)}


@pytest.mark.parametrize("seed", range(5))
def test_nobody_is_twice_in_a_family_or_both_in_it_and_in_its_history(seed):
    family = make_family(ANSWERS, seed, **SIZES)
    assert (len(family.models), len(family.history), len(family.queries)) == (12, 15, 20)
    assert len({*family.models, *family.history}) == 12 + 15
    assert len(set(family.queries)) == 20
    assert set(family.queries) <= set(range(50))


def test_the_order_of_the_family_does_not_tell_who_is_in_the_middle():
    # Were the nearest first, the first of an order would always be a middle, or its copy. Of 60 draws at random a
    # twelfth is the middle: 30 or more of them come once in 10**17.
    answers = ANSWERS.tolist()
    num_first = 0
    for seed in range(60):
        family = make_family(ANSWERS, seed, num_models=12, num_queries=50, num_histories=0)
        first = family.models[0]
        by_distance = sorted(range(40), key=lambda other: num_differing(answers[first], answers[other]))
        num_first += set(by_distance[:12]) == set(family.models.tolist())
    assert num_first < 30


def test_the_same_seed_makes_the_same_family_and_another_seed_another():
    one, same, other = (make_family(ANSWERS, seed, **SIZES) for seed in (3, 3, 4))
    for name in ("models", "history", "queries"):
        assert getattr(one, name).tolist() == getattr(same, name).tolist()
        assert getattr(one, name).tolist() != getattr(other, name).tolist()


def test_a_family_may_take_all_models_and_all_queries():
    family = make_family(ANSWERS, 0, num_models=25, num_queries=50, num_histories=15)
    assert sorted([*family.models, *family.history]) == list(range(40))
    assert sorted(family.queries) == list(range(50))


@pytest.mark.parametrize("sizes", [{"num_models": 26}, {"num_histories": 29}, {"num_queries": 51}])
def test_a_family_that_does_not_fit_is_refused_with_all_the_numbers(sizes):
    with pytest.raises(UsageError, match=r"does not fit into 40 models x 50 queries; ask for fewer") as raised:
        make_family(ANSWERS, 0, **{**SIZES, **sizes})
    for number in {**SIZES, **sizes}.values():
        assert str(number) in str(raised.value)
