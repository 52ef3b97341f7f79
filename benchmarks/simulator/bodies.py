"""What becomes of tasks on a simulated worker: how long they run, and what they leave?"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from benchmarks.simulator.clock import Clock
from benchmarks.simulator.content import manifest_of
from benchmarks.simulator.store import SimulatedStore
from vine.content.manifest import object_id
from vine.names import AttemptId
from vine.wire.parts import Assignment, MadeOutput, Manifest, Outcome, TaskKind
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
    value_bytes: int = 0  # of a value that is over the inline limit, and is left as an object
    output_bytes: Mapping[str, int] = field(default_factory=dict)


Bodies = Callable[[Assignment], Body]  # what a task that is assigned to a worker is going to do there


@dataclass(slots=True)
class Host:
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
        self._behind: dict[AttemptId, act.StartBody] = {}  # what waits behind each that runs
        self._hosts: dict[int, Host] = {}

    # --- commands and fresh interpreters ---

    def start(self, action: act.StartBody) -> None:
        """Now, or when the one ends that it waits behind."""
        if action.behind in self._running:
            self._behind[action.behind] = action
        else:
            self.begin_body(action)

    def take_back_body(self, action: act.TakeBackBody) -> None:
        for before, waiting in self._behind.items():
            if waiting.assignment.attempt == action.attempt:
                del self._behind[before]
                self._tell(act.BodyReturned(action.attempt))
                return

    def begin_body(self, action: act.StartBody) -> None:
        attempt, body = action.assignment.attempt, self._bodies(action.assignment)
        self._running.add(attempt)
        exit_code, start_s = 0 if body.outcome is Outcome.SUCCESS else 1, self._clock.now()

        def run() -> None:
            ran_s = self._clock.now() - start_s + body.run_s
            ending = _ending(action.assignment, body, exit_code, ran_s)
            self._clock.after(body.run_s, lambda: self._end(attempt, ending))

        run() if body.waits_for is None else body.waits_for(run)

    def kill(self, action: act.KillBody) -> None:
        self._end(action.attempt, act.Ending(Outcome.CANCELLED))

    def _end(self, attempt: AttemptId, ending: act.Ending) -> None:
        if attempt in self._running:
            self._running.remove(attempt)
            if (following := self._behind.pop(attempt, None)) is not None:
                self.begin_body(following)
            self._tell(act.BodyEnded(attempt, ending))

    def collect(self, action: act.Collect) -> None:
        made, body, attempt = [], self._bodies(action.assignment), action.assignment.attempt
        sizes = body.output_bytes if action.succeeded else {}
        for mount in action.assignment.outputs:
            if mount.name in sizes:
                manifest = self._leave(f"{mount.name} of {attempt}", sizes[mount.name])
                made.append(MadeOutput(mount.file_id, object_id(manifest), manifest))
        collected = act.Collected(attempt, outputs=tuple(made))
        if action.value_path is not None and action.value_wanted:
            value = self._leave(f"value of {attempt}", body.value_bytes)
            collected = replace(collected, value_object=object_id(value), value_manifest=value)
        self._tell(collected)

    def _leave(self, name: str, size: int) -> Manifest:
        manifest = manifest_of(name, size)
        self._store.put(object_id(manifest), manifest)
        return manifest

    # --- function hosts ---

    def start_host(self, action: act.StartHost) -> None:
        self._hosts[action.host] = Host()
        self._clock.after(self._host_start_s, lambda: self._come_up(action.host))

    def _come_up(self, number: int) -> None:
        if not self._hosts[number].ended:
            self._tell(act.HostReady(number))

    def run_call(self, action: act.RunCall) -> None:
        host = self._hosts[action.host]
        host.calls.append(action.assignment)
        if len(host.calls) == 1:
            self._begin(action.host, host)

    def _begin(self, number: int, host: Host) -> None:
        assignment = host.calls[0]
        body = self._bodies(assignment)
        ending = _ending(assignment, body, 0, body.run_s)
        self._clock.after(body.run_s, lambda: self._answer(number, host, assignment, ending))

    def _answer(self, number: int, host: Host, assignment: Assignment, ending: act.Ending) -> None:
        if host.ended:
            return
        host.calls.popleft()
        if host.calls:
            self._begin(number, host)
        self._tell(act.CallsEnded(number, ((assignment.attempt, ending),)))

    def take_back(self, action: act.TakeBack) -> None:
        self._tell(act.CallsReturned(action.host, take_unread(self._hosts[action.host])))

    def end_host(self, action: act.EndHost) -> None:
        host = self._hosts[action.host]
        if not host.ended:
            host.ended = True
            self._tell(act.HostEnded(action.host, act.Ending(Outcome.CANCELLED), take_unread(host)))


def _ending(assignment: Assignment, body: Body, exit_code: int, run_s: float) -> act.Ending:
    if body.value_bytes and body.outcome is Outcome.SUCCESS:
        return act.Ending(body.outcome, exit_code, value_path="value", run_s=run_s)
    value = None if assignment.kind is TaskKind.COMMAND else body.value
    return act.Ending(body.outcome, exit_code, value=value, run_s=run_s)


def take_unread(host: Host) -> tuple[AttemptId, ...]:
    """Take the calls from the host that it has not begun."""
    unread = tuple(assignment.attempt for assignment in list(host.calls)[1:])
    while len(host.calls) > 1:
        host.calls.pop()
    return unread
