"""How long may the logs of hosts and libraries become, and how much have these printed in all?

Their processes hold them open for as long as they live, so a log that has become too long is emptied in place: its
newest part is copied to `NAME.1` beside it, over what that had, and a line in the log says so. What is printed while
the copy is made may be lost.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from vine import config
from vine_worker import process

_log = logging.getLogger("vine.worker")

_COPIED_BYTES = 1 << 20  # At once.
_LINE_BYTES_MAX = 64 << 10  # Of a line that was cut in two, what is looked through for its end.
_NOTE = "[vine: this log had become too long"


def before(path: Path) -> Path:
    """Where that lies which the log had before it was emptied."""
    return path.with_name(f"{path.name}.1")


def last_line(path: Path) -> str:
    """What was printed last, though the log may have been emptied since: our note of that is nobody's word."""
    lines = process.last_lines(path)
    said = [line for line in lines if not line.startswith(_NOTE)]
    if said:
        return said[-1]
    return process.last_line(before(path)) if lines == [_note(_kept(path))] else ""


class HostLogs:
    """What has gone of the logs that are being written. May be asked from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._written: frozenset[Path] = frozenset()  # when that was last looked at
        self._gone: dict[Path, int] = {}  # bytes of each that are not in the file any more

    def printed_bytes(self, path: Path) -> int:
        """How much has ever been printed there; 0 if there is no such file (any more)."""
        with self._lock, contextlib.suppress(OSError):
            return path.stat().st_size + self._gone.get(path, 0)
        return 0

    def trim(self, paths: Collection[Path]) -> None:
        """Empty those of the logs that are too long; `paths` are all that are being written.

        Those that were until now are looked at once more.
        """
        with self._lock:
            looked_at, self._written = self._written.union(paths), frozenset(paths)
            self._gone = {path: gone for path, gone in self._gone.items() if path in looked_at}
            for path in looked_at:
                try:
                    if path.stat().st_size > config.host_log_bytes_max // 2:
                        self._gone[path] = self._gone.get(path, 0) + _turn_over(path)
                except FileNotFoundError:
                    continue  # It was empty when its host ended.
                except OSError as why:
                    _log.warning("%s grows on: %s", path, why)


def _turn_over(path: Path) -> int:
    """Move the newest part aside; returns how many bytes have left the file, less those that were put there instead."""
    with path.open("r+b") as file:
        try:
            _keep_newest(file, path)
            said = _kept(path)
        except OSError as why:  # A full disk, say: the more it has to become shorter.
            said = f"what was printed before could not be kept: {why.strerror}"
        gone = os.fstat(file.fileno()).st_size
        file.truncate(0)
    note = f"{_note(said)}\n".encode()
    with path.open("ab") as file:
        file.write(note)
    return gone - len(note)


def _kept(path: Path) -> str:
    return f"what was printed just before is in {before(path).name}"


def _note(said: str) -> str:
    return f"{_NOTE}; {said}]"


def _keep_newest(file: BinaryIO, path: Path) -> None:
    left = config.host_log_bytes_max // 2
    file.seek(max(0, os.fstat(file.fileno()).st_size - left - 1))
    if file.tell():
        file.readline(_LINE_BYTES_MAX)  # The rest of a line that is cut in two.
    fresh = path.with_name(f"{path.name}.new")
    try:
        with fresh.open("wb") as newest:
            while left > 0 and (piece := file.read(min(left, _COPIED_BYTES))):
                newest.write(piece)
                left -= len(piece)
        os.replace(fresh, before(path))
    finally:
        fresh.unlink(missing_ok=True)
