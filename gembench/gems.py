"""Hidden gems: which models are, when all is known, and how probable it is that one is, when a search has asked little.

The definition is that of arXiv 2601.22157, section 2: a hidden gem is not in the top 1% by downloads, is in the top 1%
by accuracy, and is strictly more accurate than every model of the top 1% by downloads. Read here as: the top 1% of M
models are the ceil(M / 100) best, at least one, with all that tie with the last of them. So where all models have
equally many downloads, all of them are in the top 1%, and none is hidden.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gembench.errors import UsageError

_CELLS_AT_ONCE = 2**20
"""Posterior draws in memory at once."""
_CONCENTRATIONS = (0.5, 1e5)
"""Populations from "most models get nearly all or nearly nothing right" to "all are equal" fit between these."""


def hidden_gems(accuracy: ArrayLike, downloads: ArrayLike) -> NDArray[np.bool_]:
    """Which of M models are hidden gems, all accuracies known: [M] bool.

    Args:
        accuracy: [M] in [0, 1], of the whole query set.
        downloads: [M], whole numbers; NaN where unknown.

    Raises:
        UsageError: a model's downloads or accuracy are unknown, or the lengths differ.
    """
    known_accuracy = np.asarray(accuracy, dtype=np.float64)
    known_downloads = checked_downloads(downloads, len(known_accuracy))
    if np.isnan(known_accuracy).any():
        raise UsageError("hidden gems are told apart by every model's accuracy, and some are unknown; leave those out.")
    if not len(known_accuracy):
        return np.zeros(0, dtype=np.bool_)
    is_popular = is_at_top(known_downloads)
    beats_popular = known_accuracy > known_accuracy[is_popular].max()
    return np.asarray(~is_popular & is_at_top(known_accuracy) & beats_popular)


def gem_probability(
    num_asked: ArrayLike,
    num_correct: ArrayLike,
    num_queries: int,
    downloads: ArrayLike,
    model: int,
    *,
    num_samples: int = 4000,
    seed: int = 0,
) -> float:
    """How probable it is, after a search, that one of its M models is a hidden gem over all Q queries.

    Every model's right answers to the queries that it was not asked are drawn from their beta-binomial law given those
    to the queries that it was asked, with `population_prior` before them; a model asked three times is thus shrunk to
    the population, and one asked all Q times is known. The models are drawn independently of each other: that two
    models meet the same queries, and so err together, is not used, which errs towards doubt. The share of draws in
    which the model is a hidden gem has a standard error of at most 1 / (2 sqrt(num_samples)), 0.8% at 4,000.

    Args:
        num_asked: [M], queries that each model has answered, with grade. A model that could not be measured counts 0,
            so that it may be anything that the population has, or is left out of all three arrays.
        num_correct: [M], how many of those answers were right.
        num_queries: Q.
        downloads: [M], whole numbers; NaN where unknown.
        model: row of the model in question.
        num_samples: draws.
        seed: of the draws; the same seed gives the same probability.

    Raises:
        UsageError: a model's downloads are unknown, for the most downloaded one might be among those; or the tallies do
            not fit each other.
    """
    asked, correct = _tallies(num_asked, num_correct, num_queries)
    popular_models = is_at_top(checked_downloads(downloads, len(asked)))
    if not 0 <= model < len(asked):
        raise UsageError(f"there is no model {model} among {len(asked)}; rows count from 0.")
    alpha, beta = population_prior(asked, correct)
    num_in_top = num_top(len(asked))
    rng = np.random.default_rng(seed)
    num_found, num_left = 0, num_samples
    while num_left:
        num_drawn = min(num_left, max(1, _CELLS_AT_ONCE // len(asked)))
        rate = rng.beta(alpha + correct, beta + asked - correct, size=(num_drawn, len(asked)))
        num_right = correct + rng.binomial(num_queries - asked, rate)
        of_model = num_right[:, model]
        beats_popular = of_model > num_right[:, popular_models].max(axis=1)
        is_accurate = (num_right > of_model[:, None]).sum(axis=1) < num_in_top
        num_found += int((beats_popular & is_accurate).sum())
        num_left -= num_drawn
    return num_found / num_samples


def population_prior(num_asked: ArrayLike, num_correct: ArrayLike) -> tuple[float, float]:
    """The Beta law of the models' accuracies that best explains all their tallies: its alpha and beta.

    Empirical Bayes: the mode of the marginal likelihood, in the logarithm of the concentration alpha + beta and the
    logit of the mean, under the weak prior (alpha + beta)^(-5/2) of Gelman et al., "Bayesian Data Analysis" (3rd ed.),
    section 5.3, without which a few models with like tallies would be taken for equal. A likelihood, and not the
    moments of the tallies, because a search asks the models more that did well: how often each was asked then says how
    it had answered, which biases every moment and leaves the likelihood as it is.

    Args:
        num_asked: [M], queries that each model has answered.
        num_correct: [M], how many of those answers were right.

    Returns:
        (1, 1), the uniform law, where no model was asked twice: nothing then tells how far apart the models are.
    """
    from scipy.optimize import minimize  # slow to import, and only the end of a search needs it
    from scipy.special import betaln, expit, log_expit

    asked = np.asarray(num_asked, dtype=np.float64)
    correct = np.asarray(num_correct, dtype=np.float64)
    if not (asked > 1).any():
        return 1.0, 1.0
    tallies, num_alike = np.unique(np.stack([correct, asked - correct]), axis=1, return_counts=True)
    num_right, num_wrong = tallies

    def minus_log_posterior(place: NDArray[np.float64]) -> float:
        logit, log_concentration = place
        alpha, beta = np.exp(log_concentration) * expit([logit, -logit])
        log_likelihood = num_alike @ (betaln(alpha + num_right, beta + num_wrong) - betaln(alpha, beta))
        return float(-log_likelihood - log_expit(logit) - log_expit(-logit) + log_concentration / 2)

    start = [np.log((correct.sum() + 1) / ((asked - correct).sum() + 1)), np.log(10.0)]
    limits = [(-10, 10), tuple(np.log(_CONCENTRATIONS))]
    best = minimize(minus_log_posterior, start, method="Nelder-Mead", bounds=limits).x
    alpha, beta = np.exp(best[1]) * expit([best[0], -best[0]])
    return float(alpha), float(beta)


def num_top(num_models: int) -> int:
    """How many models are the top 1%, before ties: ceil(M / 100), in whole numbers."""
    return -(-num_models // 100)


def is_at_top(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of M models are in the top 1% by `values` [M]: fewer than ceil(M / 100) are strictly above them."""
    lowest = np.sort(values)[-num_top(len(values))]
    return np.asarray(values >= lowest)


def checked_downloads(downloads: ArrayLike, num_models: int) -> NDArray[np.float64]:
    """[M] float64. Raises UsageError where some are unknown, or there are not as many as models."""
    known = np.asarray(downloads, dtype=np.float64)
    if known.shape != (num_models,):
        raise UsageError(f"{num_models} models need as many numbers of downloads, got shape {known.shape}.")
    num_unknown = int(np.isnan(known).sum())
    if num_unknown:
        raise UsageError(
            f"the downloads of {num_unknown} of {num_models} models are unknown, and any of them may be the most "
            f"downloaded; give their downloads, or leave those models out."
        )
    return known


def _tallies(
    num_asked: ArrayLike, num_correct: ArrayLike, num_queries: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    asked, correct = np.asarray(num_asked, dtype=np.int64), np.asarray(num_correct, dtype=np.int64)
    if asked.ndim != 1 or asked.shape != correct.shape:
        raise UsageError(f"every model needs one tally; got {asked.shape} asked and {correct.shape} correct.")
    is_wrong = (correct < 0) | (correct > asked) | (asked > num_queries)
    if is_wrong.any():
        row = int(np.argmax(is_wrong))
        raise UsageError(
            f"model {row} has {correct[row]} right answers to {asked[row]} of {num_queries} queries; "
            f"give 0 <= num_correct <= num_asked <= num_queries."
        )
    return asked, correct
