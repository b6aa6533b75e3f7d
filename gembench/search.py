"""A search: one run of a policy over models that answer when they are asked.

It makes the decisions of run r of `simulate`, turn by turn with the same rules (`turn`), and differs in where answers
come from and in that models can fail. What a model has answered is given out again at no cost, so that a search that is
begun anew over the same answers comes to the same decisions, and pays for nothing twice.

A model that fails leaves the race. As long as every model has been asked only once, the race is planned anew without
it, and the others have its budget. Later its place in the ask goes to the next best, by the policy's own rule.

Shapes: M models, Q queries, S models of an ask.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from gembench.choosing_race import ChoosingRace
from gembench.errors import GembenchError
from gembench.ordered_race import OrderedRace
from gembench.policy import Problem, Sampling, Stage
from gembench.pulls import NOT_ASKED, UNGRADED, Answer, Pulls, is_never_graded
from gembench.query_order import OrderKey, model_order_key, order_key, query_at
from gembench.query_policy import AnyPolicy, Background, chooses_queries, no_background
from gembench.searched_race import SearchedRace
from gembench.turn import make_setting, run_key

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
        background: what is known before the search, the prior of all M models; by default nothing.
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
        policy: AnyPolicy,
        num_models: int,
        num_queries: int,
        budget: int,
        answer: Answer,
        *,
        racing: Sequence[int] | None = None,
        sampling: Sampling | None = None,
        seed: int = 0,
        run: int = 0,
        background: Background | None = None,
        stop: Callable[["Search", Sequence[Pulls]], Ending | None] = lambda search, wanted: None,
        on_ask: Callable[[int, int, Sequence[Pulls]], None] = lambda stage, repeat, wanted: None,
    ) -> None:
        self.answers = np.full((num_models, num_queries), NOT_ASKED, np.int8)
        self.failed: set[int] = set()
        self.pulls = 0
        self.racing = tuple(range(num_models) if racing is None else racing)
        self.budget = min(budget, len(self.racing) * num_queries)
        self._policy = policy
        self._background = background or no_background(num_models, num_queries)
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
        return self._race.decision_digest

    def ranking(self) -> list[int]:
        """The models that have not failed, best first, by the answers so far; those that are not in the race last."""
        outside = (model for model in range(len(self.answers)) if model not in self.racing)
        others = [model for model in outside if (self.answers[model] >= 0).any()]
        # Before the first ask is complete, by the means of what has come.
        raced = self._race.ranking() if self._race.num_asks else _by_mean(self._race.models.tolist(), self.answers)
        ranked = [*raced, *_by_mean(others, self.answers)]
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

    def order_of_its_own(self, model: int) -> NDArray[np.int32]:
        """All queries, [Q], in an order that no policy knows that offers all models one: for unbiased draws."""
        return self._order(model)

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

    def _new_race(self) -> SearchedRace:
        models = [model for model in self.racing if model not in self.failed]
        budget = self.budget - int((self.answers[sorted(self.failed)] != NOT_ASKED).sum())
        problem = Problem(len(models), self.answers.shape[1], min(budget, len(models) * self.answers.shape[1]))
        background = self._background._replace(prior=np.asarray(self._background.prior)[models])
        setting = make_setting(self._policy, problem, self._sampling, background=background)
        rng_key = run_key(self._words, self._run)
        if not chooses_queries(setting.policy):
            return OrderedRace(setting, models, rng_key, self.order)
        return ChoosingRace(setting, models, rng_key, self._order(None), background)

    def _play(self) -> Ending | None:
        """The race to its end; None if it is to be planned anew."""
        race = self._race
        for index, stage in enumerate(race.plan):
            repeat = 0
            while race.goes_on(stage, repeat):
                turn, wanted = race.choose(index, repeat)
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
                race.absorb(index, repeat, turn, self._graded(wanted))
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

    def _graded(self, wanted: Sequence[Pulls]) -> dict[int, NDArray[np.int8]]:
        """The answers of each model, 0 or 1. Of those without a grade as many are right as of the model's others.

        Before a model has any grade, all models' answers stand for its others, and before any there is a half.
        """
        graded = {}
        for model, queries in wanted:
            answers = self.answers[model, queries]
            ungraded = np.flatnonzero(answers == UNGRADED)
            if ungraded.size:
                of_model = self.answers[model][self.answers[model] >= 0]
                others = of_model if of_model.size else self.answers[self.answers >= 0]
                num_right = int(ungraded.size * (others.mean() if others.size else 0.5) + 0.5)
                answers[ungraded] = np.arange(ungraded.size) < num_right
            graded[model] = answers
        return graded

    def _order_of(self, model: int | None) -> NDArray[np.int32]:
        number = None if model is None else jnp.uint32(model)
        num_queries = self.answers.shape[1]
        # An argument: XLA of JAX 0.12 tries for ever to simplify the permutation of positions that it knows.
        position = np.arange(num_queries, dtype=np.int32)
        return np.asarray(_order(self._words, self._run, number, position, num_queries))


def _by_mean(models: Sequence[int], answers: NDArray[np.int8]) -> list[int]:
    """Some models by their share of right answers, best first."""
    of_models = answers[list(models)]
    means = (of_models == 1).sum(axis=1) / np.maximum((of_models >= 0).sum(axis=1), 1)
    return [models[place] for place in np.argsort(-means, kind="stable")]


@partial(jax.jit, static_argnums=4)
def _order(seed_words: Array, run: Array, model: Array | None, position: Array, num_queries: int) -> Array:
    key: OrderKey = order_key(seed_words, run)
    if model is not None:
        key = model_order_key(key, model)
    return query_at(key, position, num_queries)
