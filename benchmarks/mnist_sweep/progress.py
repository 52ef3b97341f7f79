"""How does the sweep stand: a moving line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_PLAIN_INTERVAL_S = 5.0  # Between lines, where they pile up instead of replacing each other.


@dataclass(frozen=True, slots=True)
class Standing:
    """The sweep at one moment."""

    total: int
    done: int = 0
    running: int = 0
    failed: int = 0
    best: float | None = None
    manager_mb: float = 0.0
    peers_mb: float = 0.0

    def __str__(self) -> str:
        best = "-" if self.best is None else f"{self.best:.4f}"
        return (
            f"{self.running} running, {self.failed} failed, best accuracy {best}, "
            f"{self.manager_mb:.0f} MB from manager, {self.peers_mb:.0f} MB from peers"
        )


class PlainView:
    """A line when something has changed, but not more often than somebody would read."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._start_s = clock()
        self._said_s = -_PLAIN_INTERVAL_S
        self._said: Standing | None = None

    def __enter__(self) -> PlainView:
        return self

    def __exit__(self, *_: object) -> None:
        self._out.flush()

    def show(self, standing: Standing) -> None:
        now_s = self._clock() - self._start_s
        ended = standing.done + standing.failed == standing.total
        if standing == self._said or (now_s - self._said_s < _PLAIN_INTERVAL_S and not ended):
            return
        self._said, self._said_s = standing, now_s
        print(f"[{now_s:5.0f} s] {standing.done}/{standing.total} done, {standing}", file=self._out, flush=True)


class TerminalView:
    """A bar that is drawn over itself."""

    def __init__(self, console: Console) -> None:
        columns = (
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("done, {task.description}"),
            TimeElapsedColumn(),
        )
        self._progress = Progress(*columns, console=console)
        self._bar = self._progress.add_task(str(Standing(total=0)), total=None)

    def __enter__(self) -> TerminalView:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, standing: Standing) -> None:
        self._progress.update(self._bar, description=str(standing), total=standing.total, completed=standing.done)


def view() -> PlainView | TerminalView:
    """The view that fits where stdout leads."""
    console = Console()
    return TerminalView(console) if console.is_terminal else PlainView(sys.stdout)
