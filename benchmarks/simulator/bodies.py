"""What becomes of tasks on a simulated worker: how long they run, and what they leave?"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.simulator.clock import Clock
from benchmarks.simulator.content import manifest_of
from benchmarks.simulator.store import SimulatedStore
from vine.content.manifest import object_id
from vine.names import AttemptId
from vine.wire.parts import Assignment, MadeOutput, Outcome, TaskKind
from vine_worker import actions as act


@dataclass(frozen=True, slots=True)
class Body:
    """What one attempt does; `output_bytes` by the name that an output has in the sandbox.

    `waits_for` is what a command or an interpreter needs before its `run_s` begin: it is told what to call then.
    """

    run_s: float = 0.0
    waits_for: Callable[[Callable[[], None]], None] | None = None
    outcome: Outcome = Outcome.SUCCESS
    value: bytes = b""
    output_bytes: Mapping[str, int] = field(default_factory=dict)


Bodies = Callable[[Assignment], Body]  # what a task that is assigned to a worker is going to do there


@dataclass(slots=True)
class _Host:
    calls: deque[Assignment] = field(default_factory=deque)  # the first one runs
    ended: bool = False


class Programs:
    """All that runs on one worker: commands, interpreters and function hosts."""

    def __init__(
        self,
        clock: Clock,
        store: SimulatedStore,
        bodies: Bodies,
        host_start_s: float,
        tell: Callable[[act.LocalEvent], None],
    ) -> None:
        self._clock = clock
        self._store = store
        self._bodies = bodies
        self._host_start_s = host_start_s
        self._tell = tell
        self._running: set[AttemptId] = set()
        self._hosts: dict[int, _Host] = {}

    # --- commands and fresh interpreters ---

    def start(self, action: act.StartBody) -> None:
        attempt, body = action.assignment.attempt, self._bodies(action.assignment)
        self._running.add(attempt)
        value = body.value if action.assignment.kind is not TaskKind.COMMAND else None
        exit_code, start_s = 0 if body.outcome is Outcome.SUCCESS else 1, self._clock.now()

        def run() -> None:
            ran_s = self._clock.now() - start_s + body.run_s
            ending = act.Ending(body.outcome, exit_code, value=value, run_s=ran_s)
            self._clock.after(body.run_s, lambda: self._end(attempt, ending))

        run() if body.waits_for is None else body.waits_for(run)

    def kill(self, action: act.KillBody) -> None:
        self._end(action.attempt, act.Ending(Outcome.CANCELLED))

    def _end(self, attempt: AttemptId, ending: act.Ending) -> None:
        if attempt in self._running:
            self._running.remove(attempt)
            self._tell(act.BodyEnded(attempt, ending))

    def collect(self, action: act.Collect) -> None:
        made = []
        sizes = self._bodies(action.assignment).output_bytes if action.succeeded else {}
        for mount in action.assignment.outputs:
            if mount.name in sizes:
                manifest = manifest_of(f"{mount.name} of {action.assignment.attempt}", sizes[mount.name])
                self._store.put(object_id(manifest), manifest)
                made.append(MadeOutput(mount.file_id, object_id(manifest), manifest))
        self._tell(act.Collected(action.assignment.attempt, outputs=tuple(made)))

    # --- function hosts ---

    def start_host(self, action: act.StartHost) -> None:
        self._hosts[action.host] = _Host()
        self._clock.after(self._host_start_s, lambda: self._come_up(action.host))

    def _come_up(self, number: int) -> None:
        if not self._hosts[number].ended:
            self._tell(act.HostReady(number))

    def run_call(self, action: act.RunCall) -> None:
        host = self._hosts[action.host]
        host.calls.append(action.assignment)
        if len(host.calls) == 1:
            self._begin(action.host, host)

    def _begin(self, number: int, host: _Host) -> None:
        assignment = host.calls[0]
        body = self._bodies(assignment)
        ending = act.Ending(body.outcome, 0, value=body.value, run_s=body.run_s)
        self._clock.after(body.run_s, lambda: self._answer(number, host, assignment, ending))

    def _answer(self, number: int, host: _Host, assignment: Assignment, ending: act.Ending) -> None:
        if host.ended:
            return
        host.calls.popleft()
        if host.calls:
            self._begin(number, host)
        self._tell(act.CallsEnded(number, ((assignment.attempt, ending),)))

    def take_back(self, action: act.TakeBack) -> None:
        self._tell(act.CallsReturned(action.host, _unread(self._hosts[action.host])))

    def end_host(self, action: act.EndHost) -> None:
        host = self._hosts[action.host]
        if not host.ended:
            host.ended = True
            self._tell(act.HostEnded(action.host, act.Ending(Outcome.CANCELLED), _unread(host)))


def _unread(host: _Host) -> tuple[AttemptId, ...]:
    """Take the calls from the host that it has not begun."""
    unread = tuple(assignment.attempt for assignment in list(host.calls)[1:])
    while len(host.calls) > 1:
        host.calls.pop()
    return unread
