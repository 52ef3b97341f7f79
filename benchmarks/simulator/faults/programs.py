"""What becomes of tasks where hosts die and libraries cannot be loaded?"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from benchmarks.simulator.bodies import Host, Programs, take_unread
from benchmarks.simulator.clock import Clock
from benchmarks.simulator.faults.behaviours import FaultyBody
from benchmarks.simulator.faults.store import FaultyStore
from benchmarks.simulator.faults.watch import BodyWatch
from benchmarks.simulator.faults.weather import Weather
from vine.content.manifest import object_id
from vine.names import AttemptId, FileId, ObjectId
from vine.wire.parts import Assignment, MadeOutput, Measured, Outcome, TaskKind
from vine_worker import actions as act

_HOST_START_S = 0.001
_LOAD_S = 0.3
_LOOK_S = 0.01
_OF_THEIR_OWN = (TaskKind.COMMAND, TaskKind.PYTHON)  # These run by themselves.
_GONE = act.Ending(Outcome.KILLED, message="its library is gone")


class FaultyPrograms(Programs):
    """All that runs on one worker, and is looked at as it begins."""

    def __init__(
        self,
        clock: Clock,
        store: FaultyStore,
        bodies: Callable[[Assignment], FaultyBody],
        feed: Callable[[act.LocalEvent], None],
        weather: Weather,
        watch: BodyWatch,
        protected: bool,
    ) -> None:
        """`protected` is whether bodies cannot write into their inputs.

        What is fed is known at once, in order: nothing is given to a host, or heard of one, that is gone."""
        super().__init__(clock, store, bodies, _HOST_START_S, feed)
        self._store: FaultyStore = store
        self._bodies: Callable[[Assignment], FaultyBody] = bodies
        self._protected = protected
        self._weather = weather
        self._watch = watch
        self._library_of: dict[int, int] = {}  # of hosts: the instance that they were forked from
        self._libraries: set[int] = set()  # instances whose process lives

    # --- commands and interpreters ---

    def begin_body(self, action: act.StartBody) -> None:
        self._watch.begins(action.assignment)
        super().begin_body(action)

    def _end(self, attempt: AttemptId, ending: act.Ending) -> None:
        assignment = self._watch.running(attempt)
        if assignment is not None and self._bodies(assignment).alters and not self._protected:
            for key in self._altered(assignment):
                self._store.alter(key)
        self._watch.ends(attempt)
        super()._end(attempt, ending)

    def _altered(self, assignment: Assignment) -> tuple[ObjectId, ...]:
        """What the body has written into: the first of its inputs, if that is still here."""
        mounted = (mount.object_id for mount in assignment.inputs[:1])
        return tuple(key for key in mounted if key in self._store.manifests)

    def collect(self, action: act.Collect) -> None:
        """As a worker does that looks after each body whether it has written into its inputs, where it could."""
        assignment, body = action.assignment, self._bodies(action.assignment)
        outcome, message, altered = None, "", tuple[ObjectId, ...]()
        if body.alters and not self._protected and assignment.kind in _OF_THEIR_OWN:
            outcome, altered = Outcome.INPUT_ALTERED, self._altered(assignment)
            for key in altered:
                self._store.quarantine(key)
        made: list[MadeOutput] = []
        for mount in assignment.outputs if action.wanted else ():
            if outcome is Outcome.DISK_FULL or not mount.when.holds(action.succeeded and outcome is None):
                continue
            if self._weather.strikes(self._weather.rates.disk_full_share):
                outcome, message = Outcome.DISK_FULL, "no space left on device"
            elif mount.name in body.output_bytes:
                name = f"{mount.name} of {body.alike or assignment.attempt}"
                manifest = self._leave(name, body.output_bytes[mount.name])
                made.append(MadeOutput(mount.file_id, object_id(manifest), manifest))
            elif action.succeeded and not mount.optional and outcome is None:
                outcome, message = Outcome.OUTPUT_MISSING, f"{mount.name} was not made"
        collected = act.Collected(assignment.attempt, outcome, message, tuple(made), altered)
        if action.value_path is not None and action.value_wanted and outcome is None:
            value = self._leave(f"value of {body.alike or assignment.attempt}", body.value_bytes)
            collected = replace(collected, value_object=object_id(value), value_manifest=value)
        self._tell(collected)

    # --- what is looked at meanwhile ---

    def measure(self, action: act.MeasureUse) -> None:
        running = [(each.attempt, self._watch.running(each.attempt)) for each in action.probes]
        uses = [(a, Measured(memory_mb=self._bodies(each).memory_mb)) for a, each in running if each is not None]
        self._clock.after(_LOOK_S, lambda: self._tell(act.Used(tuple(uses))))

    def look(self, action: act.LookAtOutputs) -> None:
        """Some of the outputs have grown; now and then one is begun anew."""
        dice, parts = self._weather.dice, list[tuple[AttemptId, FileId, int, bytes]]()
        for output in action.outputs:
            offset = 0 if dice.random() < 0.1 else output.told_bytes
            added = b"x" * dice.choice([0, 10, 100_000])
            if added and self._watch.running(output.attempt) is not None:
                parts.append((output.attempt, output.file_id, offset, added))
        self._clock.after(_LOOK_S, lambda: self._tell(act.Grown(tuple(parts))))

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
