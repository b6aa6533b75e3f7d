"""What an exported policy can do while it is replayed: see what it has paid for, in its own run, and be found out else.

These files do no harm where they are exported, so that no sandbox is needed.
"""

import jax
import numpy as np
import pytest
from hostile import PROBLEM, export_here, make_board, policy_file, policy_text

from gembench.errors import ContractError
from gembench.leaderboard.benchmark import open_races
from gembench.leaderboard.renumbering import with_models_renumbered
from gembench.leaderboard.unpack import unpack
from gembench.policy import Problem
from gembench.race import Race
from gembench.simulate import simulate

M, Q, B = PROBLEM.num_models, PROBLEM.num_queries, PROBLEM.budget


def make_race(num_models=M, num_queries=Q):
    rng = np.random.default_rng(3)
    correct = rng.random((num_models, num_queries)) < np.linspace(0.2, 0.9, num_models)[:, None]
    return Race(correct.astype(np.uint8), np.ones(num_models), np.ones(num_models))


def replay(text, num_runs=10, problem=PROBLEM, **settings):
    race = make_race(problem.num_models, problem.num_queries)
    policy = unpack(export_here(text, (problem,)), (problem,))
    return simulate(policy, race, budget=problem.budget, num_runs=num_runs, **settings)


ONE_BY_ONE = {"stages": "(Stage(1, 4, problem.budget),)", "num_queries": "jnp.array([4], jnp.int32)"}
BREACHES = {
    "more than the budget": (
        {"stages": "(Stage(problem.num_models, 20),)", "num_queries": "jnp.full(num_models, 5, jnp.int32)"},
        "more pulls than the budget",
    ),
    "one pull more than the budget": (
        {"num_queries": "jnp.full(num_models, 4, jnp.int32)", "stages": "(Stage(problem.num_models, 4), Stage(7, 1))"},
        "more pulls than the budget|more queries of a model than its stage",
    ),
    "more than the stage allows": (
        {"stages": "(Stage(problem.num_models, 3),)"},
        "more queries of a model than its stage allows",
    ),
    "a negative number of queries": (
        {"num_queries": "jnp.full(num_models, -1, jnp.int32)"},
        "fewer than none",
    ),
    "the most negative number of queries": (
        {"num_queries": "jnp.full(num_models, -2**31, jnp.int32)"},
        "fewer than none",
    ),
    "so many queries that their sum overflows": (
        {"num_queries": "jnp.full(num_models, 2**31 - 1, jnp.int32)"},
        "more queries of a model than its stage allows",
    ),
    "one model in all places": ({"models": "jnp.zeros(num_models, jnp.int32)"}, "one model twice"),
    "one model twice": ({"models": "jnp.arange(num_models, dtype=jnp.int32).at[3].set(4)"}, "one model twice"),
    "a model beyond the last": ({**ONE_BY_ONE, "models": "jnp.array([num_models], jnp.int32)"}, "does not exist"),
    "a model before the first": ({**ONE_BY_ONE, "models": "jnp.array([-1], jnp.int32)"}, "does not exist"),
    "the last of all integers": ({**ONE_BY_ONE, "models": "jnp.array([2**31 - 1], jnp.int32)"}, "does not exist"),
    "the first of all integers": ({**ONE_BY_ONE, "models": "jnp.array([-2**31], jnp.int32)"}, "does not exist"),
    "a broken promise to keep in step": (
        {
            "stages": "(Stage(problem.num_models, 4, in_step=True),)",
            "num_queries": "jnp.arange(num_models, dtype=jnp.int32) % 4",
        },
        "out of step",
    ),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_policy_that_asks_for_what_it_may_not_is_found_out(breach):
    changes, message = BREACHES[breach]
    with pytest.raises(ContractError, match=message):
        replay(policy_text(**changes))


def test_a_model_that_has_answered_everything_gives_no_cell_twice():
    everything = {"stages": "(Stage(1, 21, 3),)", "num_queries": "jnp.array([21], jnp.int32)"}
    runs = replay(policy_text(**everything, models="jnp.array([2], jnp.int32)", scores="tally.pulls"))
    assert set(runs.recommended[:, 0].tolist()) == {2}
    assert set(runs.pulls.tolist()) == {Q}


MISSHAPEN = {
    "scores of half precision": ({"scores": "mean_accuracy(tally).astype(jnp.float16)"}, "recommend: gives float16"),
    "scores that are no numbers": ({"scores": "tally.pulls > 0"}, r"recommend: gives bool\[7\]"),
    "a score too many": ({"scores": "jnp.zeros(problem.num_models + 1)"}, r"recommend: gives float32\[8\]"),
    "two kinds of scores": ({"scores": "jnp.zeros((2, problem.num_models))"}, r"recommend: gives float32\[2, 7\]"),
    "fractions of models": ({"models": "jnp.zeros(num_models)"}, r"ask in stage 0: gives float32\[7\], int32\[7\]"),
    "fewer models than it planned": ({"models": "jnp.arange(3, dtype=jnp.int32)"}, r"ask in stage 0: gives int32\[3\]"),
    "integers without a sign": (
        {"num_queries": "jnp.full(num_models, 2**32 - 1, jnp.uint32)"},
        r"gives .* uint32\[7\]",
    ),
    "more models than there are": (
        {"stages": "(Stage(8, 1),)", "models": "jnp.zeros(8, jnp.int32)", "num_queries": "jnp.zeros(8, jnp.int32)"},
        "stage 0 is of 8 models and 1 queries each, where there are 7 models",
    ),
    "more queries than the budget": (
        {"stages": "(Stage(problem.num_models, 2**31 - 1),)"},
        "and 2147483647 queries each, where there are 7 models and 28 pulls",
    ),
    "a stage of no models": (
        {"stages": "(Stage(0, 1),)", "models": "jnp.zeros(0, jnp.int32)", "num_queries": "jnp.zeros(0, jnp.int32)"},
        "plan: has a stage of 0 models",
    ),
    "repeats before the first": ({"stages": "(Stage(problem.num_models, 1, -5),)"}, "-5 repeats"),
    "repeats that no integer counts": ({"stages": "(Stage(problem.num_models, 1, 2**31),)"}, "2147483648 repeats"),
    "sizes that are fractions": ({"stages": "(Stage(problem.num_models, 1.5),)"}, "1.5 queries"),
}


@pytest.mark.parametrize("shape", MISSHAPEN)
def test_a_policy_of_other_shapes_than_the_contract_is_refused(shape):
    changes, message = MISSHAPEN[shape]
    with pytest.raises(ContractError, match=message):
        replay(policy_text(**changes))


@pytest.mark.parametrize("value", ["jnp.nan", "jnp.inf", "-jnp.inf"])
def test_scores_that_are_no_numbers_rank_at_random_and_name_models_alone(value):
    runs = replay(policy_text(scores=f"jnp.full(problem.num_models, {value})"), num_runs=200, num_recommended=M)
    assert (np.sort(runs.recommended, axis=1) == np.arange(M)).all()
    # 200 draws of 7: each is first within 5 standard errors of 200 / 7; one false alarm in 100,000.
    first = np.bincount(runs.recommended[:, 0], minlength=M)
    assert (abs(first - 200 / M) < 5 * np.sqrt(200 / M * (1 - 1 / M))).all()


def test_a_score_that_is_no_number_is_below_all_that_are():
    runs = replay(policy_text(scores="jnp.where(jnp.arange(problem.num_models) == 3, -1e30, jnp.nan)"))
    assert set(runs.recommended[:, 0].tolist()) == {3}


POOLED = """
from jax.custom_batching import custom_vmap

@custom_vmap
def pooled(pulls, correct):
    return correct.astype(jnp.float32) / pulls.astype(jnp.float32)

@pooled.def_vmap
def of_all_runs(size, is_batched, pulls, correct):
    mean = correct.sum(0).astype(jnp.float32) / pulls.sum(0).astype(jnp.float32)
    return jnp.broadcast_to(mean, correct.shape), True
"""


def test_what_one_run_has_seen_does_not_help_another():
    honest = policy_text()
    pooling = policy_text(at_import=POOLED, scores="pooled(tally.pulls, tally.correct)")
    # JAX batches functions of one run over runs, and a policy may say how; in our own replay this one would cheat.
    tallies = np.full((4, M), 3, np.int32), np.arange(4 * M, dtype=np.int32).reshape(4, M) % 4
    scope: dict[str, object] = {}
    exec(f"import jax.numpy as jnp\n{POOLED}", scope)
    assert np.ptp(jax.vmap(scope["pooled"])(*tallies), axis=0).max() == 0
    np.testing.assert_array_equal(replay(pooling, 50).recommended, replay(honest, 50).recommended)


def test_a_run_is_the_same_alone_and_among_others():
    text = policy_text(at_import=POOLED, scores="pooled(tally.pulls, tally.correct)")
    alone, among = replay(text, 1, with_digests=True), replay(text, 60, with_digests=True)
    assert alone.decision_digests[0] == among.decision_digests[0]
    assert alone.recommended[0] == among.recommended[0]


def test_a_policy_that_counts_its_calls_in_python_counts_none():
    counting = {
        "at_import": "calls = []",
        "ask": "calls.append(1)",
        "models": "jnp.array([len(calls) % num_models], jnp.int32)",
        "num_queries": "jnp.array([1], jnp.int32)",
        "stages": "(Stage(1, 1, problem.budget),)",
        "scores": "tally.pulls",
    }
    runs = replay(policy_text(**counting))
    # Its one call was when it was exported: it asks one model, which answers what there is.
    assert set(runs.pulls.tolist()) == {Q}
    assert len(set(runs.recommended[:, 0].tolist())) == 1
    assert replay(policy_text(**counting)).recommended.tolist() == runs.recommended.tolist()


def test_two_files_whose_policies_look_alike_share_no_kept_program():
    first, last = (replay(policy_text(scores=f"{sign}jnp.arange(7.0)")) for sign in ("-", ""))
    assert set(first.recommended[:, 0].tolist()) == {0}
    assert set(last.recommended[:, 0].tolist()) == {M - 1}


def test_a_model_has_another_number_for_every_file(tmp_path):
    (race,) = open_races(make_board(tmp_path / "hidden", num_models=30))
    files = [policy_file(f"{policy_text(scores='-jnp.arange(30.0)')}\n# {number}") for number in range(40)]
    firsts = [with_models_renumbered(race, file.sha256).models[0] for file in files]
    # 40 draws of 30 models: some model comes first 8 times or more in fewer than one of 10,000 trials.
    assert max(firsts.count(model) for model in race.models) < 8
    again = [with_models_renumbered(race, file.sha256).models[0] for file in files]
    assert again == firsts
    for file in files[:3]:
        other = with_models_renumbered(race, file.sha256)
        of_name = dict(zip(race.models, race.race.correct, strict=True))
        np.testing.assert_array_equal(other.race.correct, [of_name[name] for name in other.models])


def test_a_policy_of_one_problem_gets_no_other():
    with pytest.raises(ContractError, match="not those of its plans"):
        unpack(export_here(policy_text()), (PROBLEM, Problem(M, Q, B + 1)))
