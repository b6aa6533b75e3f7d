"""Policies that mean ill, scored from their file to their result on hidden tensors."""

import re
import time

import psutil
import pytest
from hostile import export_here, make_board, policy_file, policy_text
from needs import needs_bwrap

from gembench.leaderboard import scoring
from gembench.leaderboard.benchmark import open_races
from gembench.leaderboard.policy_file import PolicyFileError
from gembench.leaderboard.renumbering import with_models_renumbered
from gembench.leaderboard.result_file import to_json
from gembench.leaderboard.scoring import score_file

pytestmark = needs_bwrap


@pytest.fixture
def board(tmp_path):
    return make_board(tmp_path / "hidden")


def score(board, text, **limits):
    return score_file(board, open_races(board), policy_file(text), **limits)


def failure_of_score(board, text, **limits):
    """The message; and whatever has been started for it has ended."""
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(PolicyFileError) as failed:
        score(board, text, **limits)
    started = set(psutil.Process().children(recursive=True)) - before
    _, alive = psutil.wait_procs(started, timeout=10)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    message = str(failed.value)
    assert message.startswith("attack.py: ")
    assert message.isprintable()
    return message


def test_a_model_whose_number_is_written_down_is_another_in_each_tensor_and_file(tmp_path):
    board = make_board(tmp_path / "hidden", num_models=12)
    (race,) = open_races(board)
    text = policy_text(scores="-jnp.arange(problem.num_models)")
    # Of a few files, one whose first model is not the first of the tensor.
    text = next(
        changed
        for changed in (f"{text}\n# {number}" for number in range(20))
        if with_models_renumbered(race, policy_file(changed).sha256).models[0] != race.models[0]
    )
    (cell,) = score(board, text).scores.cells
    first = with_models_renumbered(race, policy_file(text).sha256).models[0]
    assert set(cell.accuracy.tolist()) == {race.accuracy[race.models.index(first)]}


def test_nothing_of_a_hidden_tensor_but_its_digest_stands_in_a_result(board, tmp_path):
    result = to_json(score(board, policy_text()))
    assert board.tensors[0].digest in result
    assert str(tmp_path) not in result
    assert not re.search(r"planted|hidden", result)


def test_nothing_of_a_hidden_tensor_stands_in_a_message(board, tmp_path):
    twice = {"models": "jnp.zeros(num_models, jnp.int32)"}
    message = failure_of_score(board, policy_text(**twice))
    assert "named one model twice" in message
    assert str(tmp_path) not in message
    assert not re.search(r"planted|hidden", message)


def test_a_replay_without_an_end_is_ended_in_time(board):
    endless = "num_each += jnp.minimum(0, lax.while_loop(lambda n: n >= 0, lambda n: (n + 1) & 1023, step.repeat))"
    start = time.monotonic()
    assert "its replay took longer than 8 s" in failure_of_score(board, policy_text(ask=endless), seconds=8)
    assert time.monotonic() - start < 40


def test_a_replay_that_wants_more_memory_than_there_is_fails_alone(board):
    # Sorted, lest the compiler sees that all of it is one number.
    hog = "num_each += jnp.minimum(0, (jnp.sort(jax.random.bits(rng_key, (2**30,)))[0] >> 1).astype(jnp.int32))"
    message = failure_of_score(board, policy_text(ask=hog), memory_bytes=3 * 2**30, seconds=100)
    assert re.search("memory", message, re.IGNORECASE)


def test_an_array_beyond_all_memory_is_refused_by_name(board):
    tebibyte = "num_each += jnp.broadcast_to(step.pulls_left, (2**40,)).min()"
    assert "the type tensor<1099511627776xi32>" in failure_of_score(board, policy_text(ask=tebibyte))


@pytest.mark.parametrize("content", [b"", b"ML\xefR" + b"\xff" * 200, b"\x00" * 10_000])
def test_programs_that_are_none_fail_alone(board, content, monkeypatch):
    def forge(file, problems, num_histories):
        head, _, _ = export_here(file.text, problems, num_histories).partition(b"\n")
        count = head.split(b'"sizes": [')[1].count(b",") + 1
        sizes = b", ".join([str(len(content)).encode()] * count)
        return re.sub(rb'"sizes": \[.*?\]', b'"sizes": [' + sizes + b"]", head) + b"\n" + content * count

    monkeypatch.setattr(scoring, "export_policy", forge)
    assert "start: is no exported program" in failure_of_score(board, policy_text())


def test_a_replay_in_too_little_memory_fails_in_one_line(board):
    """Where Python itself runs out of memory is a matter of chance, and so is what is left to say."""
    message = failure_of_score(board, policy_text(), memory_bytes=2**20)
    failures = r"replay (takes more than 1,048,576 bytes of memory|died|failed)|programs cannot be replayed"
    assert re.match(rf"attack\.py: its ({failures})", message)
    assert "\n" not in message
