"""One turn of a run whose policy chooses queries, as `turn` has it for the others: simulator and live search share it.

Written for one run; the simulator batches it over runs. Shapes: M models, Q queries, S models and n queries of an ask.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import Array

from gembench.errors import ContractError
from gembench.ledger import Ledger, settle_choice
from gembench.policy import Memory, Step
from gembench.query_policy import UNSEEN, Background, Knowledge, QueryAsk, QueryPolicy, Seen
from gembench.ranking import best_first
from gembench.turn import START, Setting, ask_key, ranking_keys


class Books(NamedTuple):
    """The state of a run between two asks.

    Attributes:
        ledger: what was paid.
        answers: [M, Q] int8, what came of it; `UNSEEN` elsewhere.
    """

    ledger: Ledger
    answers: Array


def open_answers(num_models: int, num_queries: int) -> Array:
    """The answers before the first ask."""
    return jnp.full((num_models, num_queries), UNSEEN, jnp.int8)


def seen_in(books: Books, order: Array, knowledge: Knowledge) -> Seen:
    """What the policy may see."""
    return Seen(books.ledger.tally, books.answers, order, knowledge)


def start_memory(setting: Setting, knowledge: Knowledge, rng_key: Array, order: Array, books: Books) -> Memory:
    """What the policy remembers before its first ask; `rng_key` is the run's."""
    return _policy(setting).start(ask_key(rng_key, START), setting.seen_problem, seen_in(books, order, knowledge))


def choose_queries(
    setting: Setting, index: int, repeat: Array, budget: Array, rng_key: Array, books: Books, seen: Seen, memory: Memory
) -> QueryAsk:
    """What the policy asks in stage `index`; `rng_key` is the ask's.

    Raises:
        ContractError: while it is traced: the ask is not of the stage's shape.
    """
    step = Step(setting.seen_problem, index, repeat, budget - books.ledger.spent)
    asked = _policy(setting).ask(rng_key, step, seen, memory)
    stage = setting.policy.plan(setting.problem)[index]
    wanted = (1 if stage.in_step else stage.num_models, stage.max_queries)
    if asked.models.shape != (stage.num_models,) or asked.queries.shape != wanted:
        raise ContractError(
            f"policy {type(setting.policy).__name__} asks {asked.models.shape} models {asked.queries.shape} queries, "
            f"but its stage {index} has {(stage.num_models,)} and {wanted}."
        )
    return asked


def studied(setting: Setting, background: Background) -> Knowledge:
    """What the policy makes of the background, once for all runs."""
    return _study(setting)(background)


@lru_cache(maxsize=64)
def _study(setting: Setting) -> Callable[[Background], Knowledge]:
    return jax.jit(partial(_policy(setting).study, setting.seen_problem))


def query_ranking(setting: Setting, rng_key: Array, seen: Seen, memory: Memory, *, num_recommended: int) -> Array:
    """The first models of a run's ranking, best first, [K] int32; `rng_key` is the run's."""
    score_key, tie_key = ranking_keys(rng_key)
    scores = _policy(setting).recommend(score_key, setting.seen_problem, seen, memory)
    return best_first(tie_key, scores, num_recommended)


def absorb_answers(
    setting: Setting,
    index: int,
    repeat: Array,
    budget: Array,
    asked: QueryAsk,
    answers: Array,
    books: Books,
    order: Array,
    knowledge: Knowledge,
    memory: Memory,
) -> tuple[Books, Memory]:
    """The books, and what the policy remembers, once the `answers` [S, n] int8 came, `UNSEEN` where none was asked."""
    num_queries = books.answers.shape[1]
    models, queries = asked.models[:, None], asked.queries
    # A model that failed in a live search is named in vain. What is asked of nobody is written nowhere.
    is_asked = answers != UNSEEN
    cells = jnp.where(is_asked, models * num_queries + queries, books.answers.size)
    before = books.answers.reshape(-1).at[cells].get(mode="fill", fill_value=UNSEEN)
    in_order = jnp.sort(queries, axis=1)
    is_repeated = (in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] != UNSEEN)
    ledger = settle_choice(
        books.ledger,
        asked.models,
        is_asked.sum(axis=1, dtype=jnp.int32),
        (answers == 1).sum(axis=1, dtype=jnp.int32),
        budget,
        ((queries < UNSEEN) | (queries >= num_queries)).any(axis=1),
        (before != UNSEEN).any(axis=1) | is_repeated.any(axis=1),
    )
    # To write where nothing stood has XLA read before it writes, and so not copy the matrix.
    cells = jnp.where(before == UNSEEN, cells, books.answers.size)
    matrix = books.answers.reshape(-1).at[cells].set(answers, mode="drop").reshape(books.answers.shape)
    books = Books(ledger, matrix)
    step = Step(setting.seen_problem, index, repeat, budget - ledger.spent)
    seen = seen_in(books, order, knowledge)
    return books, _policy(setting).learn(step, asked, answers, seen, memory)


def _policy(setting: Setting) -> QueryPolicy:
    return cast("QueryPolicy", setting.policy)
