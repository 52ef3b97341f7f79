"""What have watched outputs grown by since they were looked at last?"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vine import config
from vine.names import AttemptId
from vine_worker import actions as act
from vine_worker import mistakes
from vine_worker.sandbox import Sandbox


class Growth:
    """Reads them on a thread of its own; reports `Grown`."""

    def __init__(self, sandbox: Callable[[AttemptId], Sandbox], report: Callable[[object], None]) -> None:
        self._sandbox = sandbox
        self._report = report  # takes local events, from any thread
        self._threads = ThreadPoolExecutor(1, "growth")

    def look(self, action: act.LookAtOutputs) -> None:
        self._threads.submit(self._look, action)

    def _look(self, action: act.LookAtOutputs) -> None:
        with mistakes.told_to(self._report):
            parts = []
            for output in action.outputs:
                added = _added(self._sandbox(output.attempt).work / output.name, output.told_bytes)
                if added is not None:
                    parts.append((output.attempt, output.file_id, *added))
            self._report(act.Grown(tuple(parts)))

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)


def _added(path: Path, told_bytes: int) -> tuple[int, bytes] | None:
    """Where what is new begins, and the first of it; one that has become shorter is all new.

    None where there is nothing new, or no plain file that is the task's own: what a link leads to is somebody else's.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None
        offset = told_bytes if status.st_size >= told_bytes else 0
        data = os.pread(descriptor, config.watch_bytes_max, offset)
    finally:
        os.close(descriptor)
    return (offset, data) if data else None
