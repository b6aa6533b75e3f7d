"""What a prior says: scores against SciPy, the filter against Gaussian conditioning, evidence as theory has it."""

from itertools import product

import jax.numpy as jnp
import numpy as np
import pytest
from jax.nn import softmax
from scipy.stats import norm, rankdata

from gembench.prior_belief import (
    CORRELATIONS,
    SPREADS,
    beliefs_after,
    beliefs_before,
    believed_mean,
    normal_scores,
)


def scores_of(prior):
    return normal_scores(jnp.asarray(prior, jnp.float32))


def weights_after(prior, answers, num_each):
    """The weights [correlations, spreads] when all models have answered all queries of `answers`, some each round."""
    beliefs = beliefs_before(scores_of(prior))
    everyone = jnp.arange(len(answers), dtype=jnp.int32)
    for first in range(0, answers.shape[1], num_each):
        beliefs = beliefs_after(beliefs, everyone, jnp.asarray(answers[:, first : first + num_each] == 1))
    return np.asarray(softmax(beliefs.log_weight)).reshape(len(CORRELATIONS), len(SPREADS))


@pytest.mark.parametrize("prior", [[3, 1, 2], [5, 5, 1, 8, 5], [1e9, 0, -2, 7, 7], [4.0], [2, 2, 2]])
def test_normal_scores_are_the_quantiles_of_average_ranks(prior):
    wanted = norm.ppf(rankdata(prior) / (len(prior) + 1))
    np.testing.assert_allclose(scores_of(prior), wanted, atol=1e-5)


def test_unknown_numbers_have_no_score_and_do_not_count():
    scored = np.asarray(scores_of([np.nan, 3, np.nan, 1, 2]))
    np.testing.assert_array_equal(scored[[1, 3, 4]], scores_of([3, 1, 2]))
    assert np.isnan(scored[[0, 2]]).all()


def test_only_the_order_of_the_numbers_counts():
    downloads = np.asarray([10, 3_000_000, 0, 250, 9_999])
    np.testing.assert_array_equal(scores_of(downloads), scores_of(np.log1p(downloads)))


def test_each_belief_is_gaussian_conditioning_round_by_round():
    rng = np.random.default_rng(0)
    prior = np.append(rng.normal(size=9), np.nan)
    beliefs = beliefs_before(scores_of(prior))
    scores = np.nan_to_num(np.asarray(scores_of(prior), float))
    for place, (correlation, spread) in enumerate(product(CORRELATIONS, SPREADS)):
        mean = correlation * spread * scores
        covariance = np.diag(spread**2 * (1 - np.where(np.isnan(prior), 0, correlation**2)))
        now = beliefs
        for models, num_queries in [(np.arange(10), 3), (np.asarray([7, 2, 9, 4, 1]), 8)]:
            right = rng.random((len(models), num_queries)) < 0.6
            now = beliefs_after(now, jnp.asarray(models, jnp.int32), jnp.asarray(right))
            noise = 0.2 / num_queries
            # What the queries add to all is taken from what was met less what was believed.
            met = right.mean(axis=1) - mean[models]
            met -= met.mean()
            gain = covariance[:, models] @ np.linalg.inv(
                covariance[np.ix_(models, models)] + noise * np.eye(len(models))
            )
            mean, covariance = mean + gain @ met, covariance - gain @ covariance[models]
        np.testing.assert_allclose(now.mean[place], mean, atol=1e-5)
        np.testing.assert_allclose(now.variance[place], np.diag(covariance), atol=1e-6)


def test_a_round_without_queries_changes_nothing():
    beliefs = beliefs_before(scores_of([1, 2, 3]))
    after = beliefs_after(beliefs, jnp.arange(3, dtype=jnp.int32), jnp.zeros((3, 0), bool))
    np.testing.assert_array_equal(believed_mean(after), believed_mean(beliefs))


@pytest.mark.parametrize(("correlation", "winner"), [(0.0, 0), (0.6, 2), (-0.6, 0)])
def test_much_evidence_finds_the_belief_that_is_true(correlation, winner):
    """400 models that err independently, 2,000 queries: the slope is known to 1/20 of what sets beliefs apart."""
    rng = np.random.default_rng(1)
    prior = rng.normal(size=400)
    ability = 0.5 + 0.05 * (correlation * prior + np.sqrt(1 - correlation**2) * rng.normal(size=400))
    answers = rng.random((400, 2000)) < ability[:, None]
    weights = weights_after(prior, answers, 50)
    assert weights.sum(axis=1)[winner] > 0.95
    assert weights.sum(axis=0)[SPREADS.index(0.05)] > 0.95


def test_to_the_belief_that_the_number_tells_nothing_models_stand_by_their_right_answers():
    rng = np.random.default_rng(4)
    answers = rng.random((30, 41)) < rng.uniform(0.1, 0.9, 41)
    everyone = jnp.arange(30, dtype=jnp.int32)
    beliefs = beliefs_before(scores_of(rng.normal(size=30)))
    for first, last in [(0, 1), (1, 2), (2, 12), (12, 41)]:
        beliefs = beliefs_after(beliefs, everyone, jnp.asarray(answers[:, first:last]))
    for mean in np.asarray(beliefs.mean)[: len(SPREADS)]:
        num_right = answers.sum(axis=1)
        # A straight line: equal numbers of right answers, equal means; and a right answer is worth the same to all.
        assert np.corrcoef(mean, num_right)[0, 1] > 1 - 1e-6


def test_models_that_err_alike_are_few_witnesses():
    """Those with large numbers answer as one, and so do the others; each is right half of the time.

    Of six queries the first happens to get four and the second two: were the hundred models as many witnesses, this
    would be 67 standard errors. By the queries it is hardly one: no belief's odds change tenfold.
    """
    answers = np.repeat([[1, 1, 0, 1, 0, 1], [0, 1, 1, 0, 0, 0]], 50, axis=0)
    weights = weights_after(np.repeat([2.0, 1.0], 50), answers, 6)
    assert (np.abs(np.log10(weights.sum(axis=1) / list(CORRELATIONS.values()))) < 1).all()
