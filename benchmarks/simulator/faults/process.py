"""When does one process of a simulated run take its turns: it may be stopped for a while, or gone for ever."""

from __future__ import annotations

from functools import partial

from benchmarks.simulator.clock import TICKS_PER_S, Call, Clock, ticks


class Process(Clock):
    """The clock of one process. It shows another time than that of every other process.

    What falls due while the process stands still (SIGSTOP, a suspended machine) happens when it goes on.
    """

    def __init__(self, clock: Clock, ahead_s: float) -> None:
        """Its clock is so far ahead of the simulation's."""
        super().__init__()
        self._clock = clock
        self._ahead = ticks(ahead_s)
        self._held: list[Call] = []
        self.alive = True
        self.standing = False

    def now(self) -> float:
        return (self._clock.ticks + self._ahead) / TICKS_PER_S

    def after(self, delay_s: float, call: Call) -> None:
        self._clock.after(delay_s, partial(self.do, call))

    def at_tick(self, tick: int, call: Call) -> None:
        self._clock.at_tick(tick, partial(self.do, call))

    def at(self, time_s: float, call: Call) -> None:
        due = ticks(time_s)
        while due / TICKS_PER_S < time_s:
            due += 1
        self.at_tick(max(due - self._ahead, self._clock.ticks), call)

    def do(self, call: Call) -> None:
        """The call is the process's next turn, if it lives."""
        if self.standing:
            self._held.append(call)
        elif self.alive:
            call()

    def stand_still(self, seconds: float) -> None:
        if not self.standing and self.alive:
            self.standing = True
            self._clock.after(seconds, self._go_on)

    def _go_on(self) -> None:
        self.standing = False
        held, self._held = self._held, []
        for call in held:
            self.do(call)

    def kill(self) -> None:
        """It is gone, in the middle of whatever it did."""
        self.alive = False
        self._held.clear()
