"""May this process be forked, and what must be put right in a fork?"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_DEVICES = ("/dev/nvidia", "/dev/kfd", "/dev/dri/")  # What is open on a GPU does not survive a fork.


def hindrance() -> str:
    """Why this process cannot be forked, in words; nothing if it can."""
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        return f"it has {threads} threads after loading"  # A fork has one of them, and the locks of all.
    return gpu_in_use(_open_files())


def gpu_in_use(paths: Iterable[str]) -> str:
    """Whether one of these open files is a GPU's."""
    used = next((path for path in paths if path.startswith(_DEVICES)), None)
    return "" if used is None else f"it uses a GPU ({used})"


def _open_files() -> Iterable[str]:
    for name in os.listdir("/proc/self/fd"):
        try:
            yield os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # The folder's own, which is closed by now.


def unsettled() -> bool:
    """Whether a fork of this process would have in common with others what it must not."""
    return "numpy.random" in sys.modules  # Python's own `random` sees to itself.


def settle() -> None:
    """Puts that right, in a fork."""
    if unsettled():
        sys.modules["numpy.random"].seed()
