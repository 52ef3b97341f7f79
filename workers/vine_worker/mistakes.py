"""What becomes of a mistake of ours on a thread beside the worker's loop?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def told_to(report: Callable[[object], None]) -> Iterator[None]:
    """The loop hears of it, and ends: the worker must not go on as if all were well."""
    try:
        yield
    except BaseException as why:
        report(why)
        raise
