"""What the Hub said of models, kept for a day in an SQLite file of the user's cache folder.

A cache that cannot be read or written costs requests, nothing else.
"""

import json
import logging
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

MAX_AGE_SECONDS = 86_400
"""Downloads are counted over thirty days: those of yesterday still tell."""
_TABLE = """
CREATE TABLE IF NOT EXISTS fact (
    endpoint TEXT NOT NULL, repo_id TEXT NOT NULL, asked REAL NOT NULL, facts TEXT NOT NULL,
    PRIMARY KEY (endpoint, repo_id)
) WITHOUT ROWID
"""

logger = logging.getLogger(__name__)


class Facts(NamedTuple):
    """What the Hub knows of a repository, as plain values: None and "" where it knows nothing."""

    parent: str
    license: str
    downloads: int | None
    likes: int | None
    num_parameters: int | None
    created: str


class HubFacts:
    """The facts that an endpoint of the Hub told before, in a file that several processes may share."""

    def __init__(self, path: Path, endpoint: str) -> None:
        self._path = path
        self._endpoint = endpoint

    def read(self, *, max_age_seconds: float) -> Mapping[str, Facts]:
        """All facts that are at most so old, by repository."""
        try:
            if not self._path.is_file():
                return {}
            with closing(sqlite3.connect(self._path)) as file:
                rows = file.execute(
                    "SELECT repo_id, facts FROM fact WHERE endpoint = ? AND asked >= ?",
                    (self._endpoint, time.time() - max_age_seconds),
                ).fetchall()
            return {repo_id: Facts(*json.loads(facts)) for repo_id, facts in rows}
        except (OSError, sqlite3.Error, ValueError, TypeError) as error:
            logger.info("what the Hub said before cannot be read: %s", error)
            return {}

    def write(self, facts: Mapping[str, Facts]) -> None:
        """Keep what was just told."""
        rows = [(self._endpoint, repo_id, time.time(), json.dumps(one)) for repo_id, one in facts.items()]
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path)) as file, file:
                file.execute(_TABLE)
                file.executemany("INSERT OR REPLACE INTO fact VALUES (?, ?, ?, ?)", rows)
        except (OSError, sqlite3.Error) as error:
            logger.info("what the Hub said is not kept: %s", error)
