"""What has this process used, of processors and memory?"""

from __future__ import annotations

import os
import resource


def cpu_s() -> float:
    """Seconds of processors until now, with those of the processes that it has waited for."""
    return sum(os.times()[:4])


def most_kb() -> int:
    """The most memory since it was counted anew, or since it began."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def count_most_anew() -> None:
    """OSError where the kernel cannot."""
    with open("/proc/self/clear_refs", "wb") as file:
        file.write(b"5")


def own_kb() -> int:
    """The memory of this process. Of files that are mapped much may be resident, and none of it need stay."""
    with open("/proc/self/statm", "rb") as file:
        _, resident, of_files, *_ = map(int, file.read().split())
    return (resident - of_files) * (resource.getpagesize() >> 10)
