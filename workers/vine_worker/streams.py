"""Which streams that are too long to come back whole are kept, and where do they lie?

Those of failed tasks lie in the run's folder of logs, as far as they have room there: a person will look for them when
the worker is gone. What others have printed stays on the worker's disk, and goes with it.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections import deque
from pathlib import Path

from vine import config
from vine.content.folders import remove
from vine_worker.sandbox import Sandbox

log = logging.getLogger("vine.worker")


class KeptStreams:
    """May be used by several threads."""

    def __init__(self, near: Path, disk_bytes: float, logs: Path, prefix: str) -> None:
        """`near` is on the worker's disk, of which it has so much; `prefix` sets its own apart among the logs."""
        near_bytes = min(config.streams_kept_bytes_max, int(disk_bytes * config.streams_kept_share))
        self._near = _Shelf(near, "", near_bytes)
        self._lasting = _Shelf(logs, prefix, config.failed_streams_bytes_max)
        self._lock = threading.Lock()

    def keep(self, sandbox: Sandbox, name: str, failed: bool) -> str:
        """Takes stdout and stderr out of a sandbox; returns the folder where they are now, '' if they are not kept."""
        with self._lock:
            for shelf in (self._lasting, self._near) if failed else (self._near,):
                try:
                    folder = shelf.take(sandbox, name)
                except OSError as why:  # What a task has printed is no part of its result.
                    log.warning("the streams of %s are not kept: %s", name, why)
                    continue
                if folder is not None:
                    return str(folder)
        return ""


class _Shelf:
    """A place for so many bytes; the oldest go first."""

    def __init__(self, place: Path, prefix: str, most: int) -> None:
        self._place = place
        self._prefix = prefix  # of names there: others have things in the same folder
        self._most = most
        self._kept: deque[tuple[Path, int]] = deque()
        self._bytes = 0

    def take(self, sandbox: Sandbox, name: str) -> Path | None:
        """None if it would not fit though nothing else were there."""
        streams = [stream for stream in (sandbox.stdout, sandbox.stderr) if stream.exists()]
        size = sum(stream.stat().st_size for stream in streams)
        if size > self._most:
            return None
        while self._bytes + size > self._most:
            oldest, freed = self._kept.popleft()
            self._bytes -= freed
            remove(oldest)
        folder = self._place / f"{self._prefix}{name}"
        folder.mkdir(mode=0o700, parents=True)
        self._kept.append((folder, size))
        self._bytes += size
        for stream in streams:
            shutil.move(stream, folder / stream.name)
        return folder
