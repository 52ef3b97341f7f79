"""What becomes of tasks where hosts die and libraries cannot be loaded?"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.simulator.bodies import Bodies, Host, Programs, take_unread
from benchmarks.simulator.clock import Clock
from benchmarks.simulator.faults.store import FaultyStore
from benchmarks.simulator.faults.watch import BodyWatch
from benchmarks.simulator.faults.weather import Weather
from vine.names import AttemptId
from vine.wire.parts import Assignment, Outcome
from vine_worker import actions as act

_HOST_START_S = 0.001
_LOAD_S = 0.3
_GONE = act.Ending(Outcome.KILLED, message="its library is gone")


class FaultyPrograms(Programs):
    """All that runs on one worker, and is looked at as it begins."""

    def __init__(
        self,
        clock: Clock,
        store: FaultyStore,
        bodies: Bodies,
        feed: Callable[[act.LocalEvent], None],
        weather: Weather,
        watch: BodyWatch,
    ) -> None:
        """What is fed is known at once, in order: nothing is given to a host, or heard of one, that is gone."""
        super().__init__(clock, store, bodies, _HOST_START_S, feed)
        self._weather = weather
        self._watch = watch
        self._library_of: dict[int, int] = {}  # of hosts: the instance that they were forked from
        self._libraries: set[int] = set()  # instances whose process lives

    # --- commands and interpreters ---

    def begin_body(self, action: act.StartBody) -> None:
        self._watch.begins(action.assignment)
        super().begin_body(action)

    def _end(self, attempt: AttemptId, ending: act.Ending) -> None:
        self._watch.ends(attempt)
        super()._end(attempt, ending)

    # --- hosts ---

    def start_host(self, action: act.StartHost) -> None:
        if action.kind.library is not None:
            self._library_of[action.host] = action.kind.library
        super().start_host(action)
        if action.kind.library is not None and action.kind.library not in self._libraries:
            self._clock.after(0, lambda: self._host_gone(action.host, _GONE))

    def _begin(self, number: int, host: Host) -> None:
        assignment = self._hosts[number].calls[0]
        self._watch.begins(assignment)
        super()._begin(number, self._hosts[number])
        if self._weather.strikes(self._weather.rates.host_death_share):
            self._clock.after(self._bodies(assignment).run_s / 2, lambda: self._die(number, assignment))

    def _answer(self, number: int, host: Host, assignment: Assignment, ending: act.Ending) -> None:
        if not self._hosts[number].ended:
            self._watch.ends(assignment.attempt)
        super()._answer(number, self._hosts[number], assignment, ending)

    def _die(self, number: int, assignment: Assignment) -> None:
        host = self._hosts[number]
        if not host.ended and host.calls and host.calls[0] is assignment:
            self._host_gone(number, act.Ending(Outcome.KILLED, message="killed by signal 11"))

    def end_host(self, action: act.EndHost) -> None:
        self._host_gone(action.host, act.Ending(Outcome.CANCELLED))

    def _host_gone(self, number: int, ending: act.Ending) -> None:
        host = self._hosts[number]
        if not host.ended:
            host.ended = True
            if host.calls:
                self._watch.ends(host.calls[0].attempt)
            self._tell(act.HostEnded(number, ending, take_unread(host)))

    # --- libraries ---

    def start_library(self, action: act.StartLibrary) -> None:
        instance = action.instance
        self._libraries.add(instance)
        if self._weather.strikes(self._weather.rates.library_failure_share):
            self._clock.after(_LOAD_S / 2, lambda: self._library_gone(instance, "ImportError: no module"))
        else:
            self._clock.after(_LOAD_S, lambda: self._library_loaded(instance))

    def _library_loaded(self, instance: int) -> None:
        if instance in self._libraries:
            self._tell(act.LibraryReady(instance, forkable=self._weather.dice.random() < 0.7))

    def end_library(self, action: act.EndLibrary) -> None:
        self._library_gone(action.instance, "ended")

    def _library_gone(self, instance: int, message: str) -> None:
        if instance in self._libraries:
            self._libraries.remove(instance)
            self._tell(act.LibraryGone(instance, message))
            for number in [number for number, library in self._library_of.items() if library == instance]:
                self._host_gone(number, _GONE)
