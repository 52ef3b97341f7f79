"""How are files of the staging folder removed without holding up the loop?"""

from __future__ import annotations

import logging
import os
import queue
import threading
from pathlib import Path

from vine.content.folders import remove

_log = logging.getLogger(__name__)


class Chores:
    """Renaming takes no time and is done at once; freeing the blocks of a large file is left to a thread."""

    def __init__(self, staging: Path) -> None:
        self._staging = staging.resolve()
        self._trashed = 0
        self._trash: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def remove(self, path: str) -> None:
        """Remove a file or folder; its name is free when this returns. One that its reader has removed is fine."""
        assert self._is_staged(path), f"{path} is not of the staging folder"
        self._trashed += 1
        trash = self._staging / f".trash-{self._trashed}"
        try:
            os.rename(path, trash)
        except FileNotFoundError:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._empty, name="chores", daemon=True)
            self._thread.start()
        self._trash.put(trash)

    def close(self) -> None:
        """Remove what is to be removed, and end."""
        if self._thread is not None:
            self._trash.put(None)
            self._thread.join()

    def _is_staged(self, path: str) -> bool:
        return self._staging in Path(os.path.abspath(path)).parents

    def _empty(self) -> None:
        while (path := self._trash.get()) is not None:
            try:
                remove(path)
            except OSError as error:
                _log.warning("%s stays behind: %s", path, error)
