"""The journal of a recording: every cell that was paid for, in an SQLite file, safe against `kill -9`.

A tensor holds one chunk a row, so that writing 64 cells into it would rewrite the row, and eight variables are never
changed at one instant. The journal takes a batch of cells as one transaction; the tensor is made from it.
"""

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gembench.data.outcomes import Outcome
from gembench.data.status import ModelStatus
from gembench.errors import TensorError, UsageError

JOURNAL_VERSION = 2
_APPLICATION_ID = 0x67656D62  # "gemb": tells our files from other SQLite files.

_TABLES = """
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE note (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE query (position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, coordinates TEXT NOT NULL);
CREATE TABLE model (
    position INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    coordinates TEXT NOT NULL,
    fingerprint TEXT,
    status TEXT NOT NULL,
    message TEXT NOT NULL,
    load_seconds REAL,
    num_loads INTEGER NOT NULL DEFAULT 0,
    seconds_of_loads REAL NOT NULL DEFAULT 0
);
CREATE TABLE cell (
    model INTEGER NOT NULL REFERENCES model (position),
    query INTEGER NOT NULL REFERENCES query (position),
    outcome INTEGER NOT NULL,
    correct INTEGER NOT NULL,
    score REAL,
    response TEXT NOT NULL,
    seconds REAL NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    PRIMARY KEY (model, query)
) WITHOUT ROWID;
"""


class Cell(NamedTuple):
    """One query that one model was asked.

    Attributes:
        query: its position among the recording's queries.
        outcome: what became of it.
        correct: 1 right, 0 wrong, -1 where the outcome is not `ANSWERED`.
        score: in [0, 1]; None where the outcome is not `ANSWERED`.
        response: what the model said, so that it can be graded again.
        seconds: the engine's time that it took.
        prompt_tokens: tokens that went in.
        completion_tokens: tokens that came out.
    """

    query: int
    outcome: Outcome
    correct: int
    score: float | None
    response: str
    seconds: float
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class ModelRow:
    """What the journal knows of a model, beside its cells.

    Attributes:
        position: its row in the tensor.
        id: its name.
        coordinates: what else is known of it.
        fingerprint: digests of what its answers depend on; None until it was first loaded.
        status: what became of it.
        message: why it could not be measured.
        load_seconds: what the last load took.
    """

    position: int
    id: str
    coordinates: Mapping[str, Any]
    fingerprint: Mapping[str, str] | None
    status: ModelStatus
    message: str
    load_seconds: float | None


class ModelCost(NamedTuple):
    """What a model has cost: its cells and loads, and the seconds that they took."""

    num_cells: int
    cell_seconds: float
    num_loads: int
    load_seconds: float


class Journal:
    """An open journal, held by this process alone. Methods may be called from any thread; each is one transaction.

    Raises:
        TensorError: the file cannot be read or written, or another process holds it; nothing is half-written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        with self._explained():
            # One writer for good: the lock is the kernel's, so it goes with the process however that ends.
            self._connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
            try:
                self._set_up()
            except BaseException:
                self._connection.close()
                raise

    def _set_up(self) -> None:
        self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        # A process that was killed while it made the file leaves one without tables.
        (is_new,) = self._connection.execute("SELECT count(*) = 0 FROM sqlite_master").fetchone()
        if not is_new and self._pragma("application_id") != _APPLICATION_ID:
            raise TensorError(f"{self.path}: this is no journal of a recording; move it away, or record elsewhere.")
        self._connection.execute("PRAGMA journal_mode = WAL")
        # In WAL mode a killed process loses nothing and a lost power supply at most the last batches.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        if is_new:
            with self._transaction() as connection:
                connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {JOURNAL_VERSION}")
                for statement in _TABLES.split(";\n"):
                    connection.execute(statement)
        if self._pragma("user_version") != JOURNAL_VERSION:
            raise TensorError(f"{self.path}: another version of gembench wrote this journal; finish it with that one.")

    def _pragma(self, name: str) -> int:
        (value,) = self._connection.execute(f"PRAGMA {name}").fetchone()
        return int(value)

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing, even if the process is killed in the middle."""
        with self._lock, self._explained():
            self._connection.execute("BEGIN EXCLUSIVE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk makes SQLite roll back by itself, and a second time would be an error of its own.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if "locked" in str(error):
                raise TensorError(
                    f"{self.path}: another recording is writing there; wait for it, or stop it."
                ) from error
            raise TensorError(
                f"{self.path}: {error}; what was committed before is safe: free the disk or mend the folder, then give "
                f"the same command again."
            ) from error

    def agree_on(self, settings: Mapping[str, Any]) -> None:
        """Write down the settings of the whole recording, or make sure that they are the ones written down.

        Raises:
            UsageError: rows made under other settings are here.
        """
        with self._transaction() as connection:
            written = dict(connection.execute("SELECT name, value FROM setting"))
            wanted = {name: json.dumps(value, sort_keys=True) for name, value in settings.items()}
            if not written:
                connection.executemany("INSERT INTO setting VALUES (?, ?)", wanted.items())
            elif written != wanted:
                raise UsageError(f"{self.path}: {_first_difference(written, wanted)}; record into another store.")

    @property
    def settings(self) -> dict[str, Any]:
        """What `agree_on` wrote down."""
        with self._transaction() as connection:
            return {name: json.loads(value) for name, value in connection.execute("SELECT name, value FROM setting")}

    def note(self, name: str, value: Any) -> None:
        """Write down something that the rows do not depend on, in place of what the note said before."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, json.dumps(value, sort_keys=True)))

    def noted(self, name: str) -> Any:
        """What a note says; None if there is none."""
        with self._transaction() as connection:
            row = connection.execute("SELECT value FROM note WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def add_queries(self, queries: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Write down the queries, (id, coordinates) each, or make sure that they are the ones written down.

        Raises:
            UsageError: other queries are here.
        """
        wanted = [(position, name, json.dumps(columns)) for position, (name, columns) in enumerate(queries)]
        with self._transaction() as connection:
            written = connection.execute("SELECT position, id, coordinates FROM query ORDER BY position").fetchall()
            if not written:
                connection.executemany("INSERT INTO query VALUES (?, ?, ?)", wanted)
            elif written != wanted:
                raise UsageError(f"{self.path}: holds answers to other queries; record this suite into another store.")

    def queries(self) -> list[tuple[str, dict[str, Any]]]:
        """The queries, (id, coordinates) each, in their order."""
        with self._transaction() as connection:
            rows = connection.execute("SELECT id, coordinates FROM query ORDER BY position")
            return [(name, json.loads(columns)) for name, columns in rows]

    def add_models(self, models: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Make sure that there is a row for each model, (id, coordinates); new ones come after those already here."""
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO model (id, coordinates, status, message) VALUES (?, ?, 'pending', '') "
                "ON CONFLICT (id) DO UPDATE SET coordinates = excluded.coordinates",
                [(name, json.dumps(columns)) for name, columns in models],
            )

    def models(self) -> list[ModelRow]:
        """The models, in the order of their positions."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT position, id, coordinates, fingerprint, status, message, load_seconds FROM model "
                "ORDER BY position"
            )
            return [
                ModelRow(
                    position,
                    name,
                    json.loads(columns),
                    json.loads(fingerprint) if fingerprint else None,
                    ModelStatus(status),
                    message,
                    seconds,
                )
                for position, name, columns, fingerprint, status, message, seconds in rows
            ]

    def begin(self, model: str, fingerprint: Mapping[str, str]) -> frozenset[int]:
        """Write down what a model's row is made with; returns the queries that it has answered already.

        Raises:
            UsageError: the row was begun with another fingerprint.
        """
        wanted = dict(sorted(fingerprint.items()))
        with self._transaction() as connection:
            position, written = connection.execute(
                "SELECT position, fingerprint FROM model WHERE id = ?", (model,)
            ).fetchone()
            if written is not None and json.loads(written) != wanted:
                difference = _first_difference(json.loads(written), wanted)
                raise UsageError(
                    f"{self.path}: the row of {model} was begun with another model of that name: {difference}; pin its "
                    f"revision, or record it into another store."
                )
            connection.execute("UPDATE model SET fingerprint = ? WHERE position = ?", (json.dumps(wanted), position))
            return frozenset(
                query for (query,) in connection.execute("SELECT query FROM cell WHERE model = ?", (position,))
            )

    def commit(self, model: str, cells: Sequence[Cell]) -> None:
        """Add cells to a model's row: all of them or none.

        Raises:
            TensorError: one of them was committed before, or the disk does not take them.
        """
        with self._transaction() as connection:
            (position,) = connection.execute("SELECT position FROM model WHERE id = ?", (model,)).fetchone()
            connection.executemany(
                "INSERT INTO cell VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(position, query, int(outcome), *others) for query, outcome, *others in cells],
            )

    def end(self, model: str, status: ModelStatus, message: str = "", load_seconds: float | None = None) -> None:
        """Write down what became of a model, and how long it took to load if it was."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE model SET status = ?, message = ?, load_seconds = coalesce(?, load_seconds), "
                "num_loads = num_loads + ?, seconds_of_loads = seconds_of_loads + ? WHERE id = ?",
                (status.value, message, load_seconds, load_seconds is not None, load_seconds or 0.0, model),
            )

    def forget(self, model: str) -> int:
        """Take back a model's cells, which cannot be trusted, so that it is recorded again; returns how many."""
        with self._transaction() as connection:
            (position,) = connection.execute("SELECT position FROM model WHERE id = ?", (model,)).fetchone()
            num_cells = connection.execute("DELETE FROM cell WHERE model = ?", (position,)).rowcount
            connection.execute("UPDATE model SET status = 'pending', message = '' WHERE position = ?", (position,))
            return num_cells

    def num_cells(self, position: int) -> int:
        """How many cells the model at a position has."""
        with self._transaction() as connection:
            (count,) = connection.execute("SELECT count(*) FROM cell WHERE model = ?", (position,)).fetchone()
            return int(count)

    def costs(self) -> dict[str, ModelCost]:
        """What each model has cost so far, by its id."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT id, count(query), coalesce(sum(seconds), 0.0), num_loads, seconds_of_loads FROM model "
                "LEFT JOIN cell ON cell.model = model.position GROUP BY model.position ORDER BY model.position"
            )
            return {name: ModelCost(*columns) for name, *columns in rows}

    def correct(self, position: int) -> Sequence[tuple[int, int]]:
        """What became of the queries that the model at a position was asked: (query, `Cell.correct`) each."""
        with self._transaction() as connection:
            return connection.execute("SELECT query, correct FROM cell WHERE model = ?", (position,)).fetchall()

    def columns(self, position: int) -> Mapping[str, Sequence[Any]]:
        """The cells of the model at a position, by query: the fields of `Cell`, each with a value a cell."""
        names = Cell._fields
        with self._transaction() as connection:
            rows = connection.execute(
                f"SELECT {', '.join(names)} FROM cell WHERE model = ? ORDER BY query", (position,)
            ).fetchall()
        return dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())


def _first_difference(written: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    names = sorted(name for name in {*written, *wanted} if written.get(name) != wanted.get(name))
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    name = names[0]
    return f"{name} was {written.get(name, 'not set')} and is {wanted.get(name, 'not set')} now{more}"
