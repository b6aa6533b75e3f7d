"""Trials of a made-up measure: no policy is replayed."""

import json
import resource
import signal
from pathlib import Path

import numpy as np
import pytest

from gembench.errors import UsageError
from gembench.experiment import make_policies
from gembench.tuning.space import Choices, NumberRange, Space
from gembench.tuning.study import StudyFileError, open_study

SPACE = Space("gem", (NumberRange("keep", 0.5, 0.9, False), NumberRange("tilt", -0.9, 1.0, False)))
NUM_RACES = 8
ASKED = {"policy": "gem", "seed": 0}


def measure(policy, race):
    """Lowest at keep 0.6 and tilt 0.5; the races differ alike for all policies."""
    ((_, made),) = make_policies([policy]).items()
    return 10 * (made.keep - 0.6) ** 2 + (made.tilt - 0.5) ** 2 + np.sin(race)


def run(study, num_trials, measure=measure):
    return [study.run_trial(measure, NUM_RACES) for _ in range(num_trials)]


def trials_of(path, num_trials, seed=0):
    with open_study(path, SPACE, seed, ASKED) as study:
        run(study, num_trials)
        return study.trials


def test_the_best_setting_of_a_bowl_is_found():
    """Of 40 settings drawn at random none is so near with probability (1 - 0.2 * 0.15)^40 = 0.3; the seed is fixed."""
    best = min((trial for trial in trials_of(None, 40) if not trial.is_stopped), key=lambda trial: trial.ratio)
    ((_, policy),) = make_policies([best.policy]).items()
    assert policy.keep == pytest.approx(0.6, abs=0.04)
    assert policy.tilt == pytest.approx(0.5, abs=0.15)


def test_a_trial_s_ratio_is_the_geometric_mean_over_its_races():
    (trial,) = trials_of(None, 1)
    expected = [measure(trial.policy, race) for race in range(NUM_RACES)]
    assert trial.log_ratios == pytest.approx(expected)
    assert trial.ratio == pytest.approx(np.exp(np.mean(expected)))


def test_the_same_seed_makes_the_same_trials_in_a_file_or_without_and_another_seed_others(tmp_path):
    trials = trials_of(None, 15)
    assert trials_of(None, 15) == trials == trials_of(tmp_path / "study", 15)
    assert not {trial.policy for trial in trials} & {trial.policy for trial in trials_of(None, 15, seed=1)}


def test_trials_that_were_interrupted_and_gone_on_with_are_those_of_one_go(tmp_path):
    path = tmp_path / "study"

    def interrupt(policy, race):
        if race == 3:
            raise KeyboardInterrupt
        return measure(policy, race)

    for num_trials in (0, 4, 9):
        with open_study(path, SPACE, 0, ASKED) as study:
            run(study, num_trials)
            with pytest.raises(KeyboardInterrupt):
                study.run_trial(interrupt, NUM_RACES)
    with open_study(path, SPACE, 0, ASKED) as study:
        assert len(study.trials) == 13
        run(study, 7)
        assert study.trials == trials_of(None, 20)


def test_a_process_that_is_killed_amid_a_write_loses_the_trial_in_flight_alone(tmp_path):
    path = tmp_path / "study"
    whole = trials_of(path, 6)
    lines = path.read_bytes().splitlines(keepends=True)
    for cut in (1, 7, 30):
        path.write_bytes(b"".join(lines)[:-cut])
        with open_study(path, SPACE, 0, ASKED) as study:
            assert study.trials == whole[: len(study.trials)]
            assert len(study.trials) == 5
            run(study, 1)
            assert study.trials == whole
        path.write_bytes(b"".join(lines))


def test_a_setting_that_is_worse_on_every_race_is_stopped_at_the_fourth():
    """One sign in all of n races has p = 2^-n one-sided: under 0.1 from the fourth race on."""
    calls = []

    def good_then_bad(policy, race):
        calls.append(policy)
        return race / 100 + (0 if policy == calls[0] else 1)

    with open_study(None, SPACE, 0, ASKED) as study:
        first, second = run(study, 2, good_then_bad)
        assert study.trials == (first, second)
    assert (len(first.log_ratios), first.is_stopped) == (NUM_RACES, False)
    assert (len(second.log_ratios), second.is_stopped) == (4, True)
    assert len(calls) == NUM_RACES + 4


def test_a_setting_that_comes_again_is_not_measured_again():
    space = Space("gem", (Choices("keep", (0.5, 0.6, 0.9)),))
    calls = []

    def count(policy, race):
        calls.append((policy, race))
        return measure(policy, race)

    with open_study(None, space, 0, ASKED) as study:
        trials = run(study, 20, count)
    assert len(calls) == len(set(calls))
    assert len({(trial.policy, trial.log_ratios, trial.is_stopped) for trial in trials}) == 3


def test_whole_numbers_are_drawn_from_end_to_end():
    """Of 3 values none is missed in 40 random trials but with probability 3 (2/3)^40; the seed is fixed."""
    space = Space("doubly_robust", (NumberRange("num_factors", 2, 4, False),))
    with open_study(None, space, 0, ASKED) as study:
        policies = {study.run_trial(lambda policy, race: 0.0, 1).policy for _ in range(40)}
    assert policies == {f"doubly_robust:num_factors={number}" for number in (2, 3, 4)}


def test_what_is_kept_is_there_in_the_next_command(tmp_path):
    with open_study(tmp_path / "study", SPACE, 0, ASKED) as study:
        assert study.kept("choice") is None
        study.keep("choice", {"winner": "gem", "value": 0.1})
    with open_study(tmp_path / "study", SPACE, 0, ASKED) as study:
        assert study.kept("choice") == {"winner": "gem", "value": 0.1}


def test_a_file_answers_one_question(tmp_path):
    trials_of(tmp_path / "study", 1)
    with (
        pytest.raises(UsageError, match="study holds the tuning of another question: other num runs, seed; name"),
        open_study(tmp_path / "study", SPACE, 0, {"num_runs": 5, **ASKED, "seed": 3}),
    ):
        pass


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"{}", b"{}\n", b'[1]\n{"op_code": 0}\n', b"\x00\xff", b"\n"])
def test_a_file_of_something_else_is_refused_and_untouched(tmp_path, content):
    path = tmp_path / "study"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="not a file of gembench tune"), open_study(path, SPACE, 0, ASKED):
        pass
    assert path.read_bytes() == content


def test_a_journal_of_another_study_is_refused(tmp_path):
    path = tmp_path / "study"
    line = {"op_code": 0, "worker_id": "w", "study_name": "mine", "directions": [1]}
    path.write_text(json.dumps(line) + "\n")
    with pytest.raises(UsageError, match="not a file of gembench tune"), open_study(path, SPACE, 0, ASKED):
        pass


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    for path, message in (
        (tmp_path, "is not a file"),
        (Path("/dev/full"), "is not a file"),
        (tmp_path / "missing" / "study", "cannot write"),
    ):
        with pytest.raises(UsageError, match=message), open_study(path, SPACE, 0, ASKED):
            pass


def test_a_file_in_use_is_refused_and_free_again_afterwards(tmp_path):
    path = tmp_path / "study"
    with (
        open_study(path, SPACE, 0, ASKED),
        pytest.raises(UsageError, match="in use by another gembench tune"),
        open_study(path, SPACE, 0, ASKED),
    ):
        pass
    trials_of(path, 1)


def test_a_disk_that_fills_up_is_one_line_and_what_was_kept_goes_on(tmp_path):
    """Files of this process may be no longer than the trials so far."""
    path = tmp_path / "study"
    trials_of(path, 3)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with open_study(path, SPACE, 0, ASKED) as study:
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 300, limits[1]))
            with pytest.raises(StudyFileError, match=r"cannot write .*study: File too large"):
                run(study, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert trials_of(path, 2) == trials_of(None, 5)
