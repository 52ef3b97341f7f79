"""Is there room for more: the one place that says no to bytes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from vine import config
from vine.errors import DiskFull

Totals = tuple["int | None", int]  # what a folder may hold (None: all that the disk has), and what it holds


class Budget:
    """What a folder may hold: the sum of what those who share it were given, and never the disk's last bytes."""

    def __init__(self, root: Path, totals: Callable[[], Totals]) -> None:
        self._root = root
        self._totals = totals

    def free_bytes(self, on_disk_already: bool = False) -> int:
        """What still fits, into the budget and (of what is yet to be written) onto the disk; below 0 if too much is."""
        capacity, used = self._totals()
        free = 2**63 - 1 if capacity is None else capacity - used
        if not on_disk_already:
            disk = os.statvfs(self._root)
            free = min(free, disk.f_bavail * disk.f_frsize - config.disk_reserve_bytes)
        return free

    def refusal(self, size: int, on_disk_already: bool) -> DiskFull:
        free = max(0, self.free_bytes(on_disk_already))
        return DiskFull(
            f"{self._root} has room for {free} of {size} bytes: free space there, "
            "or give the worker a larger --disk or another --workspace"
        )
