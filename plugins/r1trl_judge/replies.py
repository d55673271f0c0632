"""A cache of replies in an SQLite file, so that no request is sent twice."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

TABLE = "CREATE TABLE IF NOT EXISTS replies (request TEXT PRIMARY KEY, reply TEXT NOT NULL)"
BUSY_SECONDS = 60.0


class Replies:
    """The replies in a file, by key of the request; several processes may share it.

    Raises ValueError if the file cannot be read or written, or is no such cache.
    """

    def __init__(self, file: str) -> None:
        self.file = str(Path(file).expanduser())
        with self.transaction() as database:
            database.execute(TABLE)
            database.execute("SELECT request, reply FROM replies LIMIT 1")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction; batches may come from different threads."""
        try:
            with closing(sqlite3.connect(self.file, BUSY_SECONDS)) as database, database:
                yield database
        except sqlite3.Error as error:
            raise ValueError(f"cache: '{self.file}' cannot be used: {error}") from error

    def get(self, key: str) -> str | None:
        """Return the cached reply to a request, or None."""
        with self.transaction() as database:
            cursor = database.execute("SELECT reply FROM replies WHERE request = ?", (key,))
            row = cursor.fetchone()
        return row[0] if row else None

    def put(self, key: str, reply: str) -> None:
        """Store a reply, replacing an earlier one."""
        with self.transaction() as database:
            database.execute("INSERT OR REPLACE INTO replies VALUES (?, ?)", (key, reply))
