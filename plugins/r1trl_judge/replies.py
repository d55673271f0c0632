"""Replies kept in an SQLite file, so that no judge is asked the same twice."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

TABLE = "CREATE TABLE IF NOT EXISTS replies (request TEXT PRIMARY KEY, reply TEXT NOT NULL)"
BUSY_SECONDS = 60.0


class Replies:
    """The replies in a file; several processes may share it.

    Raises ValueError where the file cannot be read or written, or is none of this kind.
    """

    def __init__(self, file: str) -> None:
        self.file = str(Path(file).expanduser())
        with self.opened() as database:
            database.execute(TABLE)
            database.execute("SELECT request, reply FROM replies LIMIT 1")

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction: each batch may come in another thread."""
        try:
            with closing(sqlite3.connect(self.file, BUSY_SECONDS)) as database, database:
                yield database
        except sqlite3.Error as error:
            raise ValueError(f"cache: '{self.file}' cannot be used: {error}") from error

    def find(self, request: str) -> str | None:
        """Return the reply to a request, by its key."""
        with self.opened() as database:
            found = database.execute("SELECT reply FROM replies WHERE request = ?", (request,))
            row = found.fetchone()
        return row[0] if row else None

    def keep(self, request: str, reply: str) -> None:
        """Keep a reply."""
        with self.opened() as database:
            database.execute("INSERT OR REPLACE INTO replies VALUES (?, ?)", (request, reply))
