"""What an exported policy that chooses queries can do: ask for what it may, see what its own run has paid for.

These files do no harm where they are exported, so that but for the scoring no sandbox is needed.
"""

import json
import textwrap

import numpy as np
import pytest
from hostile import PROBLEM, export_here, make_board, policy_file
from needs import needs_bwrap

from gembench.background import LoadedBackground
from gembench.errors import ContractError
from gembench.leaderboard.benchmark import open_races
from gembench.leaderboard.policy_file import PolicyFileError
from gembench.leaderboard.problem_check import LARGEST_KNOWLEDGE
from gembench.leaderboard.renumbering import with_queries_renumbered
from gembench.leaderboard.scoring import score_file
from gembench.leaderboard.unpack import unpack
from gembench.policy import Problem
from gembench.query_policy import Background
from gembench.race import Race
from gembench.simulate import simulate

M, Q, B = PROBLEM.num_models, PROBLEM.num_queries, PROBLEM.budget

_FILE = '''
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from gembench.policy import Stage
from gembench.query_policy import QueryAsk
{at_import}

@dataclass(frozen=True)
class Attack:
    """Asks every model the same four queries, once."""

    sampling: ClassVar[str] = "shared"

    def plan(self, problem):
        return {stages}

    def study(self, problem, background):
        return {knowledge}

    def start(self, rng_key, problem, seen):
        return {memory}

    def ask(self, rng_key, step, seen, memory):
        num_models, num_queries = step.problem.num_models, step.problem.num_queries
{ask}
        return QueryAsk({models}, {queries})

    def learn(self, step, asked, answers, seen, memory):
        return memory

    def recommend(self, rng_key, problem, seen, memory):
        return {scores}

    def withdraw(self, is_out, memory):
        return memory
'''
STEP, LOOSE = "(Stage(problem.num_models, 4, in_step=True),)", "(Stage(problem.num_models, 4),)"


def policy_text(
    at_import="",
    ask="",
    stages=STEP,
    knowledge="()",
    memory="()",
    models="jnp.arange(num_models, dtype=jnp.int32)",
    queries="seen.order[None, :4]",
    scores="seen.tally.correct",
):
    """The file of a policy that keeps the contract, but where it is told otherwise."""
    return _FILE.format(
        at_import=textwrap.dedent(at_import),
        ask=textwrap.indent(textwrap.dedent(ask), " " * 8),
        stages=stages,
        knowledge=knowledge,
        memory=memory,
        models=models,
        queries=queries,
        scores=scores,
    )


def make_race():
    rng = np.random.default_rng(3)
    correct = rng.random((M, Q)) < np.linspace(0.2, 0.9, M)[:, None]
    return Race(correct.astype(np.uint8), np.ones(M), np.ones(M))


def replay(text, num_runs=10, **settings):
    policy = unpack(export_here(text), (PROBLEM,))
    return simulate(policy, make_race(), budget=B, num_runs=num_runs, **settings)


def asks(*queries):
    return f"jnp.array([{list(queries)}], jnp.int32)"


ALL = "jnp.broadcast_to(jnp.arange(4, dtype=jnp.int32), (num_models, 4))"
NO_QUERY, TWICE = "a query that does not exist", "the same query twice"
BREACHES = {
    "a query beyond the last, which is the next model's first": ({"queries": asks(0, 1, 2, Q)}, NO_QUERY),
    "the last of all integers": ({"queries": asks(0, 1, 2, 2**31 - 1)}, NO_QUERY),
    "a query before the first": ({"queries": asks(-2, 0, 1, 2)}, NO_QUERY),
    "the first of all integers": ({"queries": asks(-(2**31), 0, 1, 2)}, NO_QUERY),
    "a query that overflows to a cell that is there": ({"queries": asks(0, 1, 2, 2**31 - 20)}, NO_QUERY),
    "a query twice in one ask": ({"queries": asks(0, 5, 1, 5)}, TWICE),
    "a query twice for one model alone": ({"stages": LOOSE, "queries": f"{ALL}.at[3, 2].set(3)"}, TWICE),
    "a query of the ask before": (
        {"stages": "(Stage(problem.num_models, 2, 2, in_step=True),)", "queries": "seen.order[None, :2]"},
        TWICE,
    ),
    "the queries of an earlier stage": (
        {"stages": "(Stage(problem.num_models, 2), Stage(problem.num_models, 2))", "queries": f"{ALL}[:, :2]"},
        TWICE,
    ),
    "a pull more than the budget": (
        {
            "stages": "(Stage(problem.num_models, 5),)",
            "queries": "jnp.broadcast_to(seen.order[:5], (num_models, 5)).at[1:, 4].set(-1)",
        },
        "more pulls than the budget",
    ),
    "everything": (
        {"stages": "(Stage(problem.num_models, problem.num_queries, in_step=True),)", "queries": "seen.order[None]"},
        "more pulls than the budget",
    ),
    "one model twice": ({"models": "jnp.arange(num_models, dtype=jnp.int32).at[3].set(4)"}, "one model twice"),
    "one model in all places, each time for other queries": (
        {
            "stages": LOOSE,
            "models": "jnp.zeros(num_models, jnp.int32)",
            "queries": "jnp.full((num_models, 4), -1, jnp.int32).at[:5].set(seen.order.reshape(5, 4))",
        },
        "one model twice",
    ),
    "a model beyond the last": (
        {"models": "jnp.arange(num_models, dtype=jnp.int32).at[0].set(num_models)"},
        "a model that does not exist",
    ),
    "the first of all models": (
        {"models": "jnp.arange(num_models, dtype=jnp.int32).at[0].set(-2**31)"},
        "a model that does not exist",
    ),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_policy_that_asks_for_what_it_may_not_is_found_out(breach):
    changes, message = BREACHES[breach]
    with pytest.raises(ContractError, match=f"policy Attack broke the contract .*{message}"):
        replay(policy_text(**changes))


def test_the_policy_around_the_harm_keeps_the_contract_and_pays():
    runs = replay(policy_text())
    assert set(runs.pulls.tolist()) == {B}
    assert set(runs.distinct_queries.tolist()) == {4}


def test_what_is_asked_of_nobody_is_neither_paid_for_nor_shown():
    nothing = {"queries": "jnp.full((1, 4), -1, jnp.int32)", "scores": "seen.answers.astype(jnp.int32).sum(axis=1)"}
    runs = replay(policy_text(**nothing), 200, num_recommended=M)
    assert set(runs.pulls.tolist()) == set(runs.distinct_queries.tolist()) == {0}
    # All scores are equal: each model is first within 5 standard errors of 200 / 7; one false alarm in 100,000.
    first = np.bincount(runs.recommended[:, 0], minlength=M)
    assert (abs(first - 200 / M) < 5 * np.sqrt(200 / M * (1 - 1 / M))).all()


MISSHAPEN = {
    "rows where all are asked alike": (
        {"queries": ALL},
        r"ask in stage 0: gives int32\[7\], int32\[7, 4\], where .* 4\]",
    ),
    "one row where each is asked for itself": (
        {"stages": LOOSE},
        r"gives int32\[7\], int32\[1, 4\], where the contract",
    ),
    "fewer queries than planned": ({"queries": "seen.order[None, :3]"}, r"gives int32\[7\], int32\[1, 3\]"),
    "fractions of queries": ({"queries": "seen.order[None, :4] / 2"}, r"gives int32\[7\], float32\[1, 4\]"),
    "more queries than the budget": (
        {"stages": "(Stage(problem.num_models, 29, in_step=True),)", "queries": "jnp.zeros((1, 29), jnp.int32)"},
        "stage 0 is of 7 models and 29 queries each, where there are 7 models and 28 pulls",
    ),
    "a study that gives too much": (
        {"knowledge": f"jnp.full({LARGEST_KNOWLEDGE} + 1, background.history.shape[0], jnp.uint8)"},
        r"study: gives 268,435,457 bytes, where 268,435,456 are the most",
    ),
    "a study that gives too much in parts": (
        {"knowledge": f"[jnp.full({LARGEST_KNOWLEDGE // 4}, background.prior[0]) for _ in range(5)]"},
        "study: gives 1,342,177,280 bytes",
    ),
    "a study beyond all memory": (
        {"knowledge": "jnp.broadcast_to(background.prior[0], (2**40,))"},
        "study: contains the type tensor<1099511627776xf32>",
    ),
    "a study that reaches out": (
        {"knowledge": "jnp.linalg.inv(jnp.eye(7) * (background.prior[0] + 1))"},
        "study: contains the foreign routine",
    ),
}


@pytest.mark.parametrize("shape", MISSHAPEN)
def test_a_policy_of_other_shapes_than_the_contract_is_refused(shape):
    changes, message = MISSHAPEN[shape]
    with pytest.raises(ContractError, match=message):
        unpack(export_here(policy_text(**changes)), (PROBLEM,))


POOLED = """
from jax.custom_batching import custom_vmap

@custom_vmap
def pooled(answers, memory):
    return (answers == 1).sum(axis=1, dtype=jnp.int32) + memory * 0

@pooled.def_vmap
def of_all_runs(size, is_batched, answers, memory):
    right = (answers == 1).sum(axis=(0, 2), dtype=jnp.int32)
    return jnp.broadcast_to(right, (size, *right.shape)), True
"""


def test_neither_answers_nor_memory_of_one_run_help_another():
    honest = replay(policy_text(), 50, with_digests=True)
    pooling = policy_text(at_import=POOLED, memory="jnp.int32(0)", scores="pooled(seen.answers, memory)")
    pooled = replay(pooling, 50, with_digests=True)
    np.testing.assert_array_equal(pooled.recommended, honest.recommended)
    assert pooled.decision_digests == honest.decision_digests
    alone = replay(pooling, 1, with_digests=True)
    assert alone.decision_digests[0] == pooled.decision_digests[0]
    # In a policy that is not exported, what its batching says would come true: all 50 runs would be as one.
    scope: dict[str, object] = {"__name__": "made_here"}
    exec(pooling, scope)
    cheat = simulate(scope["Attack"](), make_race(), budget=B, num_runs=50)
    assert len(set(cheat.recommended[:, 0].tolist())) == 1 < len(set(honest.recommended[:, 0].tolist()))


def test_the_programs_of_one_level_do_not_pass_for_the_other():
    head, _, rest = export_here(policy_text()).partition(b"\n")
    forged = json.dumps({**json.loads(head), "chooses_queries": False}).encode() + b"\n" + rest
    with pytest.raises(ContractError, match="the programs are not those of its plans"):
        unpack(forged, (PROBLEM,))


def test_a_policy_of_one_problem_gets_no_other():
    with pytest.raises(ContractError, match="not those of its plans"):
        unpack(export_here(policy_text()), (PROBLEM, Problem(M, Q, B + 1)))


def test_a_query_has_another_number_for_every_file_and_the_history_has_it_too(tmp_path):
    (race,) = open_races(make_board(tmp_path / "hidden", num_queries=30))
    columns = race.race.correct.astype(np.int8)
    known = LoadedBackground(Background(columns, np.zeros(M, np.float32)), None, None)
    shas = [policy_file(f"{policy_text()}# {number}").sha256 for number in range(3)]
    seen = []
    for sha in shas:
        other, history = with_queries_renumbered(race, known, sha)
        # The history is of the same cells here, and so it stays; what each model answered is the same in all.
        np.testing.assert_array_equal(other.race.correct, history.background.history)
        assert sorted(map(tuple, other.race.correct.T)) == sorted(map(tuple, columns.T))
        np.testing.assert_array_equal(other.accuracy, race.accuracy)
        seen.append(other.race.correct.tobytes())
        again, _ = with_queries_renumbered(race, known, sha)
        assert again.race.correct.tobytes() == seen[-1]
    assert len({*seen, race.race.correct.tobytes()}) == 4


@needs_bwrap
def test_a_query_whose_number_is_written_down_is_another_in_each_tensor_and_file(tmp_path):
    """Of 200 queries one is the best model's alone; in all others all are alike, half of the time right."""
    correct = np.repeat(np.arange(200)[None] % 2, 6, axis=0).astype(np.int8)
    correct[:, 0] = np.arange(6) == 4
    board = make_board(tmp_path / "hidden", correct=correct, queries_per_model=(1,))
    text = policy_text(stages="(Stage(problem.num_models, 1, in_step=True),)", queries="jnp.zeros((1, 1), jnp.int32)")
    races = open_races(board)
    renumbered, _ = with_queries_renumbered(races[0], None, policy_file(text).sha256)
    tells = len(set(renumbered.race.correct[:, 0].tolist())) == 2
    (cell,) = score_file(board, races, policy_file(text)).scores.cells
    # Not renumbered, it would find model 4 in all of the 20 runs; drawn of six alike, in all by a chance of 6 ** -20.
    assert (set(cell.rank.tolist()) == {1}) == tells
    assert not tells
    assert cell.distinct_queries.tolist() == [1] * board.runs


@needs_bwrap
def test_a_study_without_an_end_is_ended_in_time(tmp_path):
    board = make_board(tmp_path / "hidden")
    endless = "lax.while_loop(lambda n: n >= 0, lambda n: (n + 1) & 1023, jnp.int32(background.history.shape[0]))"
    with pytest.raises(PolicyFileError, match="its replay took longer than 8 s"):
        score_file(board, open_races(board), policy_file(policy_text(knowledge=endless)), seconds=8)
