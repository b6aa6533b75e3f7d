"""Gem with a prior: against a plain engine, and what useful and useless numbers do to the models that it finds."""

import numpy as np
import pytest
from query_play import play

from gembench.measures import measure
from gembench.policies.gem import Gem
from gembench.policy import Problem
from gembench.primed_gem import PrimedGem
from gembench.query_policy import Background
from gembench.race import Race
from gembench.simulate import simulate

NUM_MODELS, NUM_QUERIES = 120, 1500


def family(seed):
    """A race whose accuracies spread by four points, as a family's do, of models that err independently."""
    rng = np.random.default_rng(seed)
    ability = rng.normal(0, 0.04, (NUM_MODELS, 1)) + rng.uniform(0.2, 0.9, NUM_QUERIES)
    correct = (rng.random((NUM_MODELS, NUM_QUERIES)) < ability).astype(np.uint8)
    return Race(correct, np.ones(NUM_MODELS), np.ones(NUM_MODELS))


def knowing(prior, num_queries=NUM_QUERIES):
    return Background(np.zeros((0, num_queries), np.int8), np.asarray(prior, np.float32))


def mean_rank(race, queries_per_model, prior=None):
    background = None if prior is None else knowing(prior)
    runs = simulate(Gem(), race, budget=queries_per_model * NUM_MODELS, num_runs=200, background=background)
    return measure(runs, race.accuracy).rank.mean()


def ratio(queries_per_model, correlation):
    """The geometric mean over 12 families of the mean rank, relative to that without a prior."""
    ratios = []
    for seed in range(12):
        race = family(seed)
        accuracy = np.asarray(race.accuracy)
        standing = (accuracy - accuracy.mean()) / accuracy.std()
        chance = np.random.default_rng(100 + seed).normal(size=NUM_MODELS)
        prior = correlation * standing + np.sqrt(1 - correlation**2) * chance
        ratios.append(mean_rank(race, queries_per_model, prior) / mean_rank(race, queries_per_model))
    return np.exp(np.log(ratios).mean())


@pytest.mark.parametrize("queries_per_model", [10, 40])
def test_a_useless_prior_costs_little(queries_per_model):
    """One that tells nothing of the accuracies: a seventh at most, on average over families.

    Between families the logarithm differs by a third or so, so that the mean over twelve has a standard error of 0.1;
    the fixed seeds decide once and for all, where 1.00 and 1.04 are measured.
    """
    assert ratio(queries_per_model, 0.0) < 1.15


@pytest.mark.parametrize("queries_per_model", [10, 40])
def test_the_more_a_prior_tells_the_better_are_the_models_found(queries_per_model):
    some, much = (ratio(queries_per_model, correlation) for correlation in (0.3, 0.7))
    assert much < some < 1
    assert much < 0.8


@pytest.mark.parametrize("budget", [30, 12 * 8, 12 * 30])
def test_a_primed_run_is_the_one_of_a_plain_engine(budget):
    rng = np.random.default_rng(2)
    correct = (rng.random((12, 40)) < rng.uniform(0.3, 0.8, (12, 1))).astype(np.uint8)
    prior = np.where(np.arange(12) % 5 == 0, np.nan, rng.normal(size=12))
    race = Race(correct, np.ones(12), np.ones(12))
    runs = simulate(
        Gem(), race, budget=budget, num_runs=3, num_recommended=12, with_digests=True, background=knowing(prior, 40)
    )
    for run in range(3):
        plain = play(PrimedGem(), correct, budget, None, run=run, prior=prior)
        assert runs.decision_digests[run] == plain.digest
        assert runs.recommended[run].tolist() == plain.ranking
        assert runs.pulls[run] == plain.pulls


def test_its_rounds_are_those_without_a_prior():
    problem = Problem(50, 200, 50 * 9)
    planned = [(stage.num_models, stage.max_queries) for stage in Gem(0.6, 0.2).primed.plan(problem)]
    assert planned == [tuple(each) for each in Gem(0.6, 0.2).rounds(problem)]


def test_a_prior_of_which_nothing_is_known_changes_nothing():
    race = family(0)
    nothing = knowing(np.full(NUM_MODELS, np.nan))
    with_it, without = (
        simulate(Gem(), race, budget=NUM_MODELS * 5, num_runs=5, with_digests=True, background=background)
        for background in (nothing, None)
    )
    assert with_it.decision_digests == without.decision_digests
