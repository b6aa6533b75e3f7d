"""The trials of a tuning, by Optuna, in a file that a later command goes on with.

Trial k's setting is a function of the seed, k, and what came of the trials before it, so that a study that was
interrupted and gone on with makes the very trials of one that was not.
"""

import fcntl
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from gembench.errors import GembenchError, UsageError
from gembench.tuning.space import Dimension, NumberRange, Space

_NAME = "gembench tune"
_QUESTION, _POLICY = "question", "policy"
_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
_PRUNING_LEVEL = 0.1


class StudyFileError(GembenchError):
    """The file of a tuning cannot be written any more."""


@dataclass(frozen=True)
class Trial:
    """One setting, measured.

    Attributes:
        number: from 0 on.
        policy: the policy's canonical text.
        log_ratios: of each race that it was measured on, in their order.
        is_stopped: whether it was given up before the last race.
    """

    number: int
    policy: str
    log_ratios: tuple[float, ...]
    is_stopped: bool

    @property
    def ratio(self) -> float:
        """The geometric mean over its races."""
        return float(np.exp(np.mean(self.log_ratios)))


class Study:
    """The trials so far, and the next."""

    def __init__(self, study: optuna.Study, space: Space, seed: int) -> None:
        self._study = study
        self._space = space
        self._seed = seed
        # What was under way when an earlier command ended is begun anew.
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING)):
            study.tell(trial.number, state=TrialState.FAIL)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Those that are finished, in their order."""
        finished = self._study.get_trials(deepcopy=False, states=_FINISHED)
        return tuple(_as_trial(number, each) for number, each in enumerate(finished))

    def run_trial(self, measure: Callable[[str, int], float], num_races: int) -> Trial:
        """Make the next trial, race by race; Wilcoxon's test against the best one so far may end it early.

        Args:
            measure: gives the log ratio of a policy on a race, by its index.
            num_races: how many races there are.
        """
        known = {each.policy: each for each in self.trials}
        number = len(self._study.get_trials(deepcopy=False, states=_FINISHED))
        (seed,) = np.random.SeedSequence((self._seed, number)).generate_state(1).tolist()
        self._study.sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=False)
        trial = self._study.ask({each.key: _distribution(each) for each in self._space.dimensions})
        policy, _ = self._space.named(trial.params)
        trial.set_user_attr(_POLICY, policy)
        done = known.get(policy)  # Rounded, or of few values, settings come again.
        log_ratios: list[float] = []
        is_stopped = False
        while len(log_ratios) < num_races and not is_stopped:
            race = len(log_ratios)
            log_ratios.append(done.log_ratios[race] if done else measure(policy, race))
            trial.report(log_ratios[-1], race)
            is_stopped = len(log_ratios) < num_races and (
                len(log_ratios) == len(done.log_ratios) if done else trial.should_prune()
            )
        if is_stopped:
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, float(np.mean(log_ratios)))
        return Trial(number, policy, tuple(log_ratios), is_stopped)

    def kept(self, name: str) -> Any:
        """What was kept under a name, JSON; None if nothing was."""
        return self._study.user_attrs.get(name)

    def keep(self, name: str, value: Any) -> None:
        """Keep something that is JSON."""
        self._study.set_user_attr(name, value)


@contextmanager
def open_study(path: Path | None, space: Space, seed: int, question: Mapping[str, Any]) -> Iterator[Study]:
    """The study in a file, which no other command can use meanwhile; without a file, one that is soon forgotten.

    Args:
        path: the file, which is made if it is not there: Optuna's journal.
        space: what is tuned.
        seed: of the trials' settings.
        question: all else that decides what the trials give, JSON: a file answers one question.

    Raises:
        UsageError: the file is something else, is in use, holds the answer to another question, or cannot be written.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if path is None:
        yield Study(_optuna_study(InMemoryStorage()), space, seed)
        return
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a file; name one for --storage.")
    try:
        file = path.open("ab+")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; choose another place for --storage.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"{path} is in use by another gembench tune; wait for it.") from error
        file.seek(0)
        kept = file.read()
        if kept and not _is_journal(kept):
            raise UsageError(f"{path} is not a file of gembench tune; name another for --storage.")
        file.truncate(kept.rfind(b"\n") + 1)  # A line that was cut short, by a full disk say, was never read.
        study = _optuna_study(JournalStorage(_Journal(str(path))))
        _check_question(path, study, question)
        yield Study(study, space, seed)


class _Journal(JournalFileBackend):  # type: ignore[misc]
    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        try:
            super().append_logs(logs)
        except OSError as error:
            raise StudyFileError(f"cannot write {self._file_path}: {error.strerror}.") from error


def _optuna_study(storage: InMemoryStorage | JournalStorage) -> optuna.Study:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # Its one argument may change; it is tested here.
        pruner = optuna.pruners.WilcoxonPruner(p_threshold=_PRUNING_LEVEL)
    return optuna.create_study(study_name=_NAME, storage=storage, pruner=pruner, load_if_exists=True)


def _is_journal(content: bytes) -> bool:
    """Whether whole lines begin with the making of our study."""
    first, *others = content[: content.rfind(b"\n") + 1].splitlines() or [b""]
    try:
        [json.loads(line)["op_code"] for line in others]
        return bool(json.loads(first)["study_name"] == _NAME)
    except (ValueError, KeyError, TypeError):
        return False


def _check_question(path: Path, study: optuna.Study, question: Mapping[str, Any]) -> None:
    kept = study.user_attrs.get(_QUESTION)
    if kept is None:
        study.set_user_attr(_QUESTION, dict(question))
    elif kept != question:
        differing = [name for name in {**question, **kept} if question.get(name) != kept.get(name)]
        raise UsageError(
            f"{path} holds the tuning of another question: other {', '.join(differing).replace('_', ' ')}; name "
            f"another file for --storage."
        )


def _distribution(dimension: Dimension) -> BaseDistribution:
    if not isinstance(dimension, NumberRange):
        return CategoricalDistribution(dimension.values)
    if isinstance(dimension.low, int):
        return IntDistribution(dimension.low, int(dimension.high), log=dimension.is_log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.is_log)


def _as_trial(number: int, trial: FrozenTrial) -> Trial:
    ratios = trial.intermediate_values
    return Trial(
        number,
        trial.user_attrs[_POLICY],
        tuple(ratios[race] for race in sorted(ratios)),
        trial.state == TrialState.PRUNED,
    )
