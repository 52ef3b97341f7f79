"""Where does a factory keep what it must know when it is started again, and is another one of its name at work?"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
from pathlib import Path

from vine.content.whole import write_whole
from vine.errors import UsageError


class NameTaken(UsageError):  # noqa: N818 - the family reads as what happened
    """Another factory of this name is at work."""


class FactoryPlace:
    """A folder of the run for one factory's name, locked by the process that has it."""

    def __init__(self, run_dir: Path, name: str) -> None:
        self.name = name
        self.folder = run_dir / "factories" / name
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise NameTaken(
                f"another factory called {name!r} is at work on this run: end it, or give this one another --name"
            ) from None
        except OSError as error:
            raise UsageError(f"cannot use {self.folder} ({error.strerror}): workers are accounted for there") from None
        self.generation = self._next_generation()

    def _next_generation(self) -> int:
        """How many factories have had this name, with this one: so no name of a worker is given twice."""
        path = self.folder / "generation"
        text = path.read_text() if path.exists() else ""
        generation = (int(text) if text.isdigit() else 0) + 1
        write_whole(path, str(generation).encode())
        return generation

    def close(self) -> None:
        os.close(self._lock)


def first_free_place(run_dir: Path, batch_type: str) -> FactoryPlace:
    """For a factory that was given no name: started again, it finds the one that it had."""
    for number in itertools.count(1):
        with contextlib.suppress(NameTaken):
            return FactoryPlace(run_dir, batch_type if number == 1 else f"{batch_type}-{number}")
    raise AssertionError("there is always another number")
