"""Top-two sampling by duels against a slow twin that counts its pairs query by query."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from query_play import play, related_models

from gembench.errors import PolicySettingError
from gembench.policies.top_two_shared import Record, TopTwoShared, count_pairs, duel_sizes, sample_lead


def record_of(correct, num_seen):
    """The record of models that have answered the first so many queries, bit by bit."""
    right = np.zeros((len(correct), -(-correct.shape[1] // 32)), np.uint32)
    for model, seen in enumerate(num_seen):
        for position in range(seen):
            right[model, position // 32] |= np.uint32(correct[model, position]) << np.uint32(position % 32)
    return Record(jnp.asarray(right), jnp.asarray(num_seen, jnp.int32), jnp.zeros(len(correct), bool))


def twin_pairs(first, second):
    """Queries that both know; those on which only the first is right, and only the second. Rows with -1 for unseen."""
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a >= 0 and b >= 0]
    return sum(a > b for a, b in pairs), sum(a < b for a, b in pairs), len(pairs)


def twin_lead(answers, model, normals):
    lead = []
    for other, normal in zip(range(len(answers)), normals, strict=True):
        won, lost, common = twin_pairs(answers[other], answers[model])
        lead.append(0 if other == model else (won - lost + np.sqrt(won + lost + 1) * normal) / (common + 1))
    return np.array(lead)


@pytest.mark.parametrize("num_queries", [5, 31, 32, 33, 64, 100])
def test_pairs_are_counted_on_the_queries_that_both_know(num_queries):
    rng = np.random.default_rng(num_queries)
    correct = rng.integers(0, 2, (9, num_queries))
    num_seen = np.append(rng.integers(0, num_queries + 1, 7), [0, num_queries])
    answers = np.where(np.arange(num_queries) < num_seen[:, None], correct, -1)
    for model in range(9):
        found = np.stack(count_pairs(record_of(correct, num_seen), jnp.int32(model)), axis=1)
        assert found.tolist() == [list(twin_pairs(row, answers[model])) for row in answers]


def test_a_sample_has_the_mean_and_spread_of_the_pairs():
    """Won 6, lost 2 of 19 in common: mean 4/20, spread 3/20. Of 4,000 draws: 5 standard errors."""
    rows = np.array([[1] * 6 + [0] * 2 + [1] * 11, [0] * 6 + [1] * 2 + [1] * 11])
    keys = jax.random.split(jax.random.key(0), 4_000)
    draws = np.asarray(jax.vmap(lambda key: sample_lead(key, record_of(rows, [19, 19]), jnp.int32(1)))(keys))
    assert abs(draws[:, 0].mean() - 0.2) < 5 * 0.15 / 4_000**0.5
    assert abs(draws[:, 0].std() - 0.15) < 5 * 0.15 / 8_000**0.5
    assert (draws[:, 1] == 0).all()


def twin_sizes(num_seen, batch, num_queries, left):
    first, second = num_seen
    if first == second:
        wanted = min(batch, num_queries - first)
        return [min(wanted, -(-left // 2)), min(wanted, left // 2)]
    behind = min(batch, abs(first - second), left)
    return [behind, 0] if first < second else [0, behind]


def test_two_that_are_level_go_on_together_and_else_the_one_behind_catches_up():
    for num_seen in ([4, 4], [4, 9], [9, 4], [5, 4], [10, 10], [12, 12], [12, 3]):
        for left in (0, 1, 2, 5, 40):
            found = duel_sizes(jnp.asarray(num_seen, jnp.int32), 3, 12, jnp.int32(left))
            assert found.tolist() == twin_sizes(num_seen, 3, 12, left)


@pytest.mark.parametrize("seed", range(3))
def test_every_duel_is_the_twins(seed):
    """The normal variates are drawn with the policy's keys; where models tie for the reference, any may be it."""
    num_models, num_queries, budget = 7, 45, 7 * 16 + 5
    correct = related_models(num_models, num_queries, seed)[0]
    run = play(TopTwoShared(), correct, budget, seed=seed)
    first, *duels = run.turns
    assert first.queries[0].tolist() == run.order[:4].tolist()
    assert run.pulls == budget
    for turn in duels:
        answers = turn.before[:, run.order]
        pulls = (answers >= 0).sum(axis=1)
        assert all((answers[model, : pulls[model]] >= 0).all() for model in range(num_models))
        mean = np.float32((answers == 1).sum(axis=1) + 1) / np.float32(pulls + 2)
        _, leader_key, challenger_key, *_ = jax.random.split(turn.rng_key, 5)
        leader, challenger = turn.models.tolist()
        normals = np.asarray(jax.random.normal(leader_key, (num_models,)))
        leads = [twin_lead(answers, reference, normals) for reference in np.flatnonzero(mean == mean.max())]
        assert any(lead[leader] > lead.max() - 1e-5 for lead in leads)
        lead = twin_lead(answers, leader, np.asarray(jax.random.normal(challenger_key, (num_models,))))
        lead[leader] = -np.inf
        if pulls[leader] == num_queries:
            lead[pulls == num_queries] = -np.inf
        assert lead[challenger] > lead.max() - 1e-5
        sizes = twin_sizes(pulls[[leader, challenger]], 4, num_queries, budget - (answers >= 0).sum())
        for model, queries, size in zip(turn.models, turn.queries, sizes, strict=True):
            wanted = run.order[pulls[model] : pulls[model] + size].tolist()
            assert queries.tolist() == wanted + [-1] * (4 - size)


def test_models_are_ranked_by_the_posterior_mean():
    run = play(TopTwoShared(), related_models(7, 45, 5)[0], 7 * 12)
    mean = ((run.answers == 1).sum(axis=1) + 1) / ((run.answers >= 0).sum(axis=1) + 2)
    np.testing.assert_allclose(run.scores, mean, rtol=1e-6)


def test_two_that_know_all_queries_do_not_duel():
    """Few queries and a budget for nearly all cells: every duel but the last answers something."""
    correct = related_models(5, 9, 1)[0]
    run = play(TopTwoShared(num_batches=3), correct, 5 * 9 - 2)
    assert run.pulls == 43
    assert all((turn.queries >= 0).any() for turn in run.turns)


def test_near_relatives_are_told_apart():
    """Model 1 is right wherever model 0 is, and on a sixth more; the rest are far behind."""
    base = np.arange(60) % 2 == 0
    better = base | (np.arange(60) % 6 == 1)
    rest = np.random.default_rng(0).random((4, 60)) < 0.1
    found = [play(TopTwoShared(), np.stack([base, better, *rest]), 6 * 20, seed=seed).ranking[0] for seed in range(8)]
    assert found.count(1) >= 7


def test_there_is_at_least_one_batch():
    with pytest.raises(PolicySettingError, match="num_batches"):
        TopTwoShared(num_batches=0)
