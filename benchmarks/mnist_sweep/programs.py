"""How are programs started beside a run, in places of our choice, and how do all of them end?"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from vine.errors import VineError

_END_S = 15.0  # From SIGTERM to SIGKILL, over all.
_LOOK_S = 0.05  # How often a log is read while something is awaited.


class Programs:
    """They log into a folder, end with us, and are missed when they end before."""

    def __init__(self, logs: Path) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        # Nobody writes to it: its end is ours, however we end.
        self._lifeline, self._lifeline_end = os.pipe()

    def __enter__(self) -> Programs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._lifeline_end)
        os.close(self._lifeline)
        end_at = time.monotonic() + _END_S
        for program in reversed(self._running.values()):
            program.send_signal(signal.SIGTERM)
        for program in self._running.values():
            try:
                program.wait(max(0.1, end_at - time.monotonic()))
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()

    def start(
        self, name: str, words: Sequence[str], variables: Mapping[str, str] | None = None, watching: bool = False
    ) -> int:
        """Start a program in the folder of the logs; returns its process id. One that is `watching` has --parent-fd."""
        assert name not in self._running, "a program's name was used twice"
        more = ("--parent-fd", str(self._lifeline)) if watching else ()
        with self._log(name).open("wb") as log:
            program = subprocess.Popen(
                [*words, *more],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=variables,
                cwd=self._logs,
                pass_fds=(self._lifeline,) if watching else (),
                start_new_session=True,  # A Ctrl-C is ours to handle.
            )
        self._running[name] = program
        return program.pid

    def check(self) -> None:
        """VineError if one has ended: none does by itself."""
        for name, program in self._running.items():
            if program.poll() is not None:
                log = self._log(name)
                said = log.read_text(errors="replace").strip().splitlines()
                last = said[-1] if said else "it said nothing"
                raise VineError(f"{name} has ended with code {program.returncode}: {last} (log: {log})")

    def await_word(self, name: str, word: str, most_s: float) -> None:
        """Until the program has said it, at the beginning of a line; VineError if it does not, or if one has ended."""
        give_up_at = time.monotonic() + most_s
        while not any(line.startswith(word) for line in self._log(name).read_text(errors="replace").splitlines()):
            self.check()
            if time.monotonic() > give_up_at:
                raise VineError(f"{name} has not said {word!r} within {most_s:g} s (log: {self._log(name)})")
            time.sleep(_LOOK_S)

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"
