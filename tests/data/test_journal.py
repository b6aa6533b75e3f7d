"""The journal: what was committed survives anything, and nothing else is ever there."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time

import pytest

from gembench.data.journal import Cell, Journal
from gembench.data.outcomes import Outcome
from gembench.data.status import ModelStatus
from gembench.errors import TensorError, UsageError


def cell(query, **changes):
    values = {
        "outcome": Outcome.ANSWERED,
        "correct": query % 2,
        "score": float(query % 2),
        "response": f"answer {query}",
        "seconds": 0.25,
        "prompt_tokens": 7,
        "completion_tokens": 3,
    }
    return Cell(query=query, **{**values, **changes})


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path / "j")
    opened.add_queries([(f"q{number}", {"task": "t"}) for number in range(10)])
    opened.add_models([("a", {"downloads": 5}), ("b", {})])
    yield opened
    opened.close()


def test_cells_come_back_as_they_were_committed(journal):
    cells = [
        cell(3),
        cell(1, outcome=Outcome.TRUNCATED, correct=-1, score=None, response=""),
        cell(2, score=1 / 3, response='line\n"quoted" \x00 é'),
    ]
    journal.begin("a", {})
    journal.commit("a", cells)
    columns = journal.columns(journal.models()[0].position)
    found = [Cell(*values) for values in zip(*columns.values(), strict=True)]
    assert found == sorted(cells, key=lambda one: one.query)
    assert journal.columns(journal.models()[1].position)["query"] == ()


def test_a_row_begun_before_says_what_it_has_answered(journal):
    assert journal.begin("a", {"weights": "w"}) == frozenset()
    journal.commit("a", [cell(4), cell(7)])
    assert journal.begin("a", {"weights": "w"}) == {4, 7}
    assert journal.begin("b", {"weights": "w"}) == frozenset()


def test_a_cell_is_never_committed_twice_and_its_batch_leaves_nothing(journal):
    journal.begin("a", {})
    journal.commit("a", [cell(4)])
    with pytest.raises(TensorError, match="UNIQUE"):
        journal.commit("a", [cell(5), cell(4)])
    assert journal.begin("a", {}) == {4}


def test_a_row_is_not_gone_on_with_by_another_model_of_the_same_name(journal):
    journal.begin("a", {"weights": "1", "tokenizer": "t"})
    with pytest.raises(UsageError, match=r"row of a was begun .*: weights was 1 and is 2 now; pin its revision"):
        journal.begin("a", {"weights": "2", "tokenizer": "t"})


def test_settings_are_agreed_on_once(journal):
    journal.agree_on({"engine": {"name": "hf", "dtype": "float32"}, "suite": "smoke"})
    journal.agree_on({"suite": "smoke", "engine": {"dtype": "float32", "name": "hf"}})
    with pytest.raises(UsageError, match=r"engine was .*float32.*and is .*bfloat16.*record into another store"):
        journal.agree_on({"engine": {"name": "hf", "dtype": "bfloat16"}, "suite": "smoke"})


def test_queries_are_agreed_on_once(journal):
    journal.add_queries([(f"q{number}", {"task": "t"}) for number in range(10)])
    with pytest.raises(UsageError, match="other queries"):
        journal.add_queries([(f"q{number}", {"task": "t"}) for number in range(9)])


def test_models_may_join_later_and_keep_their_places(journal):
    journal.end("b", ModelStatus.GATED, "ask for access")
    journal.add_models([("c", {}), ("a", {"downloads": 6})])
    assert [(row.id, row.status) for row in journal.models()] == [("a", "pending"), ("b", "gated"), ("c", "pending")]
    assert journal.models()[0].coordinates == {"downloads": 6}
    assert journal.models()[1].message == "ask for access"


def test_a_forgotten_row_is_pending_and_empty(journal):
    journal.begin("a", {})
    journal.commit("a", [cell(1)])
    journal.end("a", ModelStatus.OK, load_seconds=2.5)
    journal.forget("a")
    row = journal.models()[0]
    assert row.status == ModelStatus.PENDING
    assert journal.num_cells(row.position) == 0


def test_a_note_says_what_it_was_last_told_and_outlives_the_process(journal):
    assert journal.noted("search") is None
    journal.note("search", {"models": ["a", "b"], "before": [3, 1.5]})
    journal.note("search", {"models": ["a"], "seed": None})
    journal.note("other", "é")
    journal.close()
    again = Journal(journal.path)
    assert again.noted("search") == {"models": ["a"], "seed": None}
    assert again.noted("other") == "é"
    again.close()


def test_notes_are_no_settings(journal):
    journal.agree_on({"suite": "smoke"})
    journal.note("suite", "another")
    assert journal.settings == {"suite": "smoke"}
    journal.agree_on({"suite": "smoke"})


def test_every_load_and_every_cell_is_added_to_what_a_model_cost(journal):
    journal.commit("a", [cell(0, seconds=0.5), cell(1, seconds=0.25)])
    journal.end("a", ModelStatus.OK, load_seconds=2.0)
    journal.end("a", ModelStatus.PENDING)
    journal.commit("a", [cell(2, outcome=Outcome.UNGRADED, correct=-1, score=None, seconds=1.0)])
    journal.end("a", ModelStatus.OK, load_seconds=3.5)
    journal.end("a", ModelStatus.OK)
    assert journal.costs() == {"a": (3, 1.75, 2, 5.5), "b": (0, 0.0, 0, 0.0)}
    # The tensor holds the last load alone.
    assert journal.models()[0].load_seconds == 3.5


def test_loads_of_a_forgotten_row_were_paid_for_all_the_same(journal):
    journal.commit("a", [cell(0)])
    journal.end("a", ModelStatus.OK, load_seconds=2.0)
    journal.forget("a")
    assert journal.costs()["a"] == (0, 0.0, 1, 2.0)


def test_what_was_right_wrong_and_ungraded_is_told_by_query(journal):
    journal.commit("b", [cell(3), cell(0), cell(5, outcome=Outcome.TRUNCATED, correct=-1, score=None)])
    position = {row.id: row.position for row in journal.models()}
    assert dict(journal.correct(position["b"])) == {0: 0, 3: 1, 5: -1}
    assert journal.correct(position["a"]) == []


def test_a_second_writer_is_refused_while_the_first_is_there(journal):
    with pytest.raises(TensorError, match="another recording is writing there"):
        Journal(journal.path)
    journal.close()
    Journal(journal.path).close()


def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "j"
    path.write_text("my notes, long enough to be looked at as a database header, and more of them\n" * 20)
    before = path.read_bytes()
    with pytest.raises(TensorError, match="not a database"):
        Journal(path)
    assert path.read_bytes() == before


def test_another_programs_database_is_refused(tmp_path):
    connection = sqlite3.connect(tmp_path / "j")
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(TensorError, match="no journal of a recording"):
        Journal(tmp_path / "j")


def test_a_journal_of_another_version_is_refused(journal):
    journal.close()
    connection = sqlite3.connect(journal.path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(TensorError, match="another version of gembench"):
        Journal(journal.path)


def test_a_file_without_tables_is_the_start_of_a_journal(tmp_path):
    sqlite3.connect(tmp_path / "j").executescript("PRAGMA journal_mode = WAL").connection.close()
    (tmp_path / "empty").touch()
    for name in ("j", "empty"):
        Journal(tmp_path / name).close()
        Journal(tmp_path / name).close()


WRITER = """
    import sys
    from gembench.data.journal import Cell, Journal
    from gembench.data.outcomes import Outcome
    journal = Journal(__import__("pathlib").Path(sys.argv[1]))
    journal.add_queries((f"q{n}", {}) for n in range(100_000))
    journal.add_models([("a", {})])
    first = len(journal.begin("a", {}))
    while True:
        batch = [Cell(q, Outcome.ANSWERED, 1, 1.0, "x" * 500, 0.0, 0, 0) for q in range(first, first + 64)]
        print(f"begin {first}", flush=True)
        journal.commit("a", batch)
        first += 64
        print(f"done {first}", flush=True)
"""


def start_writer(path):
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(WRITER), path], stdout=subprocess.PIPE, text=True)


def test_a_writer_killed_at_any_instant_leaves_whole_batches_only(tmp_path):
    path = tmp_path / "j"
    committed = 0
    for kill in range(20):
        writer = start_writer(path)
        assert writer.stdout.readline() == f"begin {committed}\n"
        time.sleep(0.0037 * kill)
        writer.kill()
        said = writer.stdout.read().split()
        writer.wait()
        writer.stdout.close()
        promised = max([committed, *(int(word) for word in said if word.isdigit())])
        journal = Journal(path)
        found = journal.begin("a", {})
        journal.close()
        assert found == frozenset(range(len(found))), "a row has holes"
        assert len(found) % 64 == 0, "half a batch"
        # What was promised is there, and at most the batch in flight more.
        assert promised <= len(found) <= promised + 64
        committed = len(found)
    assert committed > 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_keeps_what_was_committed_and_says_what_to_do(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        journal = Journal(disk / "j")
        journal.add_queries((f"q{number}", {}) for number in range(10_000))
        journal.add_models([("a", {})])
        journal.begin("a", {})
        batches = [
            [cell(64 * count + number, response="x" * 500) for number in range(64)] for count in range(10_000 // 64)
        ]
        count = 0

        def commit_all():
            nonlocal count
            for batch in batches:
                journal.commit("a", batch)
                count += 1

        with pytest.raises(TensorError, match="full; what was committed before is safe"):
            commit_all()
        journal.close()
        again = Journal(disk / "j")
        assert again.begin("a", {}) == frozenset(range(64 * count))
        again.close()
        assert count > 3
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_stopped_writer_lets_go_of_the_journal(tmp_path):
    writer = start_writer(tmp_path / "j")
    writer.stdout.readline()
    writer.send_signal(signal.SIGTERM)
    writer.wait()
    writer.stdout.close()
    Journal(tmp_path / "j").close()
