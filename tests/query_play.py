"""A plain engine for policies that choose queries: one run, ask by ask, trusting the policy with nothing."""

import functools
import hashlib
import struct
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gembench.policy import Problem, Step, Tally
from gembench.query_order import order_key, query_at
from gembench.query_policy import UNSEEN, Background, QueryAsk, Seen, no_background
from gembench.ranking import best_first
from gembench.turn import START, ask_key, ranking_keys, run_key


class Turn(NamedTuple):
    """One ask: its key; of whom, [S] and [S, n] with -1 for none; and what was known before and after it, [M, Q]."""

    rng_key: object
    stage: int
    models: np.ndarray
    queries: np.ndarray
    before: np.ndarray
    after: np.ndarray


class Play(NamedTuple):
    """A run: its turns, the answers that it saw [M, Q], the scores [M], the models best first, and the digest."""

    turns: list
    answers: np.ndarray
    scores: np.ndarray
    ranking: list
    digest: str
    order: np.ndarray
    knowledge: object

    @property
    def pulls(self):
        return int((self.answers != UNSEEN).sum())


@functools.cache
def compiled_rules(policy, problem, index):
    def ask(rng_key, repeat, left, seen, memory):
        return policy.ask(rng_key, Step(problem, index, repeat, left), seen, memory)

    def learn(repeat, left, asked, answers, seen, memory):
        return policy.learn(Step(problem, index, repeat, left), asked, answers, seen, memory)

    return jax.jit(ask), jax.jit(learn)


@functools.cache
def compiled_ends(policy, problem):
    return (
        jax.jit(lambda background: policy.study(problem, background)),
        jax.jit(lambda rng_key, seen: policy.start(rng_key, problem, seen)),
        jax.jit(lambda rng_key, seen, memory: policy.recommend(rng_key, problem, seen, memory)),
    )


def background_of(history, num_models):
    return Background(np.asarray(history, np.int8), np.full(num_models, np.nan, np.float32))


def play(policy, correct, budget, history=None, seed=0, run=0, failing=None, prior=None):
    """The run of a policy on answers `correct` [M, Q], as `simulate` would play it; a model may fail after one ask."""
    correct = np.asarray(correct, np.int8)
    num_models, num_queries = correct.shape
    problem = Problem(num_models, num_queries, budget)
    words = jnp.asarray([seed, 0], jnp.uint32)
    order = query_at(order_key(words, jnp.uint32(run)), jnp.arange(num_queries, dtype=jnp.int32), num_queries)
    rng_key = run_key(words, jnp.uint32(run))
    study, start, recommend = compiled_ends(policy, problem)
    background = no_background(num_models, num_queries) if history is None else background_of(history, num_models)
    if prior is not None:
        background = background._replace(prior=np.asarray(prior, np.float32))
    knowledge = study(background)
    answers, decisions, turns, num_asks = np.full_like(correct, UNSEEN), hashlib.sha256(), [], 0
    is_out = np.zeros(num_models, bool)

    def seen():
        shown = np.where(is_out[:, None], 0, answers)
        pulls, right = (shown != UNSEEN).sum(axis=1), (shown == 1).sum(axis=1)
        return Seen(
            Tally(jnp.asarray(pulls, jnp.int32), jnp.asarray(right, jnp.int32)), jnp.asarray(shown), order, knowledge
        )

    def left():
        return jnp.int32(budget - (answers != UNSEEN).sum())

    memory = start(ask_key(rng_key, START), seen())
    for index, stage in enumerate(policy.plan(problem)):
        ask, learn = compiled_rules(policy, problem, index)
        for repeat in range(stage.repeats):
            if (stage.repeats > 1 or stage.until_spent) and left() == 0:
                break
            key, before = ask_key(rng_key, np.uint32(num_asks)), answers.copy()
            asked = ask(key, jnp.int32(repeat), left(), seen(), memory)
            assert asked.models.dtype == asked.queries.dtype == jnp.int32
            assert asked.models.shape == (stage.num_models,)
            assert asked.queries.shape == (1 if stage.in_step else stage.num_models, stage.max_queries)
            models = np.asarray(asked.models)
            queries = np.broadcast_to(np.asarray(asked.queries), (stage.num_models, stage.max_queries))
            assert len(set(models.tolist())) == len(models)
            given = np.full(queries.shape, UNSEEN, np.int8)
            for row, model in enumerate(models.tolist()):
                for column, query in enumerate(queries[row].tolist()):
                    if query == UNSEEN or is_out[model]:
                        continue
                    assert 0 <= query < num_queries
                    assert answers[model, query] == UNSEEN, f"model {model} is asked query {query} twice"
                    given[row, column] = answers[model, query] = correct[model, query]
                    decisions.update(struct.pack("<ii", model, query + 1))
            assert left() >= 0
            turns.append(Turn(key, index, models, queries, before, answers.copy()))
            memory = learn(jnp.int32(repeat), left(), QueryAsk(*asked), jnp.asarray(given), seen(), memory)
            num_asks += 1
            if failing is not None and num_asks == 1:
                is_out[failing] = True
                memory = policy.withdraw(jnp.asarray(is_out), memory)
    score_key, tie_key = ranking_keys(rng_key)
    scores = recommend(score_key, seen(), memory)
    assert scores.shape == (num_models,)
    assert scores.dtype in (jnp.float32, jnp.int32)
    assert not np.isnan(scores).any()
    ranking = best_first(tie_key, scores, num_models).tolist()
    return Play(turns, answers, np.asarray(scores), ranking, decisions.hexdigest(), np.asarray(order), knowledge)


def related_models(num_models, num_queries, seed, num_histories=0):
    """Answers [M, Q] and [H, Q] of models of different skill to queries of different difficulty."""
    rng = np.random.default_rng(seed)
    size = num_models + num_histories
    difficulty, skill = rng.normal(0, 1.5, num_queries), rng.normal(0, 0.7, size)
    answers = rng.random((size, num_queries)) < 1 / (1 + np.exp(difficulty - skill[:, None]))
    return answers[:num_models].astype(np.int8), answers[num_models:].astype(np.int8)
