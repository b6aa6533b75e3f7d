"""An atlas shows the run that the simulator makes, and the tree that the tensor knows."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from atlases import atlas_of, tree_race

from gembench.errors import BudgetError, UsageError
from gembench.gems import hidden_gems
from gembench.leaderboard.site.atlas import tree_parents
from gembench.load_race import load_race
from gembench.policies.catalog import make_policy
from gembench.query_order import order_key, query_at
from gembench.simulate import simulate

SEED = 4125579731

recorded = functools.cache(lambda: load_race("smollm2-135m"))
drawn = functools.cache(lambda policy: atlas_of(recorded(), policy, seed=SEED))


@pytest.mark.parametrize(
    "policy",
    [
        "accelerated_sequential_halving",
        "bayes_elim",
        "sequential_halving",
        "successive_rejects",
        "uniform",
    ],
)
def test_the_search_that_an_atlas_shows_is_run_0_of_the_simulator(policy):
    loaded, atlas = recorded(), drawn(policy)
    runs = simulate(
        make_policy(policy), loaded.race, budget=510, num_runs=1, seed=SEED, num_recommended=1, with_digests=True
    )
    replay, chosen = atlas.replay, atlas.recommended
    assert replay.decision_digest == runs.decision_digests[0]
    assert chosen.name == loaded.models[runs.recommended[0, 0]]
    assert (chosen.num_asked, chosen.num_right) == (runs.best_pulls[0], runs.best_correct[0])
    assert replay.pulls == replay.stages[-1].pulls == runs.pulls[0] == sum(node.num_asked for node in atlas.nodes)
    assert (replay.budget, replay.run, replay.seed) == (510, 0, SEED)


def test_the_stages_are_those_of_the_schedule_worked_out_by_hand():
    # 51 models, 510 pulls, six rounds; each spends an equal share of what is left on models that are half as many:
    # 510/6/51 = 1, 459/5/26 = 3, 381/4/13 = 7, 290/3/7 = 13, 199/2/4 = 24, 103/2 = 51, all rounded down.
    stages = drawn("accelerated_sequential_halving").replay.stages
    assert [(stage.num_left, stage.num_asked, stage.num_queries) for stage in stages] == [
        (51, 51, (1, 1)),
        (26, 26, (3, 3)),
        (13, 13, (7, 7)),
        (7, 7, (13, 13)),
        (4, 4, (24, 24)),
        (2, 2, (51, 51)),
    ]
    assert [stage.pulls for stage in stages] == [51, 129, 220, 311, 407, 509]


def test_nobody_falls_who_had_answered_more_right_than_one_who_stays():
    loaded, atlas = recorded(), drawn("accelerated_sequential_halving")
    order = np.asarray(
        query_at(order_key(jnp.asarray([SEED, 0], jnp.uint32), jnp.uint32(0)), jnp.arange(400, dtype=jnp.int32), 400)
    )
    num_asked = np.cumsum([stage.num_queries[0] for stage in atlas.replay.stages])
    for number, num_first in enumerate(num_asked[:-1], start=1):
        right = dict(zip(loaded.models, loaded.race.correct[:, order[:num_first]].sum(axis=1), strict=True))
        fell = [right[node.name] for node in atlas.nodes if node.last_stage == number]
        stay = [right[node.name] for node in atlas.nodes if node.last_stage > number]
        assert fell
        assert max(fell) <= min(stay)
    for node in atlas.nodes:
        assert node.num_asked == num_asked[node.last_stage - 1]


@pytest.mark.parametrize(("policy", "num_asks"), [("ucb", "460"), ("ttts", "510,000")])
def test_a_search_of_hundreds_of_single_pulls_is_refused_before_it_runs(policy, num_asks):
    with pytest.raises(UsageError, match=f"{policy} asks up to {num_asks} times.*at most 64"):
        atlas_of(recorded(), policy)


def test_a_budget_under_one_pull_a_model_is_refused():
    with pytest.raises(BudgetError):
        atlas_of(recorded(), "uniform", queries_per_model=0.5)


def test_a_stage_in_which_nobody_has_a_query_left_is_none(tmp_path):
    # 19 of 20 queries for each of 16 models: sequential halving's four rounds of 76 pulls give 16 models 4 queries, 8
    # models 9, 4 models the 7 that are left to them, and 2 models none.
    race = tree_race(tmp_path, range(2, 18))
    atlas = atlas_of(race, "sequential_halving", 19)
    assert [(stage.num_left, stage.num_queries) for stage in atlas.replay.stages] == [
        (16, (4, 4)),
        (8, (9, 9)),
        (4, (7, 7)),
    ]
    whole = atlas_of(race, "sequential_halving", 20).replay
    assert [(stage.num_left, stage.num_queries) for stage in whole.stages] == [(16, (20, 20))]


def test_models_come_from_the_best_to_the_worst_with_what_the_tensor_knows_of_them(tmp_path):
    # Of four models the top 1% is one. The best has few downloads, the base most: a hidden gem.
    race = tree_race(
        tmp_path,
        [10, 15, 5, 10],
        parent=["", "org/model-0", "org/model-1", "elsewhere/model"],
        base=["org/model-0", "org/model-0", "org/model-0", "elsewhere/model"],
        downloads=[900, 3, 4, 5],
    )
    atlas = atlas_of(race, "uniform", 3)
    assert [(node.name, node.rank, node.accuracy, node.downloads) for node in atlas.nodes] == [
        ("org/model-1", 1, 0.75, 3),
        ("org/model-0", 2, 0.5, 900),
        ("org/model-3", 2, 0.5, 5),
        ("org/model-2", 4, 0.25, 4),
    ]
    assert [node.parent for node in atlas.nodes] == [1, None, None, 0]
    assert [node.is_base for node in atlas.nodes] == [False, True, False, False]
    assert [node.is_gem for node in atlas.nodes] == [True, False, False, False]
    assert (atlas.num_bases, atlas.num_gems, atlas.has_gems) == (1, 1, True)
    assert atlas.summary.startswith("4 models of 1 base, the best with an accuracy of 75.0%, 1 hidden gem. uniform")


def test_the_gems_of_a_tree_are_those_of_the_definition():
    loaded = load_race("mistral-7b")
    atlas = atlas_of(loaded, "uniform", 1)
    downloads = {node.name: node.downloads for node in atlas.nodes}
    is_gem = hidden_gems(loaded.accuracy, [downloads[name] for name in loaded.models])
    assert {node.name for node in atlas.nodes if node.is_gem} == set(np.asarray(loaded.models)[is_gem])
    assert atlas.num_gems == 3


def test_where_downloads_are_unknown_no_model_is_called_a_gem(tmp_path):
    atlas = atlas_of(tree_race(tmp_path, [10, 15, 5], downloads=[900.0, 3.0, np.nan]), "uniform", 3)
    assert [node.downloads for node in atlas.nodes] == [3, 900, None]
    assert not atlas.has_gems
    assert atlas.num_gems == 0
    assert "gem" not in atlas.summary


def test_models_that_descend_from_each_other_in_a_circle_make_a_tree_still():
    names = ["a", "b", "c", "d", "e", "f"]
    known = [{"parent": "c"}, {"parent": "a"}, {"parent": "b"}, {"parent": "b"}, {"parent": "e"}, {}]
    parents = tree_parents(names, known)
    # a, b and c go round, so the first of them is a root; e claims to be its own parent; d is made from b.
    assert parents == [None, 0, 1, 1, None, None]
