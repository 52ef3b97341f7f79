"""How long has this thread waited for a processor: can what it sees of others' speed be believed?"""

from __future__ import annotations

import os
from pathlib import Path

_NANOSECOND = 1e-9


class Strain:
    """Of the thread that asks first, and is the only one to ask."""

    def __init__(self, statistics: Path = Path("/proc/thread-self/schedstat")) -> None:
        self._statistics = statistics
        self._descriptor: int | None = None

    def waited_s(self) -> float:
        """Seconds in which it could have run and did not, since it began; 0.0 where the kernel does not tell."""
        if self._descriptor is None:
            try:
                self._descriptor = os.open(self._statistics, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return 0.0
        # Time on a processor, time waiting for one, turns: Documentation/scheduler/sched-stats in the kernel's tree.
        return int(os.pread(self._descriptor, 128, 0).split()[1]) * _NANOSECOND

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
