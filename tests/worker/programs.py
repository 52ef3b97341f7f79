"""Programs that run for live tests, started by a spawner of their own."""

from __future__ import annotations

import os
import select
from pathlib import Path

from vine_worker.programs import ProgramEnded, Programs


def shell(programs: Programs, folder: Path, command: str, after: int | None = None) -> int:
    """Starts the command with its streams in the folder's file `out`; returns the program's number."""
    null = os.open(os.devnull, os.O_RDWR)
    with (folder / "out").open("wb") as out:
        number = programs.start(
            ["/bin/sh", "-c", command], folder, dict(os.environ), (null, out.fileno(), out.fileno()), after
        )
    os.close(null)
    return number


def ends_of(programs: Programs, count: int) -> list[ProgramEnded]:
    """So many ends, in their order."""
    ended: list[ProgramEnded] = []
    while len(ended) < count:
        assert select.select([programs], [], [], 20)[0], f"only {ended} have ended"
        ended += programs.receive()
    return ended


def end_of_one(programs: Programs) -> ProgramEnded:
    (ended,) = ends_of(programs, 1)
    return ended


class Held:
    """A pipe by name, for a program to hold open: whoever holds it lives, and its end is seen without a look at pids.

    The program writes a line when it runs; after that it is `alive` until all that hold the pipe have ended.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)

    def wait_for_start(self) -> str:
        """The first line that the holder writes; blocks until it does."""
        self._pipe = self.path.open("rb", buffering=0)
        return self.next_line()

    def next_line(self) -> str:
        line = b""
        while not line.endswith(b"\n"):
            assert select.select([self._pipe], [], [], 20)[0], "it says nothing"
            part = self._pipe.read(1)
            assert part, "it ended before it said anything"
            line += part
        return line.decode().strip()

    def alive(self) -> bool:
        """Whether it lives in this moment."""
        return not select.select([self._pipe], [], [], 0)[0]

    def wait_for_end(self) -> None:
        assert select.select([self._pipe], [], [], 20)[0], "it outlives its program"
        assert self._pipe.read(1) == b"", "it went on"
        self._pipe.close()
