"""How are files copied and removed with as little as possible to wait for?"""

from __future__ import annotations

import logging
import os
import queue
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from vine.content.folders import remove
from vine.content.whole import write_whole

_log = logging.getLogger(__name__)


class Chores:
    """The loop's errands among files. Links and renames take no time; freeing a large file's blocks does."""

    def __init__(self, staging: Path) -> None:
        self._staging = staging.resolve()
        self._names = 0
        self._trash: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def copy(self, path: str, second: str) -> None:
        """Let what lies at `path` lie at `second`, in the staging folder, too when this returns.

        Of what lies there itself, where nobody changes files, a second name is enough. Users' files are copied while
        the loop waits: it happens when a large result has the bytes of an output.
        """
        assert self._is_staged(second), f"{second} is not of the staging folder"
        shared = self._is_staged(path)
        fresh = self._aside(Path(second), "new")
        try:
            _duplicate(path, str(fresh), os.link if shared else shutil.copyfile)
            os.replace(fresh, second)
        except OSError as error:
            _log.error("%s cannot be copied to %s: %s", path, second, error)
            if os.path.lexists(fresh):
                remove(fresh)

    def write(self, path: str, data: bytes) -> None:
        """Let these few bytes lie at `path`, in the staging folder."""
        assert self._is_staged(path), f"{path} is not of the staging folder"
        try:
            write_whole(Path(path), data)
        except OSError as error:
            _log.error("%s cannot be written: %s", path, error)

    def unlink(self, path: str) -> None:
        """Remove a user's file or folder, that was declared to go; its name is free when this returns."""
        self._throw_away(path, self._aside(Path(path), "gone"))

    def remove(self, path: str) -> None:
        """Remove a file or folder; its name is free when this returns. One that its reader has removed is fine."""
        assert self._is_staged(path), f"{path} is not of the staging folder"
        self._throw_away(path, self._aside(self._staging / "it", "gone"))

    def _aside(self, place: Path, what: str) -> Path:
        """A name beside this one, of a length that every file system takes, which nobody else has."""
        self._names += 1
        return place.parent / f".vine-{os.getpid()}-{self._names}.{what}"

    def _throw_away(self, path: str, trash: Path) -> None:
        try:
            os.rename(path, trash)
        except FileNotFoundError:
            return
        except OSError as error:
            _log.warning("%s stays behind: %s", path, error)
            return
        self._have_removed(trash)

    def _have_removed(self, path: Path) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._empty, name="chores", daemon=True)
            self._thread.start()
        self._trash.put(path)

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


def _duplicate(path: str, second: str, duplicate_file: Callable[[str, str], object]) -> None:
    if os.path.isdir(path):
        shutil.copytree(path, second, symlinks=True, copy_function=duplicate_file)
    else:
        duplicate_file(path, second)
