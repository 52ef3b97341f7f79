"""Is there room for more: the one place that says no to bytes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from vine import config
from vine.errors import DiskFull


class Budget:
    """The bytes that a folder may hold and holds; its owner's lock guards it.

    `make_room(bytes)` is asked for what is lacking before anything is refused: it gives up what is least needed.
    """

    def __init__(self, root: Path, capacity_bytes: int | None, make_room: Callable[[int], None]) -> None:
        self._root = root
        self._capacity_bytes = capacity_bytes
        self._make_room = make_room
        self.used_bytes = 0

    def reserve(self, size: int, on_disk_already: bool = False) -> None:
        """Count `size` bytes more; DiskFull if they do not fit the budget or, to be written yet, the disk."""
        lacking = size - self._free(on_disk_already)
        if lacking > 0:
            self._make_room(lacking)
        free = self._free(on_disk_already)
        if size > free:
            raise DiskFull(
                f"{self._root} has room for {free} of {size} bytes: free space there, "
                "or give the worker a larger --disk or another --workspace"
            )
        self.used_bytes += size

    def give_back(self, size: int) -> None:
        self.used_bytes -= size
        assert self.used_bytes >= 0, "no byte is given back twice"

    def free_bytes(self) -> int:
        """What still fits, into the budget and onto the disk."""
        return self._free(on_disk_already=False)

    def _free(self, on_disk_already: bool) -> int:
        free = 2**63 - 1 if self._capacity_bytes is None else self._capacity_bytes - self.used_bytes
        if not on_disk_already:
            disk = os.statvfs(self._root)
            free = min(free, disk.f_bavail * disk.f_frsize - config.disk_reserve_bytes)
        return max(0, free)
