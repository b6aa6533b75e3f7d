"""The programs that a policy comes to for one problem, each a function of one run, as text of StableHLO.

What they take and give is said by `gembench.exported_policy` and, of a policy that chooses queries, by
`gembench.exported_query_policy`. This runs in the sandbox, beside a stranger's policy: who reads the programs elsewhere
checks them. Shapes: M models, Q queries, H models of the history.
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal, cast

import jax
import jax.numpy as jnp
from jax import Array, ShapeDtypeStruct
from jax.export import export

from gembench.errors import ContractError
from gembench.policy import Ask, Policy, Problem, Step, Tally
from gembench.prng import make_key
from gembench.query_policy import AnyPolicy, Background, QueryAsk, QueryPolicy, Seen, chooses_queries
from gembench.turn import Setting

_KEY, _NUMBER = ShapeDtypeStruct((2,), jnp.uint32), ShapeDtypeStruct((), jnp.int32)


def export_programs(policy: AnyPolicy, problem: Problem, num_histories: int) -> Iterator[bytes]:
    """The programs in the order of `Programs` or `QueryPrograms`: ask and learn of a stage follow each other.

    Raises:
        ContractError: the policy keeps a random key, which no program can take.
    """
    if chooses_queries(policy):
        yield from _export_choosing(policy, problem, num_histories)
    else:
        yield from _export_taking(cast("Policy", policy), problem)


def _array(*shape: int, dtype: Any = jnp.int32) -> ShapeDtypeStruct:
    return ShapeDtypeStruct(shape, dtype)


def _program(function: Callable[..., Any], *arguments: ShapeDtypeStruct) -> bytes:
    """The program that gives the leaves of what the function gives."""

    def flat(*arguments: Array) -> tuple[Array, ...]:
        return tuple(map(jnp.asarray, jax.tree.leaves(function(*arguments))))

    text: str = export(jax.jit(flat, keep_unused=True), platforms=["cpu"])(*arguments).mlir_module()
    return text.encode()


def _kinds(tree: Any, made_by: Literal["start", "study"]) -> tuple[list[ShapeDtypeStruct], Any]:
    """The kinds of the leaves of what a function of the policy gives, and their tree."""
    leaves, structure = jax.tree.flatten(tree)
    if any(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in leaves):
        kept_in = "memory" if made_by == "start" else "knowledge"
        raise ContractError(
            f"{made_by} keeps a random key in the {kept_in}; keep its words instead: jax.random.key_data(key)."
        )
    return [ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves], structure


def _as_key(words: Array) -> Array:
    rng_key: Array = jax.random.wrap_key_data(words, impl=jax.random.key_impl(make_key(0)))
    return rng_key


def _export_taking(policy: Policy, problem: Problem) -> Iterator[bytes]:
    seen_problem = Setting(policy, problem, policy.sampling).seen_problem
    num_models = problem.num_models
    kept, structure = _kinds(jax.eval_shape(lambda: policy.start(seen_problem)), "start")
    books = _array(num_models), _array(num_models)

    def remember(leaves: tuple[Array, ...]) -> Any:
        return jax.tree.unflatten(structure, leaves)

    yield _program(lambda: policy.start(seen_problem))
    for index, stage in enumerate(policy.plan(problem)):

        def ask(
            repeat: Array, words: Array, left: Array, pulls: Array, correct: Array, *leaves: Array, index: int = index
        ) -> Ask:
            step = Step(seen_problem, index, repeat, left)
            return policy.ask(_as_key(words), step, Tally(pulls, correct), remember(leaves))

        def learn(
            repeat: Array,
            left: Array,
            models: Array,
            num_queries: Array,
            num_correct: Array,
            pulls: Array,
            correct: Array,
            *leaves: Array,
            index: int = index,
        ) -> Any:
            step, asked = Step(seen_problem, index, repeat, left), Ask(models, num_queries)
            return policy.learn(step, asked, num_correct, Tally(pulls, correct), remember(leaves))

        asked = _array(stage.num_models)
        yield _program(ask, _NUMBER, _KEY, _NUMBER, *books, *kept)
        yield _program(learn, _NUMBER, _NUMBER, asked, asked, asked, *books, *kept)

    def recommend(words: Array, pulls: Array, correct: Array, *leaves: Array) -> Array:
        return policy.recommend(_as_key(words), seen_problem, Tally(pulls, correct), remember(leaves))

    yield _program(recommend, _KEY, *books, *kept)
    yield _program(
        lambda is_out, *leaves: policy.withdraw(is_out, remember(leaves)), _array(num_models, dtype=jnp.bool_), *kept
    )


def _export_choosing(policy: QueryPolicy, problem: Problem, num_histories: int) -> Iterator[bytes]:
    seen_problem = Setting(policy, problem, policy.sampling).seen_problem
    num_models, num_queries = problem.num_models, problem.num_queries

    def study(history: Array, prior: Array) -> Any:
        return policy.study(seen_problem, Background(history, prior))

    background = _array(num_histories, num_queries, dtype=jnp.int8), _array(num_models, dtype=jnp.float32)
    known, knowledge_tree = _kinds(jax.eval_shape(study, *background), "study")
    answers = _array(num_models, num_queries, dtype=jnp.int8)
    books = (_array(num_models), _array(num_models), answers, _array(num_queries), *known)

    def see(arrays: tuple[Array, ...]) -> Seen:
        pulls, correct, answers, order, *knowledge = arrays[: len(books)]
        return Seen(Tally(pulls, correct), answers, order, jax.tree.unflatten(knowledge_tree, knowledge))

    def start(words: Array, *arrays: Array) -> Any:
        return policy.start(_as_key(words), seen_problem, see(arrays))

    kept, memory_tree = _kinds(jax.eval_shape(start, _KEY, *books), "start")

    def remember(arrays: tuple[Array, ...]) -> Any:
        return jax.tree.unflatten(memory_tree, arrays[len(books) :])

    yield _program(study, *background)
    yield _program(start, _KEY, *books)
    for index, stage in enumerate(policy.plan(problem)):

        def ask(repeat: Array, words: Array, left: Array, *arrays: Array, index: int = index) -> QueryAsk:
            step = Step(seen_problem, index, repeat, left)
            return policy.ask(_as_key(words), step, see(arrays), remember(arrays))

        def learn(
            repeat: Array,
            left: Array,
            models: Array,
            queries: Array,
            given: Array,
            *arrays: Array,
            index: int = index,
        ) -> Any:
            step, asked = Step(seen_problem, index, repeat, left), QueryAsk(models, queries)
            return policy.learn(step, asked, given, see(arrays), remember(arrays))

        asked = _array(stage.num_models), _array(1 if stage.in_step else stage.num_models, stage.max_queries)
        given = _array(stage.num_models, stage.max_queries, dtype=jnp.int8)
        yield _program(ask, _NUMBER, _KEY, _NUMBER, *books, *kept)
        yield _program(learn, _NUMBER, _NUMBER, *asked, given, *books, *kept)

    def recommend(words: Array, *arrays: Array) -> Array:
        return policy.recommend(_as_key(words), seen_problem, see(arrays), remember(arrays))

    def withdraw(is_out: Array, *leaves: Array) -> Any:
        return policy.withdraw(is_out, jax.tree.unflatten(memory_tree, leaves))

    yield _program(recommend, _KEY, *books, *kept)
    yield _program(withdraw, _array(num_models, dtype=jnp.bool_), *kept)
