"""What happens when, in time that passes only as it is told: a heap of events and a fixed order among equals."""

from __future__ import annotations

import heapq
from collections.abc import Callable

TICKS_PER_S = 1_000_000_000  # Whole nanoseconds, so that what is due together comes together on every machine.

Call = Callable[[], None]


class Clock:
    """Virtual time. What is due at one moment happens in the order in which it was asked for."""

    def __init__(self) -> None:
        self.ticks = 0
        self.happened = 0  # events so far
        self._events: list[tuple[int, int, Call]] = []
        self._asked = 0
        self._before_advance: list[Call] = []

    def now(self) -> float:
        """Seconds since the beginning."""
        return self.ticks / TICKS_PER_S

    def after(self, delay_s: float, call: Call) -> None:
        """Make the call when so much time has passed; 0: in this moment, after what was asked for before."""
        self._push(self.ticks + ticks(delay_s), call)

    def at(self, time_s: float, call: Call) -> None:
        """Make the call at this time, or in this moment if it has passed; never earlier than it by `now()`."""
        due = ticks(time_s)
        while due / TICKS_PER_S < time_s:
            due += 1
        self._push(max(due, self.ticks), call)

    def at_tick(self, tick: int, call: Call) -> None:
        self._push(tick, call)

    def before_advance(self, call: Call) -> None:
        """Make this call at the end of each moment in which something has happened. It may ask for more of it."""
        self._before_advance.append(call)

    def run(self, until: Callable[[], bool] = lambda: False, end_s: float = float("inf")) -> bool:
        """Let things happen until this holds (it is looked at after each event), or nothing more is due by `end_s`.

        Returns whether it holds.
        """
        events = self._events
        while not until():
            if not events or events[0][0] != self.ticks:
                for call in self._before_advance:
                    call()
                if not events or events[0][0] > end_s * TICKS_PER_S:
                    return until()
            self.ticks, _, call = heapq.heappop(events)
            self.happened += 1
            call()
        return True

    def _push(self, due: int, call: Call) -> None:
        self._asked += 1
        heapq.heappush(self._events, (due, self._asked, call))


def ticks(seconds: float) -> int:
    return round(seconds * TICKS_PER_S)
