"""How many group commits has a journal had, said outside of it: so that one whose end was cut off is found out.

SQLite takes a log that was cut for one whose last transactions had not been committed, and says nothing.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

_BYTES = 8


def tally_path(journal: Path) -> Path:
    return journal.with_suffix(".commits")


def commits_in(connection: sqlite3.Connection) -> int:
    """How many the journal itself knows of."""
    row = connection.execute("SELECT value FROM facts WHERE name = 'commits'").fetchone()
    return 0 if row is None else int(row[0])


def commits_told(journal: Path) -> int:
    """How many there were, as was noted after each; 0 where nothing was noted."""
    try:
        return int.from_bytes(tally_path(journal).read_bytes()[:_BYTES], "little")
    except FileNotFoundError:
        return 0


class Tally:
    """The file beside the journal that is written after each commit."""

    def __init__(self, journal: Path) -> None:
        self.count = 0
        self._descriptor = os.open(tally_path(journal), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def go_on_from(self, count: int) -> None:
        self.count = count
        self._write()

    def add(self) -> None:
        self.count += 1
        self._write()

    def close(self) -> None:
        os.close(self._descriptor)

    def _write(self) -> None:
        os.pwrite(self._descriptor, self.count.to_bytes(_BYTES, "little"), 0)
