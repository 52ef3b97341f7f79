"""Progress is said when there is some, and not more often than it is read."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from benchmarks.mnist_sweep.progress import PlainView, Standing, TerminalView


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_plain_lines_come_at_intervals_and_at_the_end() -> None:
    clock, out = Clock(), StringIO()
    with PlainView(out, clock) as view:
        for now_s, done in ((0.0, 0), (1.0, 1), (6.0, 2), (6.5, 2), (20.0, 2), (20.5, 3), (21.0, 4)):
            clock.now_s = now_s
            view.show(Standing(total=4, done=done))
    said = [line.split(",")[0] for line in out.getvalue().splitlines()]
    assert said == ["[    0 s] 0/4 done", "[    6 s] 2/4 done", "[   20 s] 3/4 done", "[   21 s] 4/4 done"]


def test_a_line_says_all_that_was_asked_for() -> None:
    standing = Standing(total=4, done=1, running=2, failed=1, best=0.97321, manager_mb=95.4, peers_mb=94.6)
    assert str(standing) == "2 running, 1 failed, best accuracy 0.9732, 95 MB from manager, 95 MB from peers"


def test_the_terminal_shows_the_same() -> None:
    out = StringIO()
    with TerminalView(Console(file=out, force_terminal=True, width=160)) as view:
        view.show(Standing(total=4, done=1, running=2, best=0.5))
    assert "1/4" in out.getvalue()
    assert "2 running, 0 failed, best accuracy 0.5000" in out.getvalue()
