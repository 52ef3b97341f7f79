"""How does a user see that something is being packed?"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from vine.environments.frames import Progress

_shown = threading.Lock()  # A terminal has room for one bar.


@contextmanager
def bar(label: str) -> Iterator[Progress | None]:
    """A bar on the terminal that standard error is; elsewhere, or while another one is shown, nothing."""
    if not sys.stderr.isatty() or not _shown.acquire(blocking=False):
        yield None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = TextColumn("packing {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Bar(*columns, console=Console(stderr=True), transient=True) as shown:
            task = shown.add_task(label, total=None)
            yield lambda done, total: shown.update(task, completed=done, total=total)
    finally:
        _shown.release()
