"""Which sandboxes are used again: those of which nothing is left, no process of their body and no file.

A sandbox is five inodes, and ext4 passes over each one that was freed in the last minute whenever it looks for a
free one: a worker of many short commands would spend most of its time on that.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from vine_worker.sandbox import Sandbox

_NAME = "spare"  # No attempt is called so.
_MEMBERS = {"work", "tmp", "stdout", "stderr"}


class Spares:
    """Sandboxes that wait for their next body, under names that no body has heard of."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder = folder  # of all sandboxes
        self._most = most
        self._free: list[Path] = []
        self._kept = 0

    def keep(self, sandbox: Sandbox) -> bool:
        """Take the sandbox of a body of which no process is left; False if something else is, or there are enough."""
        if len(self._free) >= self._most or not self._is_as_made(sandbox):
            return False
        self._kept += 1
        place = self._folder / f"{_NAME}-{self._kept}"
        os.rename(sandbox.folder, place)
        self._free.append(place)
        return True

    def give(self, sandbox: Sandbox) -> bool:
        """Put one in the place of a sandbox that is to be made; False if there is none."""
        if not self._free:
            return False
        os.rename(self._free.pop(), sandbox.folder)
        return True

    def _is_as_made(self, sandbox: Sandbox) -> bool:
        """Whether the body has neither left a file, nor changed what was there before it, but for its streams."""
        reference = os.stat(self._folder)

        def is_ours(path: Path, mode: int) -> bool:
            status = os.lstat(path)
            known = (mode, reference.st_uid, reference.st_gid)
            return (status.st_mode, status.st_uid, status.st_gid) == known

        def is_plain(path: Path) -> bool:
            mode = stat.S_IFREG | reference.st_mode & 0o666
            return is_ours(path, mode) and os.lstat(path).st_nlink == 1

        try:
            return (
                set(os.listdir(sandbox.folder)) == _MEMBERS
                and all(
                    is_ours(folder, reference.st_mode) for folder in (sandbox.folder, sandbox.work, sandbox.scratch)
                )
                and not os.listdir(sandbox.work)
                and not os.listdir(sandbox.scratch)
                and is_plain(sandbox.stdout)
                and is_plain(sandbox.stderr)
            )
        except OSError:
            return False
