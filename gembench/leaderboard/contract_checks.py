"""What a policy is held to before it is scored: its plans, its asks, its ties, and what becomes of models that fail.

The checks take any policy of the contract: an exported one of a stranger's file, or one of the catalog. They are runs
on a few small, odd problems. An error breaks the contract; a warning costs the policy rank or seconds.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, chisquare

from gembench.errors import ContractError
from gembench.policy import Problem, Stage
from gembench.pulls import NOT_ASKED, Pulls, Reply
from gembench.query_policy import AnyPolicy
from gembench.race import Race
from gembench.runs import Runs
from gembench.search import Search
from gembench.simulate import simulate

Verdict = Literal["ok", "warning", "error"]

ALL_ALIKE = Problem(7, 11, 24)
LIVE = Problem(5, 9, 31)  # No other problem has 5 models: an exported policy knows `withdraw` by the number of models.
ROOMY = Problem(20, 400, 411)
# One model alone, one pull a model, and all cells but three.
REPLAYED = (Problem(1, 9, 4), Problem(7, 11, 7), ALL_ALIKE, Problem(13, 5, 62), ROOMY)
PROBLEMS = (*REPLAYED, LIVE)
NUM_RUNS = 512
SEED = 11

FALSE_ALARMS = 1e-6
"""How often a policy that favours nobody fails `check_ties`."""
_TIED_SEEDS = range(8)
_TIED_PLACES = (0, 1, ALL_ALIKE.num_models - 1)
_TIED_ANSWERS = ([1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 1], [0] * ALL_ALIKE.num_queries, [1] * ALL_ALIKE.num_queries)
_BEST_ACCURACY, _OTHERS_ACCURACY = 0.7, 0.4
_LEAST_SPENT = 0.95
_LEAST_PULLS_PER_LOAD = 5
_MOST_STAGES_ALIKE = 50
_SEARCHES = 4
_ASK_RIGHTLY = (
    "Ask distinct models from 0 to M - 1, each for at most max_queries of the stage, and all together for at most "
    "step.pulls_left; a model with 0 queries is not asked. Who chooses queries asks each model each of them once."
)


@dataclass(frozen=True)
class Finding:
    """What came of a check.

    Attributes:
        check: which.
        verdict: whether the policy may be as it is, would better not, or must not.
        message: what was found, and where.
        advice: what to do; "" where nothing is to be done.
    """

    check: str
    verdict: Verdict
    message: str
    advice: str = ""


def check_policy(policy: AnyPolicy) -> Iterator[Finding]:
    """All checks but that of the plan, one after the other; those after the asks only if there is no error in them."""
    asks = check_asks(policy)
    yield asks
    if asks.verdict != "error":
        for check in (check_spending, check_ties, check_best_model, check_failures, check_loads):
            yield check(policy)


def check_plan(plan: Callable[[Problem], tuple[Stage, ...]]) -> Finding:
    """No stage is larger than the race, and none is written out over and over."""
    for problem in PROBLEMS:
        for index, stage in enumerate(plan(problem)):
            if fault := stage_fault(stage, problem):
                advice = "A stage has at most the models, and gives each at most the queries and pulls, that there are."
                return Finding("plan", "error", f"{_words(problem)}: stage {index} {fault}.", advice)
    longest = max(len(list(group)) for _, group in itertools.groupby(plan(ROOMY)))
    if longest > _MOST_STAGES_ALIKE:
        advice = "Give one stage with repeats: each stage becomes two programs, and a benchmark has thousands of pulls."
        return Finding("plan", "error", f"{_words(ROOMY)}: {longest} stages in a row are the same.", advice)
    return Finding("plan", "ok", "Its stages fit the race.")


def stage_fault(stage: Stage, problem: Problem) -> str:
    """What is wrong with a stage of a plan for this problem; "" if nothing is."""
    if not 1 <= stage.num_models <= problem.num_models:
        return f"asks {stage.num_models} models"
    if not 0 <= stage.max_queries <= min(problem.num_queries, problem.budget):
        return f"gives a model up to {stage.max_queries} queries"
    return "" if stage.repeats >= 0 else f"repeats {stage.repeats} times"


def check_asks(policy: AnyPolicy) -> Finding:
    """The budget is kept, and no ask names a model twice, one that does not exist, or more queries than planned."""
    for problem in REPLAYED:
        try:
            _runs(policy, problem, _graded(problem))
        except ContractError as error:
            return Finding("asks", "error", f"{_words(problem)}: {error}", _ASK_RIGHTLY)
    return Finding("asks", "ok", f"Budget and plan are kept in {NUM_RUNS:,} runs of each of {len(REPLAYED)} problems.")


def check_spending(policy: AnyPolicy) -> Finding:
    """Nearly all of the budget is spent, where no model runs out of queries."""
    share = float(_runs(policy, ROOMY, _graded(ROOMY)).pulls.mean() / ROOMY.budget)
    message = f"It spends {share:.0%} of its budget ({_words(ROOMY)})."
    if share >= _LEAST_SPENT:
        return Finding("spending", "ok", message)
    advice = "What is left over is lost: give it to the models that are still of interest."
    return Finding("spending", "warning", message, advice)


def check_ties(policy: AnyPolicy) -> Finding:
    """Among models that answer alike, each is recommended equally often, at the first, second and last place.

    A chi-square test for each place and each kind of answers; all together raise a false alarm in `FALSE_ALARMS` of
    policies that favour nobody.
    """
    num_tests = len(_TIED_ANSWERS) * len(_TIED_PLACES)
    for answers in _TIED_ANSWERS:
        race = _race(np.tile(answers, (ALL_ALIKE.num_models, 1)))
        recommended = np.concatenate([_runs(policy, ALL_ALIKE, race, seed).recommended for seed in _TIED_SEEDS])
        for place in _TIED_PLACES:
            counts = np.bincount(recommended[:, place], minlength=ALL_ALIKE.num_models)
            if chisquare(counts).pvalue < FALSE_ALARMS / num_tests:
                most, least = int(counts.argmax()), int(counts.argmin())
                message = (
                    f"Of {ALL_ALIKE.num_models} models that answer alike, the one numbered {most} comes in at place "
                    f"{place + 1} in {counts[most] / counts.sum():.0%} of runs, the one numbered {least} in "
                    f"{counts[least] / counts.sum():.0%}."
                )
                advice = "Break ties by the key: best_model and top_models of gembench.ranking, not argmax or top_k."
                return Finding("ties", "error", message, advice)
    return Finding("ties", "ok", "Models that answer alike are recommended equally often.")


def check_best_model(policy: AnyPolicy) -> Finding:
    """One model that is by far the best is recommended more often than chance would, wherever it stands."""
    shares = []
    for best in (ROOMY.num_models // 3, ROOMY.num_models - 1):
        accuracy = np.full(ROOMY.num_models, _OTHERS_ACCURACY)
        accuracy[best] = _BEST_ACCURACY
        recommended = _runs(policy, ROOMY, _drawn(ROOMY, accuracy)).recommended[:, 0]
        num_found = int((recommended == best).sum())
        shares.append(num_found / NUM_RUNS)
        if binomtest(num_found, NUM_RUNS, 1 / ROOMY.num_models, alternative="greater").pvalue > FALSE_ALARMS:
            message = (
                f"Model {best}, right {_BEST_ACCURACY:.0%} of the time where {ROOMY.num_models - 1} others are "
                f"{_OTHERS_ACCURACY:.0%}, is recommended in {shares[-1]:.1%} of runs, no more often than by chance."
            )
            return Finding("best model", "warning", message, "Look whether recommend gives the best the highest score.")
    return Finding("best model", "ok", f"It finds a model that is by far the best in {min(shares):.0%} of runs.")


def check_failures(policy: AnyPolicy) -> Finding:
    """In a live search, once a model has failed the others are asked in its place."""
    try:
        num_idle, num_idle_anyway = (
            sum(_num_idle_asks(policy, run, has_failure=has_failure) for run in range(_SEARCHES))
            for has_failure in (True, False)
        )
    except ContractError as error:
        advice = "See to withdraw: from then on the tally of such a model says Q answers, all wrong."
        return Finding("failures", "error", f"After a model failed in a live search: {error}", advice)
    if num_idle > num_idle_anyway == 0:
        message = "After a model failed in a live search, asks go to it or to nobody, though others have queries left."
        advice = "Have withdraw put such models below all others in the memory; step.pulls_left is what may be spent."
        return Finding("failures", "warning", message, advice)
    return Finding("failures", "ok", "After a model failed in a live search, the others are asked in its place.")


def check_loads(policy: AnyPolicy) -> Finding:
    """Models answer several queries each time they are loaded."""
    runs = _runs(policy, ROOMY, _graded(ROOMY))
    pulls_per_load = float(runs.pulls.sum() / max(1, runs.model_loads.sum()))
    message = f"A model answers {pulls_per_load:.1f} queries each time it is loaded ({_words(ROOMY)})."
    if pulls_per_load >= _LEAST_PULLS_PER_LOAD:
        return Finding("loads", "ok", message)
    advice = "To load one takes longer than an answer: ask fewer times, several models for several queries each."
    return Finding("loads", "warning", message, advice)


def _runs(policy: AnyPolicy, problem: Problem, race: Race, seed: int = SEED) -> Runs:
    """Runs of one size everywhere, so that a problem is compiled once."""
    return simulate(
        policy,
        race,
        budget=problem.budget,
        num_runs=NUM_RUNS,
        seed=seed,
        # In one order of queries for all, models that answer alike tie at every turn.
        sampling="shared" if problem == ALL_ALIKE else None,
        num_recommended=problem.num_models,
    )


def _num_idle_asks(policy: AnyPolicy, run: int, *, has_failure: bool) -> int:
    """In how many asks of a search somebody could have answered who was not asked.

    The first model of the second ask may fail: after a failure in the first, the race would be planned anew.
    """
    correct = _graded(LIVE).correct.astype(np.int8)
    num_asks = num_idle = 0

    def note(stage: int, repeat: int, wanted: Sequence[Pulls]) -> None:
        nonlocal num_asks, num_idle
        num_asks += 1
        has_more = (search.answers == NOT_ASKED).any(axis=1)
        has_more[list(search.failed)] = False
        num_places = search.plan[stage].num_models
        has_pulls = search.budget - search.pulls >= num_places and search.plan[stage].max_queries > 0
        num_idle += has_pulls and len(wanted) < min(num_places, int(has_more.sum()))

    def answer(wanted: Sequence[Pulls]) -> dict[int, Reply]:
        replies = {model: Reply(correct[model, queries]) for model, queries in wanted}
        if has_failure and num_asks == 2:
            model, queries = wanted[0]
            replies[model] = Reply(np.full(len(queries), NOT_ASKED, np.int8), has_failed=True)
        return replies

    search = Search(policy, LIVE.num_models, LIVE.num_queries, LIVE.budget, answer, seed=SEED, run=run, on_ask=note)
    search.run()
    return num_idle


def _graded(problem: Problem) -> Race:
    """Models from bad to good."""
    return _drawn(problem, np.linspace(0.3, 0.6, problem.num_models))


def _drawn(problem: Problem, accuracy: NDArray[np.float64]) -> Race:
    draws = np.random.default_rng(SEED).random((problem.num_models, problem.num_queries))
    return _race(draws < accuracy[:, None])


def _race(correct: NDArray[np.generic]) -> Race:
    return Race(correct.astype(np.uint8), *np.zeros((2, len(correct))))


def _words(problem: Problem) -> str:
    return f"{problem.num_models} models, {problem.num_queries} queries, {problem.budget} pulls"
