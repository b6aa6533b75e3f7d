"""Anchor points: the clusters against SciPy's, the anchors and the estimate against slow twins."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from query_play import background_of, play, related_models
from scipy.cluster.vq import kmeans2
from scipy.stats import chisquare

from gembench.clustering import WHOLE, Clusters, choose_anchors, cluster, spread_out
from gembench.errors import PolicySettingError
from gembench.policies.anchor_points import AnchorPoints
from gembench.policy import Problem


def patterns(num_histories, sizes, seed=0):
    """A history in which queries come in groups of these sizes, each with its own pattern of right answers."""
    rng = np.random.default_rng(seed)
    columns = rng.integers(0, 2, (num_histories, len(sizes))).repeat(sizes, axis=1)
    group = np.arange(len(sizes)).repeat(sizes)
    shuffle = rng.permutation(len(group))
    return columns[:, shuffle].astype(np.int8), group[shuffle]


def twin_anchors(points, centers, cluster_of):
    """The nearest of each cluster and its size, by cluster."""
    chosen = {}
    for number in np.unique(cluster_of):
        members = np.flatnonzero(cluster_of == number)
        distance = [np.linalg.norm(points[member] - centers[number]) for member in members]
        chosen[number] = (members[int(np.argmin(distance))], len(members))
    return chosen


@pytest.mark.parametrize("seed", range(3))
def test_clusters_are_those_of_scipy_from_the_same_start(seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 1, (80, 5)).astype(np.float32)
    start = points[rng.choice(80, 7, replace=False)]
    found = cluster(jnp.asarray(points), jnp.asarray(start))
    centers, cluster_of = kmeans2(points, start, iter=30, minit="matrix")
    np.testing.assert_array_equal(found.cluster_of, cluster_of)
    np.testing.assert_allclose(found.centers, centers, atol=1e-5)


def test_a_start_is_drawn_with_chances_as_the_square_of_the_distance():
    """Points 0, 1 and 3: the first is uniform, then 1 and 9, or 1 and 4, or 9 and 4 in the odds. At p < 1e-6."""
    points = jnp.asarray([[0.0], [1.0], [3.0]])
    keys = jax.random.split(jax.random.key(0), 3_000)
    drawn = np.asarray(jax.vmap(lambda key: spread_out(key, points, 2))(keys))[:, :, 0].astype(int)
    pairs = [(0, 1), (0, 3), (1, 0), (1, 3), (3, 0), (3, 1)]
    chances = np.array([1 / 10, 9 / 10, 1 / 5, 4 / 5, 9 / 13, 4 / 13]) / 3
    counts = [(drawn == pair).all(axis=1).sum() for pair in pairs]
    assert chisquare(counts, 3_000 * chances).pvalue > 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_an_anchor_is_the_nearest_to_its_center_and_weighs_as_its_cluster(seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 1, (60, 4)).astype(np.float32)
    clusters = cluster(jnp.asarray(points), jnp.asarray(points[rng.choice(60, 6, replace=False)]))
    anchors = choose_anchors(jax.random.key(seed), jnp.asarray(points), clusters)
    expected = twin_anchors(points, np.asarray(clusters.centers), np.asarray(clusters.cluster_of))
    assert np.asarray(anchors.points).tolist() == [expected[number][0] for number in range(6)]
    sizes = np.array([expected[number][1] for number in range(6)])
    np.testing.assert_allclose(np.asarray(anchors.weights) / WHOLE, sizes / 60, atol=1e-7)


def test_an_empty_clusters_anchor_is_another_point_and_shares_the_weight_where_it_lies():
    points = jnp.asarray([[0.0]] * 6 + [[5.0]] * 2)
    clusters = Clusters(jnp.asarray([[0.0], [5.0], [9.0], [9.0]]), jnp.asarray([0] * 6 + [1] * 2, jnp.int32))
    seen = set()
    for seed in range(20):
        anchors = choose_anchors(jax.random.key(seed), points, clusters)
        chosen, weights = np.asarray(anchors.points), np.asarray(anchors.weights) / WHOLE
        assert len(set(chosen.tolist())) == 4
        is_left = chosen < 6
        assert abs(weights[is_left].sum() - 0.75) < 1e-6
        assert abs(weights[~is_left].sum() - 0.25) < 1e-6
        assert len(set(weights[is_left].round(6).tolist())) == 1
        seen |= set(chosen.tolist())
    assert seen == set(range(8))


def test_each_group_of_queries_that_are_answered_alike_has_one_anchor_which_stands_for_it():
    sizes = [10, 6, 3, 1]
    history, group = patterns(40, sizes)
    knowledge = AnchorPoints(num_clusterings=3).study(Problem(5, 20, 20), background_of(history, 5))
    for points, weights in zip(*map(np.asarray, knowledge), strict=True):
        assert sorted(group[points].tolist()) == [0, 1, 2, 3]
        np.testing.assert_allclose(weights / WHOLE, np.array(sizes)[group[points]] / 20, atol=1e-7)


def test_the_estimate_is_exact_where_models_answer_a_group_alike():
    history, group = patterns(40, [10, 6, 3, 1])
    rng = np.random.default_rng(1)
    correct = rng.integers(0, 2, (5, 4))[:, group]
    run = play(AnchorPoints(), correct, 22, history)
    np.testing.assert_allclose(run.scores / WHOLE, correct.mean(axis=1), atol=1e-6)


def test_models_are_ranked_by_the_twins_weighted_share():
    correct, history = related_models(9, 40, 2, num_histories=15)
    run = play(AnchorPoints(num_clusterings=1), correct, 9 * 6 + 4, history)
    (turn,) = run.turns
    points, weights = (np.asarray(each)[0] for each in run.knowledge)
    assert sorted(turn.queries[0].tolist()) == sorted(points.tolist())
    estimate = [sum(weights[np.flatnonzero(points == q)[0]] * correct[m, q] for q in points) for m in range(9)]
    assert run.scores.tolist() == estimate
    assert (np.diff(np.array(estimate)[run.ranking]) <= 0).all()


def test_runs_take_each_of_the_clusterings():
    correct, history = related_models(4, 40, 2, num_histories=15)
    asked = {tuple(play(AnchorPoints(), correct, 24, history, run=run).turns[0].queries[0]) for run in range(30)}
    assert 2 <= len(asked) <= 4


def test_without_a_history_the_queries_are_the_first_of_the_shared_order_and_weigh_the_same():
    correct = related_models(6, 30, 0)[0]
    run = play(AnchorPoints(), correct, 6 * 7 + 2)
    assert run.turns[0].queries[0].tolist() == run.order[:7].tolist()
    number = correct[:, run.order[:7]].sum(axis=1)
    assert run.scores.tolist() == (number * (WHOLE // 7)).tolist()


def test_there_is_at_least_one_clustering():
    with pytest.raises(PolicySettingError, match="num_clusterings"):
        AnchorPoints(num_clusterings=0)
