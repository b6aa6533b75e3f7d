"""A search: one run of a policy over models that answer when they are asked.

It makes the decisions of run r of `simulate`, turn by turn with the same rules (`turn`), and differs in where answers
come from and in that models can fail. What a model has answered is given out again at no cost, so that a search that is
begun anew over the same answers comes to the same decisions, and pays for nothing twice.

A model that fails leaves the race. As long as every model has been asked only once, the race is planned anew without
it, and the others have its budget. Later its place in the ask goes to the next best, by the policy's own rule.

Shapes: M models, Q queries, S models of an ask.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache, partial
from typing import Any, Literal, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from gembench.decisions import digest
from gembench.errors import GembenchError
from gembench.ledger import Grant, Ledger, open_ledger, raise_on_faults
from gembench.policy import Ask, Memory, Policy, Problem, Sampling, Stage
from gembench.pulls import NOT_ASKED, UNGRADED, Answer, Pulls, is_never_graded
from gembench.query_order import OrderKey, model_order_key, order_key, query_at
from gembench.turn import Setting, absorb, ask_key, choose, make_setting, ranking, run_key

Ending = Literal["plan", "budget", "stop_within", "seconds"]
"""The policy was done, or failures used up the budget before, or a rule of the caller's ended the search."""


class NobodyLeftError(GembenchError):
    """Every model of a search failed."""


class Search:
    """One search, from its first ask to its ranking.

    Args:
        policy: any object that keeps the contract of `gembench.policy`.
        num_models: M.
        num_queries: Q.
        budget: B: the most pulls, those of models that failed among them.
        answer: where answers come from.
        racing: the models in the race, by their places in it; all M by default.
        sampling: whether all models meet the queries in one order; by default as the policy's source does.
        seed: as `simulate`'s.
        run: which of the simulator's runs this is.
        stop: asked before each ask, with the pulls of that ask, whether the search is to end, and why.
        on_ask: told the stage, the repeat and the pulls of each ask before it is answered.

    Attributes:
        answers: [M, Q] int8, what came so far: 1, 0, `UNGRADED` or `NOT_ASKED`; see `pulls`.
        failed: the models that failed.
        pulls: cells paid for; counted, for to look for them in all answers at every ask would take longer than the ask.
        racing: the models in the race, those that failed among them.
        budget: B, or what all cells of the race come to.

    Raises:
        BudgetError: the budget is under one pull a model.
    """

    def __init__(
        self,
        policy: Policy,
        num_models: int,
        num_queries: int,
        budget: int,
        answer: Answer,
        *,
        racing: Sequence[int] | None = None,
        sampling: Sampling | None = None,
        seed: int = 0,
        run: int = 0,
        stop: Callable[["Search", Sequence[Pulls]], Ending | None] = lambda search, wanted: None,
        on_ask: Callable[[int, int, Sequence[Pulls]], None] = lambda stage, repeat, wanted: None,
    ) -> None:
        self.answers = np.full((num_models, num_queries), NOT_ASKED, np.int8)
        self.failed: set[int] = set()
        self.pulls = 0
        self.racing = tuple(range(num_models) if racing is None else racing)
        self.budget = min(budget, len(self.racing) * num_queries)
        self._policy = policy
        self._sampling = sampling
        self._words = jnp.asarray([seed & 0xFFFFFFFF, seed >> 32], jnp.uint32)
        self._run = jnp.uint32(run)
        self._answer = answer
        self._stop = stop
        self._on_ask = on_ask
        self._order = cache(self._order_of)
        self._unanswered: Sequence[Pulls] = ()
        self._race = self._new_race()

    @property
    def problem(self) -> Problem:
        """The race as it is planned now: without the models that failed in its first ask."""
        return self._race.setting.problem

    @property
    def plan(self) -> tuple[Stage, ...]:
        """The stages of the race as it is planned now."""
        return self._race.plan

    @property
    def sampling(self) -> Sampling:
        """Whether the models meet the queries in one order."""
        return self._race.setting.sampling

    @property
    def model_loads(self) -> NDArray[np.int64]:
        """[M] how often one worker loads each model for this, as the simulator counts it."""
        return self._race.loads(len(self.answers))

    @property
    def decision_digest(self) -> str:
        """Of the asks so far, as the simulator's."""
        asked = self._race.asked
        return digest(np.asarray(asked, np.int32).reshape(-1, 2), len(asked))

    def ranking(self) -> list[int]:
        """The models that have not failed, best first, by the answers so far; those that are not in the race last."""
        outside = (model for model in range(len(self.answers)) if model not in self.racing)
        others = [model for model in outside if (self.answers[model] >= 0).any()]
        ranked = [*self._race.ranking(self.answers), *_by_mean(others, self.answers)]
        return [model for model in ranked if model not in self.failed]

    def take_whole_rows(self, known: Callable[[int], NDArray[np.int8]]) -> None:
        """After an interruption: take the answers of those models that had answered all of the last ask.

        What came from a model that was in the middle of it depends on which answers were quick, and is left alone.

        Args:
            known: for a model's number, [Q] what it has answered.
        """
        for model, queries in self._unanswered:
            answers = known(model)[queries]
            if (answers != NOT_ASKED).all():
                self._note(model, queries, answers)

    def order(self, model: int) -> NDArray[np.int32]:
        """All queries, [Q], as the model meets them."""
        return self._order(None if self.sampling == "shared" else model)

    def run(self) -> Ending:
        """Ask until the policy is done, or the budget, or `stop` says so; returns which.

        Raises:
            ContractError: the policy asked for what the contract forbids.
            NobodyLeftError: every model failed.
        """
        while True:
            ending = self._play()
            if ending is not None:
                return ending
            if len(self.failed) == len(self.racing):
                raise NobodyLeftError(f"all {len(self.racing)} models failed; nothing is left to search.")
            self._race = self._new_race()

    def _new_race(self) -> "_Race":
        models = [model for model in self.racing if model not in self.failed]
        budget = self.budget - int((self.answers[sorted(self.failed)] != NOT_ASKED).sum())
        problem = Problem(len(models), self.answers.shape[1], min(budget, len(models) * self.answers.shape[1]))
        return _Race(make_setting(self._policy, problem, self._sampling), models, run_key(self._words, self._run))

    def _play(self) -> Ending | None:
        """The race to its end; None if it is to be planned anew."""
        race = self._race
        for index, stage in enumerate(race.plan):
            repeat = 0
            while race.goes_on(stage, repeat):
                turn = race.choose(index, repeat)
                wanted = [
                    Pulls(model, self.order(model)[first : first + num_queries])
                    for model, first, num_queries in zip(turn.models, *turn.granted, strict=True)
                    if num_queries
                ]
                if (ending := self._stop(self, wanted)) is not None:
                    return ending
                if self.failed and self.pulls + self._num_new(wanted) > self.budget:
                    return "budget"
                self._on_ask(index, repeat, wanted)
                failed = self._take(wanted)
                if failed and race.num_asks == 0:
                    return None
                if failed:
                    race.withdraw(failed)
                    if len(self.failed) == len(self.racing):
                        return None
                    continue
                race.absorb(index, repeat, turn, self._num_correct(wanted))
                repeat += 1
        return "plan"

    def _take(self, wanted: Sequence[Pulls]) -> set[int]:
        """Have the queries answered; returns the models that failed."""
        failed: set[int] = set()
        if not wanted:
            return failed
        self._unanswered = wanted
        replies = self._answer(wanted)
        self._unanswered = ()
        for model, queries in wanted:
            reply = replies[model]
            self._note(model, queries, reply.correct)
            if reply.has_failed or is_never_graded(self.answers[model]):
                failed.add(model)
        self.failed |= failed
        return failed

    def _num_new(self, wanted: Sequence[Pulls]) -> int:
        return sum(int((self.answers[model, queries] == NOT_ASKED).sum()) for model, queries in wanted)

    def _note(self, model: int, queries: NDArray[np.int32], correct: NDArray[np.int8]) -> None:
        is_new = (self.answers[model, queries] == NOT_ASKED) & (correct != NOT_ASKED)
        self.pulls += int(is_new.sum())
        self.answers[model, queries] = correct

    def _num_correct(self, wanted: Sequence[Pulls]) -> dict[int, int]:
        """Right answers of each model. One without a grade counts as the model's others do on average.

        Before a model has any grade, all models' answers stand for its others, and before any there is a half.
        """
        num_correct = {}
        for model, queries in wanted:
            answers = self.answers[model, queries]
            num_ungraded = int((answers == UNGRADED).sum())
            num_right = int((answers == 1).sum())
            if num_ungraded:
                of_model = self.answers[model][self.answers[model] >= 0]
                graded = of_model if of_model.size else self.answers[self.answers >= 0]
                num_right += int(num_ungraded * (graded.mean() if graded.size else 0.5) + 0.5)
            num_correct[model] = num_right
        return num_correct

    def _order_of(self, model: int | None) -> NDArray[np.int32]:
        number = None if model is None else jnp.uint32(model)
        num_queries = self.answers.shape[1]
        # An argument: XLA of JAX 0.12 tries for ever to simplify the permutation of positions that it knows.
        position = np.arange(num_queries, dtype=np.int32)
        return np.asarray(_order(self._words, self._run, number, position, num_queries))


class _Turn(NamedTuple):
    """An ask and what it was given, here and for the policy. `models` are numbers of the search, not of the race."""

    models: list[int]
    granted: Grant
    asked: Ask
    grant: Grant


class _Race:
    """The policy's side of a search: the books and the memory over those models that are in the race.

    Args:
        setting: the policy on the problem that these models make.
        models: their numbers in the search, by their places in the race.
        rng_key: of the run.
    """

    def __init__(self, setting: Setting, models: Sequence[int], rng_key: Array) -> None:
        self.setting = setting
        self.plan = setting.policy.plan(setting.problem)
        self.ledger = open_ledger(setting.problem.num_models)
        self.num_asks = 0
        self.asked: list[tuple[int, int]] = []
        self._models = np.asarray(models, np.int32)
        self._rng_key = rng_key
        self._memory: Memory = cast("Policy", setting.policy).start(setting.seen_problem)
        self._budget = jnp.int32(setting.problem.budget)
        self._is_out = np.zeros(len(models), bool)

    def goes_on(self, stage: Stage, repeat: int) -> bool:
        """Whether a stage has another ask, by the simulator's rule; and anybody has a query left to answer."""
        if self._is_out.any() and not (np.asarray(self.ledger.tally.pulls) < self.setting.problem.num_queries).any():
            return False
        if stage.repeats == 1 and not stage.until_spent:
            return repeat == 0
        return repeat < stage.repeats and int(self.ledger.spent) < self.setting.problem.budget

    def choose(self, index: int, repeat: int) -> _Turn:
        """The policy's next ask."""
        ask, _ = _compiled(self.setting, index, self.plan[index])
        asked, granted = ask(
            self._rng_key, jnp.int32(self.num_asks), jnp.int32(repeat), self._budget, self.ledger, self._memory
        )
        # A model that does not exist is the fault of the policy, which the books will note.
        places = np.clip(np.asarray(asked.models), 0, len(self._models) - 1)
        host = Grant(*(np.asarray(part).tolist() for part in granted))
        return _Turn(self._models[places].tolist(), host, asked, granted)

    def absorb(self, index: int, repeat: int, turn: _Turn, num_correct: Mapping[int, int]) -> None:
        """Settle the books, and let the policy learn.

        Raises:
            ContractError: the ask broke the contract.
        """
        stage = self.plan[index]
        if self._is_out.any():
            # Where a model that is out stands in for one that is not there, the others may be out of step with it.
            stage = Stage(stage.num_models, stage.max_queries, stage.repeats, until_spent=stage.until_spent)
        _, learn = _compiled(self.setting, index, stage)
        right = jnp.asarray([num_correct.get(model, 0) for model in turn.models], jnp.int32)
        self.ledger, self._memory = learn(
            jnp.int32(repeat), self._budget, turn.asked, turn.grant, right, self.ledger, self._memory
        )
        if self._is_out.any():
            self._memory = self.setting.policy.withdraw(jnp.asarray(self._is_out), self._memory)
        raise_on_faults(np.asarray(self.ledger.faults)[None], type(self.setting.policy).__name__)
        places = np.asarray(turn.asked.models).tolist()
        self.asked += [(place, num) for place, num in zip(places, turn.granted.num_queries, strict=True) if num]
        self.num_asks += 1

    def withdraw(self, models: set[int]) -> None:
        """Take models out: to the policy it looks as if they had answered everything, all of it wrong."""
        self._is_out |= np.isin(self._models, sorted(models))
        everything = jnp.asarray([self.setting.problem.num_queries, 0, 0], jnp.int32)
        is_out = jnp.asarray(self._is_out)
        by_model = jnp.where(is_out[:, None], everything, self.ledger.by_model).at[:, 2].set(self.ledger.loads)
        self.ledger = self.ledger._replace(by_model=by_model)
        self._memory = self.setting.policy.withdraw(is_out, self._memory)

    def loads(self, num_models: int) -> NDArray[np.int64]:
        """Of all models of the search, [M]."""
        loads = np.zeros(num_models, np.int64)
        loads[self._models] = np.asarray(self.ledger.loads)
        return loads

    def ranking(self, answers: NDArray[np.int8]) -> list[int]:
        """The models of the race, best first; before the first ask is complete, by the means of what has come."""
        if self.num_asks == 0:
            return _by_mean(self._models.tolist(), answers)
        best_first = np.asarray(_ranking(self.setting)(self._rng_key, self.ledger, self._memory))
        return [int(model) for model in self._models[best_first]]


def _by_mean(models: Sequence[int], answers: NDArray[np.int8]) -> list[int]:
    """Some models by their share of right answers, best first."""
    of_models = answers[list(models)]
    means = (of_models == 1).sum(axis=1) / np.maximum((of_models >= 0).sum(axis=1), 1)
    return [models[place] for place in np.argsort(-means, kind="stable")]


@lru_cache(maxsize=1024)
def _compiled(setting: Setting, index: int, stage: Stage) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The rules of a stage's asks: what to ask, and what to learn."""

    def ask(
        rng_key: Array, num_asks: Array, repeat: Array, budget: Array, ledger: Ledger, memory: Memory
    ) -> tuple[Ask, Grant]:
        return choose(setting, index, repeat, budget, ask_key(rng_key, num_asks), ledger, memory)

    return jax.jit(ask), jax.jit(partial(absorb, setting, index, stage))


@lru_cache(maxsize=64)
def _ranking(setting: Setting) -> Callable[[Array, Ledger, Memory], Array]:
    return jax.jit(partial(ranking, setting, num_recommended=setting.problem.num_models))


@partial(jax.jit, static_argnums=4)
def _order(seed_words: Array, run: Array, model: Array | None, position: Array, num_queries: int) -> Array:
    key: OrderKey = order_key(seed_words, run)
    if model is not None:
        key = model_order_key(key, model)
    return query_at(key, position, num_queries)
