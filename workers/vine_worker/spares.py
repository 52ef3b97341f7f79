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
        self._folder = os.fspath(folder)  # of all sandboxes
        self._most = most
        self._free: list[str] = []
        self._kept = 0

    def keep(self, sandbox: Sandbox) -> bool:
        """Take the sandbox of a body of which no process is left; False if something else is, or there are enough."""
        if len(self._free) >= self._most or not self._is_as_made(sandbox):
            return False
        self._kept += 1
        place = f"{self._folder}/{_NAME}-{self._kept}"
        os.rename(sandbox.name, place)
        self._free.append(place)
        return True

    def give(self, sandbox: Sandbox) -> bool:
        """Put one in the place of a sandbox that is to be made; False if there is none."""
        if not self._free:
            return False
        os.rename(self._free.pop(), sandbox.name)
        return True

    def _is_as_made(self, sandbox: Sandbox) -> bool:
        """Whether the body has neither left a file, nor changed what was there before it, but for its streams."""
        reference = os.stat(self._folder)
        folder_mode, stream_mode = reference.st_mode, stat.S_IFREG | reference.st_mode & 0o666

        def is_ours(status: os.stat_result, mode: int) -> bool:
            return status.st_mode == mode and (status.st_uid, status.st_gid) == (reference.st_uid, reference.st_gid)

        def is_plain(name: str) -> bool:
            status = os.lstat(name)
            return is_ours(status, stream_mode) and status.st_nlink == 1

        name = sandbox.name
        folders = (sandbox.work_name, sandbox.scratch_name)
        try:
            return (
                set(os.listdir(name)) == _MEMBERS
                and all(is_ours(os.lstat(folder), folder_mode) for folder in (name, *folders))
                and not any(map(os.listdir, folders))
                and is_plain(f"{name}/stdout")
                and is_plain(f"{name}/stderr")
            )
        except OSError:
            return False
