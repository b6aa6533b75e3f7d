import itertools
import time

import numpy as np
import pytest
from scipy import stats

from gembench.errors import UsageError
from gembench.gems import gem_probability, hidden_gems, population_prior

NAN = float("nan")


def enumerated_probability(num_asked, num_correct, num_queries, downloads, model):
    """The same probability by adding up every possible outcome, with SciPy's beta-binomial law."""
    alpha, beta = population_prior(num_asked, num_correct)
    laws = []
    for asked, correct in zip(num_asked, num_correct, strict=True):
        law = stats.betabinom(num_queries - asked, alpha + correct, beta + asked - correct)
        laws.append([(correct + more, law.pmf(more)) for more in range(num_queries - asked + 1)])
    total = 0.0
    for outcome in itertools.product(*laws):
        num_right, chances = zip(*outcome, strict=True)
        total += hidden_gems(np.array(num_right) / num_queries, downloads)[model] * np.prod(chances)
    return total


def test_the_best_of_three_models_is_a_gem_if_another_is_downloaded_most():
    assert hidden_gems([0.5, 0.7, 0.6], [100, 3, 5]).tolist() == [False, True, False]


def test_the_most_downloaded_model_is_never_hidden():
    assert not hidden_gems([0.9, 0.7, 0.6], [100, 3, 5]).any()


def test_a_model_as_accurate_as_the_most_downloaded_one_is_no_gem():
    assert not hidden_gems([0.7, 0.7, 0.6], [100, 3, 5]).any()


def test_models_that_tie_for_the_best_are_all_gems():
    assert hidden_gems([0.5, 0.7, 0.7], [100, 3, 5]).tolist() == [False, True, True]


def test_models_that_tie_for_the_most_downloads_are_all_popular():
    assert not hidden_gems([0.5, 0.7, 0.6], [100, 100, 5]).any()
    assert not hidden_gems([0.5, 0.7, 0.6], [0, 0, 0]).any()


def test_the_top_percent_of_100_models_is_one_and_of_101_models_two():
    accuracy = np.arange(101) / 101
    downloads = np.where(np.arange(101) < 2, 10, 0)
    assert np.flatnonzero(hidden_gems(accuracy, downloads)).tolist() == [99, 100]
    assert np.flatnonzero(hidden_gems(accuracy[:100], downloads[:100])).tolist() == [99]


def test_every_popular_model_must_be_beaten():
    accuracy = np.zeros(150)
    accuracy[[10, 11, 12]] = 0.8, 0.7, 0.75
    downloads = np.zeros(150)
    downloads[[12, 13]] = 50, 60  # the top 1% of 150 models are two
    assert np.flatnonzero(hidden_gems(accuracy, downloads)).tolist() == [10]


def test_a_tree_without_models_has_no_gems():
    assert hidden_gems([], []).tolist() == []


@pytest.mark.parametrize(
    ("num_asked", "num_correct", "downloads", "model"),
    [
        ([2, 3, 5], [1, 3, 4], [9, 1, 2], 1),
        ([0, 4, 6, 3], [0, 4, 3, 1], [9, 1, 2, 3], 1),
        ([6, 1, 2], [5, 1, 2], [9, 1, 2], 2),
        ([3, 3, 6], [1, 3, 6], [9, 9, 2], 2),
    ],
)
def test_the_probability_is_that_of_adding_up_every_outcome(num_asked, num_correct, downloads, model):
    exact = enumerated_probability(num_asked, num_correct, 6, downloads, model)
    drawn = gem_probability(num_asked, num_correct, 6, downloads, model, num_samples=40_000)
    assert 0.02 < exact < 0.98
    assert abs(drawn - exact) < 5 * np.sqrt(exact * (1 - exact) / 40_000)  # 5 standard errors: one in two million


def test_a_top_percent_of_two_models_is_counted_in_the_draws():
    """101 models: the model in question is second best for certain, and third best when another passes it."""
    num_asked = np.full(101, 4)
    num_correct = np.zeros(101, dtype=int)
    num_correct[[5, 6]] = 4, 3
    downloads = np.where(np.arange(101) < 2, 10, 0)
    assert gem_probability(num_asked, num_correct, 4, downloads, 6) == 1.0
    num_correct[7] = 4
    assert gem_probability(num_asked, num_correct, 4, downloads, 6) == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_when_all_is_known_the_probability_is_0_or_1_as_the_definition_says(seed):
    rng = np.random.default_rng(seed)
    num_correct = rng.integers(0, 20, size=12)
    downloads = rng.integers(0, 6, size=12)
    chances = [gem_probability(np.full(12, 20), num_correct, 20, downloads, m, num_samples=10) for m in range(12)]
    assert chances == hidden_gems(num_correct / 20, downloads).astype(float).tolist()


def test_a_stated_probability_comes_true_that_often():
    """300 searches whose models come from Beta(12, 8): ten queries each, then 40 more for the eight best, winner told.

    If the stated probabilities are right, gems found minus probabilities stated is a sum of independent centred terms:
    5 standard errors cry wolf once in two million runs. The lower and the upper half of the statements each must hold.
    """
    rng = np.random.default_rng(3)
    stated, came_true = [], []
    num_models, num_queries = 60, 200
    for _ in range(300):
        downloads = rng.permutation(num_models)
        is_right = rng.random((num_models, num_queries)) < rng.beta(12, 8, size=(num_models, 1))
        num_asked = np.full(num_models, 10)
        best = np.argsort(-is_right[:, :10].sum(axis=1), kind="stable")[:8]
        num_asked[best] = 50
        num_correct = np.array([row[:asked].sum() for row, asked in zip(is_right, num_asked, strict=True)])
        winner = int(best[np.argmax(num_correct[best])])
        stated.append(gem_probability(num_asked, num_correct, num_queries, downloads, winner, num_samples=400))
        came_true.append(hidden_gems(is_right.mean(axis=1), downloads)[winner])
    chance, truth = np.array(stated), np.array(came_true)
    for half in (chance <= np.median(chance), chance > np.median(chance)):
        standard_error = np.sqrt((chance[half] * (1 - chance[half])).sum())
        assert abs(truth[half].sum() - chance[half].sum()) < 5 * standard_error
    assert chance.min() < 0.2
    assert chance.max() > 0.6


def test_a_model_asked_three_times_is_shrunk_to_the_population():
    """Three of three right, in a population near 60%, is no gem beside 90 of 100 right."""
    num_asked = np.array([3, 100, *[50] * 40])
    num_correct = np.array([3, 90, *[28, 30, 32, 30] * 10])
    downloads = np.array([0, 1, 99, *[2] * 39])
    assert gem_probability(num_asked, num_correct, 500, downloads, 0) < 0.05
    assert gem_probability(num_asked, num_correct, 500, downloads, 1) > 0.9


def test_the_population_is_found_though_the_search_asked_the_best_most():
    """2,200 models of Beta(12, 8), halved nine times.

    Over 100 such searches the mean found varied by 0.008, the concentration by 9%: the limits are five times that.
    """
    rng = np.random.default_rng(0)
    accuracy = rng.beta(12, 8, size=2200)
    num_asked, num_correct = np.zeros(2200, dtype=int), np.zeros(2200, dtype=int)
    survivors = np.arange(2200)
    for _ in range(9):
        num_more = 22_000 // (9 * len(survivors))
        num_asked[survivors] += num_more
        num_correct[survivors] += rng.binomial(num_more, accuracy[survivors])
        share = num_correct[survivors] / num_asked[survivors] + 1e-6 * rng.random(len(survivors))
        survivors = survivors[np.argsort(-share)][: len(survivors) // 2]
    alpha, beta = population_prior(num_asked, num_correct)
    assert alpha / (alpha + beta) == pytest.approx(0.6, abs=0.04)
    assert 20 / 1.6 < alpha + beta < 20 * 1.6


def test_the_population_is_the_mode_that_a_search_over_a_grid_finds():
    num_asked = np.array([10, 10, 20, 40, 5, 1])
    num_correct = np.array([3, 5, 15, 33, 2, 1])
    alpha, beta = population_prior(num_asked, num_correct)

    def log_posterior(mean, concentration):
        of_tallies = stats.betabinom.logpmf(num_correct, num_asked, mean * concentration, (1 - mean) * concentration)
        # alpha beta (alpha + beta)^(-5/2): Gelman's prior once it is told in logit mean and log concentration
        return of_tallies.sum() + np.log(mean * (1 - mean) * concentration**2) - 2.5 * np.log(concentration)

    means, concentrations = np.linspace(0.3, 0.9, 121), np.geomspace(0.6, 100, 121)
    highest = max(log_posterior(mean, concentration) for mean in means for concentration in concentrations)
    found = log_posterior(alpha / (alpha + beta), alpha + beta)
    assert highest - 1e-9 <= found < highest + 0.01


@pytest.mark.parametrize("num_asked", [[0, 0, 0], [1, 1, 0]])
def test_where_no_model_was_asked_twice_every_accuracy_is_as_probable_as_any_other(num_asked):
    assert population_prior(num_asked, [0, 0, 0]) == (1.0, 1.0)


@pytest.mark.parametrize("num_correct", [[0, 0, 0], [10, 10, 10], [10, 0, 10], [5, 5, 5]])
def test_the_population_of_models_that_answer_alike_is_finite(num_correct):
    alpha, beta = population_prior([10, 10, 10], num_correct)
    assert 0 < alpha < 1e5
    assert 0 < beta < 1e5


def test_2200_models_and_12000_queries_take_about_a_second():
    rng = np.random.default_rng(0)
    num_asked = np.minimum(rng.geometric(0.1, size=2200), 12_000)
    num_correct = rng.binomial(num_asked, 0.6)
    start = time.process_time()
    gem_probability(num_asked, num_correct, 12_000, rng.permutation(2200), 7)
    assert time.process_time() - start < 5  # a slow machine among others


def test_the_same_seed_gives_the_same_probability():
    arguments = [5, 6, 7], [2, 5, 4], 50, [9, 1, 2], 1
    assert gem_probability(*arguments, seed=4) == gem_probability(*arguments, seed=4)


def test_unknown_downloads_are_refused_and_counted():
    with pytest.raises(UsageError, match="downloads of 2 of 3 models are unknown"):
        hidden_gems([0.1, 0.2, 0.3], [NAN, 1, NAN])
    with pytest.raises(UsageError, match="downloads of 1 of 3 models are unknown"):
        gem_probability([1, 1, 1], [1, 0, 0], 10, [NAN, 1, 2], 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2], [1, 3], 10, [1, 2], 0), "model 1 has 3 right answers to 2 of 10"),
        (([1, 12], [1, 3], 10, [1, 2], 0), "3 right answers to 12 of 10"),
        (([1, 2], [-1, 2], 10, [1, 2], 0), "model 0 has -1 right"),
        (([1, 2], [1], 10, [1, 2], 0), "every model needs one tally"),
        (([1, 2], [1, 2], 10, [1], 0), "2 models need as many numbers of downloads"),
        (([1, 2], [1, 2], 10, [1, 2], 2), "there is no model 2 among 2"),
    ],
)
def test_tallies_that_do_not_fit_each_other_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        gem_probability(*arguments)


def test_an_unknown_accuracy_is_refused():
    with pytest.raises(UsageError, match="some are unknown"):
        hidden_gems([0.1, NAN], [1, 2])
