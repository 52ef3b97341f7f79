"""Where does each attempt on this worker stand: its record, its states, and how its result is put together."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from vine import config
from vine.names import AttemptId, ObjectId
from vine.wire.parts import Assignment, AttemptResult, MadeOutput, Measured, Outcome, TaskKind, Times
from vine_worker.actions import Collected, Ending
from vine_worker.functions.pool import HostKind
from vine_worker.resources import Grant


class State(enum.Enum):
    STAGING = "staging"  # objects that it needs are not here yet
    READY = "ready"  # waits for resources
    WAITING = "waiting"  # for its library to be loaded, or for a slot of it
    HANDED = "handed"  # given to a host that still runs another call, or to be started when another command ends
    RUNNING = "running"
    COLLECTING = "collecting"  # the body has ended; its outputs are taken into the store
    ENDED = "ended"

    __hash__ = object.__hash__  # Enum's own is a function in Python, and states are looked up eight times an attempt.


_NOTHING_COLLECTED = Collected(AttemptId(0, 0))
_NEEDS_REMEMBERED = 1024  # Calls of a function mostly need what the one before has needed.
AT_ONCE = frozenset(  # In a time of grace it would take still more.
    {Outcome.MEMORY_LIMIT, Outcome.DISK_LIMIT, Outcome.PROCESS_LIMIT, Outcome.OUTPUT_LIMIT}
)

_legal = {
    State.STAGING: {State.READY, State.ENDED},
    State.READY: {State.STAGING, State.WAITING, State.HANDED, State.RUNNING, State.ENDED},
    State.WAITING: {State.STAGING, State.READY, State.ENDED},
    State.HANDED: {State.STAGING, State.READY, State.RUNNING, State.COLLECTING, State.ENDED},
    # Back to ready: a call that its host had not begun, though it was the first in its queue.
    State.RUNNING: {State.STAGING, State.READY, State.COLLECTING, State.ENDED},
    State.COLLECTING: {State.ENDED},
    State.ENDED: set(),
}


@dataclass(slots=True)
class Attempt:
    """One attempt, from its arrival until its result is on its way."""

    assignment: Assignment
    order: int  # of arrival
    arrived_s: float
    state: State = State.STAGING
    needs: tuple[ObjectId, ...] = ()
    missing: set[ObjectId] = field(default_factory=set)
    staged_s: float = 0.0
    started_s: float = 0.0
    ended_s: float = 0.0
    grant: Grant | None = None  # of a command or interpreter; a call runs on its host's
    host: int | None = None
    stop: Outcome | None = None  # why it is being stopped
    cpu_s: float = 0.0  # these five as they were measured while it ran
    memory_mb: float = 0.0
    disk_mb: float = 0.0
    processes: int = 0
    printed_bytes: int = 0
    together_mb: float = 0.0  # what it and the rest of its library used, where it was stopped for that
    ending: Ending | None = None

    @property
    def attempt_id(self) -> AttemptId:
        return self.assignment.attempt

    @property
    def hosted(self) -> bool:
        """A call that goes to a warm host."""
        kind = self.assignment.kind
        return kind is TaskKind.CALL or kind is TaskKind.FORK or kind is TaskKind.LIBRARY

    @property
    def body(self) -> tuple[ObjectId | None, str]:
        """What runs: calls of it last about equally long."""
        return self.assignment.function, self.assignment.command

    @property
    def plain(self) -> bool:
        """A call without a sandbox: nothing is to be made before it and collected after it."""
        return self.hosted and not needs_sandbox(self.assignment)

    def move(self, state: State) -> None:
        assert state in _legal[self.state], f"attempt {self.attempt_id} cannot go from {self.state} to {state}"
        self.state = state

    def host_kind(self, grant: Grant) -> HostKind:
        threads = max(1, int(grant.resources.cores))
        return HostKind(self.assignment.environment, threads, grant.devices, self.assignment.kind is TaskKind.FORK)


def needs_sandbox(assignment: Assignment) -> bool:
    """Whether a call has files of its own to find, to leave, or to be counted."""
    limited = assignment.limits is not None and assignment.limits.disk_mb is not None
    return bool(assignment.inputs or assignment.outputs) or limited


def needed_objects(assignment: Assignment) -> tuple[ObjectId, ...]:
    """Everything that must be complete here before the body may start."""
    assert assignment.shared is not None, "an assignment has all that it was given as soon as it has arrived"
    named = (assignment.function, assignment.payload_object, assignment.environment, *assignment.shared)
    if assignment.values or assignment.inputs:
        named += tuple([value.object_id for value in assignment.values])
        named += tuple([mount.object_id for mount in assignment.inputs])
    return _each_once(*named)


def each_of(times: Mapping[tuple[ObjectId, ...], int]) -> dict[ObjectId, int]:
    """How often each object is needed, when it is known how often several are together."""
    found: dict[ObjectId, int] = {}
    for object_ids, number in times.items():
        for object_id in object_ids:
            found[object_id] = found.get(object_id, 0) + number
    return found


@lru_cache(_NEEDS_REMEMBERED)
def _each_once(*named: ObjectId | None) -> tuple[ObjectId, ...]:
    return tuple(dict.fromkeys([object_id for object_id in named if object_id is not None]))


def _words_of_stop(attempt: Attempt, why: Outcome) -> str:
    """What its user reads of an attempt that we have stopped."""
    limits, library = attempt.assignment.limits, attempt.assignment.library
    if attempt.together_mb and library is not None and library.memory_mb is not None:
        used, together, limit = attempt.memory_mb, attempt.together_mb, library.memory_mb
        whole = f"the library '{library.name}' used {together:.0f} MB with all its calls, and its limit is {limit:g} MB"
        return f"used {used:.0f} MB of memory, the most of those that ran when {whole}; give the library more memory"
    if why is Outcome.TIME_LIMIT:
        limit_s = attempt.assignment.time_limit_s or 0.0
        return f"ran longer than its time limit of {limit_s:g} s; give it more time or less to do"
    if why is Outcome.MEMORY_LIMIT and limits is not None and limits.memory_mb is not None:
        used, limit = attempt.memory_mb, limits.memory_mb
        return f"used {used:.0f} MB of memory, and its limit is {limit:g} MB; ask for more memory"
    if why is Outcome.DISK_LIMIT and limits is not None and limits.disk_mb is not None:
        used, limit = attempt.disk_mb, limits.disk_mb
        return f"wrote {used:.0f} MB into its sandbox, and its limit is {limit:g} MB; ask for more disk"
    if why is Outcome.PROCESS_LIMIT:
        return f"had {attempt.processes} processes at once, and the limit is {config.processes_max}; start fewer"
    if why is Outcome.OUTPUT_LIMIT:
        used, limit = attempt.printed_bytes / 1e6, config.printed_bytes_max / 1e6
        return f"printed {used:.0f} MB, and the limit is {limit:.0f} MB; print less, or write it to an output"
    return "cancelled"


def result_of(attempt: Attempt, collected: Collected | None, now: float) -> AttemptResult:
    """The attempt's one result. What we stopped counts as stopped, whatever its body made of that."""
    ending = attempt.ending or Ending(Outcome.CANCELLED)
    outcome, message, value = ending.outcome, ending.message, ending.value
    outputs: tuple[MadeOutput, ...] = () if collected is None else collected.outputs
    if attempt.stop is not None:
        outcome, message, value = attempt.stop, _words_of_stop(attempt, attempt.stop), None
    elif collected is not None and collected.outcome is not None:
        outcome, message, value = collected.outcome, collected.message, None
    kept = collected or _NOTHING_COLLECTED
    if kept.spilled and message:
        message += f"; all that it printed is in {kept.spilled} there"
    times = times_of(attempt, now)
    return AttemptResult(
        attempt=attempt.attempt_id,
        outcome=outcome,
        exit_code=ending.exit_code,
        value=value,
        value_object=kept.value_object if outcome is ending.outcome else None,
        value_manifest=kept.value_manifest if outcome is ending.outcome else None,
        outputs=outputs,
        message=_named(attempt.assignment.label, message)[: config.text_chars_max],
        stdout=kept.stdout,
        stderr=kept.stderr,
        spilled=kept.spilled,
        times=times,
        measured=_measured(attempt, ending, kept, times.run_s),
    )


def _measured(attempt: Attempt, ending: Ending, kept: Collected, run_s: float) -> Measured | None:
    """The most that was seen, by us or by the body's own account; nothing is known of a short call."""
    long = run_s >= config.measured_run_s_min
    if not attempt.started_s or (attempt.hosted and not long):
        return None
    return Measured(
        cpu_s=max(attempt.cpu_s, ending.cpu_s),
        memory_mb=max(attempt.memory_mb, ending.memory_mb),
        disk_mb=max(attempt.disk_mb, kept.disk_mb) if long else None,
        processes=attempt.processes,
    )


def _named(label: str, message: str) -> str:
    """Whoever reads it may have only this line."""
    return message if not message or message.startswith(label) else f"{label}: {message}"


def times_of(attempt: Attempt, now: float) -> Times:
    if not attempt.staged_s:
        return Times(stage_in_s=now - attempt.arrived_s)
    staged_in_s = attempt.staged_s - attempt.arrived_s
    if not attempt.started_s:
        return Times(stage_in_s=staged_in_s, wait_s=now - attempt.staged_s)
    ended_s = attempt.ended_s or now
    measured_s = attempt.ending.run_s if attempt.ending is not None else None
    return Times(
        stage_in_s=staged_in_s,
        wait_s=max(0.0, attempt.started_s - attempt.staged_s),
        run_s=ended_s - attempt.started_s if measured_s is None else measured_s,
        collect_s=now - ended_s,
    )
