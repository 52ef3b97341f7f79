"""How do warm function hosts live: started, given calls, heard, asked to give calls back, ended?"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from vine.content.folders import remove
from vine.errors import VineError
from vine.names import AttemptId
from vine.wire.parts import Assignment, Outcome, Resources
from vine_function_host.frames import CALL_ENDS, DIED, READY
from vine_worker import actions as act
from vine_worker import process
from vine_worker.attempts import needs_sandbox
from vine_worker.functions.calls import CallWriter
from vine_worker.functions.channel import HostChannel
from vine_worker.functions.logs import last_line
from vine_worker.functions.zygotes import Zygotes
from vine_worker.places import Places
from vine_worker.programs import ProgramEnded, Programs, open_null
from vine_worker.sandbox import Sandbox


@dataclass(slots=True)
class LiveHost:
    """One host's process and socket, with the attempts that it has been given and not answered."""

    host: int
    channel: HostChannel
    log: Path
    forks: bool = False
    program: int = 0
    library: int | None = None  # the instance of the one that it has loaded
    ready: bool = False
    loaded_kb: int = 0  # by a library, before any call
    calls: dict[int, AttemptId] = field(default_factory=dict)


class Hosts:
    """The hosts of this worker, as processes; which one runs what is the core's choice."""

    def __init__(
        self,
        places: Places,
        programs: Programs,
        zygotes: Zygotes,
        writer: CallWriter,
        feed: Callable[[object], None],
    ) -> None:
        self._places = places
        self._programs = programs
        self._zygotes = zygotes
        zygotes.host_ended = self.program_ended
        self._writer = writer
        self._feed = feed  # gives an event to the core and does what it asks for
        self._null = open_null()
        self._last_call = 0
        self._hosts: dict[int, LiveHost] = {}
        self._by_program: dict[int, LiveHost] = {}
        self.by_descriptor: dict[int, LiveHost] = {}
        self._unflushed: dict[int, LiveHost] = {}  # have calls that the next flush sends
        self.changed = False  # the set of descriptors to poll

    def start(self, action: act.StartHost) -> None:
        try:
            host = self._new(action)
            self._launch(action, host)
        except OSError as why:
            message = f"no interpreter for functions could be started: {why}"
            outcome = process.unstarted(why) if action.kind.library is None else Outcome.LIBRARY_FAILED
            self._feed(act.HostEnded(action.host, act.Ending(outcome, message=message), ()))
            return
        self._hosts[action.host] = self._by_program[host.program] = host
        self.by_descriptor[host.channel.fileno()] = host
        self.changed = True

    def _new(self, action: act.StartHost) -> LiveHost:
        kind = action.kind
        log = self._places.host_log(action.host) if kind.library is None else self._zygotes.log_of(kind.library)
        return LiveHost(action.host, HostChannel(self._places.spill), log, kind.forks, library=kind.library)

    def _launch(self, action: act.StartHost, host: LiveHost) -> None:
        try:
            host.program = self._start_program(action, host)
        except BaseException:
            host.channel.close()
            raise

    def _start_program(self, action: act.StartHost, host: LiveHost) -> int:
        places, kind = self._places, action.kind
        environment = places.environment(kind.environment)
        variables = process.interpreter_variables(
            environment, kind.threads, kind.devices, places.capacity, self._programs.protected
        )
        home = places.hosts / str(action.host)
        home.mkdir()
        library = None
        if kind.library is not None:
            if self._zygotes.forks(kind.library):
                return self._zygotes.fork(kind.library, home, host.channel)
            library = self._zygotes.content_of(kind.library)
        arguments = process.host_arguments(
            environment, places.dill, host.channel.folder, fork=kind.forks, library=library
        )
        with host.log.open("ab") as log:
            streams = (self._null, log.fileno(), log.fileno(), *host.channel.far_descriptors)
            return self._programs.start(arguments, home, variables, streams)

    def run(self, action: act.RunCall) -> None:
        """Gives the host a call, with a sandbox if it needs one."""
        host, assignment = self._hosts.get(action.host), action.assignment
        if host is None:
            return  # It could not be started; the core is about to hear of it.
        self._last_call += 1
        try:
            sandbox = self._make_sandbox(assignment) if needs_sandbox(assignment) else None
            variables = process.allotment_variables(share_of(assignment), assignment.variables)
            if sandbox is not None:
                variables.setdefault("VINE_SANDBOX", str(sandbox.work))
                if host.forks:  # In a shared one Python may have chosen its temporary folder.
                    variables.setdefault("TMPDIR", str(sandbox.scratch))
            folder = None if sandbox is None else sandbox.work
            host.channel.send(self._last_call, *self._writer.parts(assignment, folder, variables))
            host.calls[self._last_call] = assignment.attempt
            self._unflushed[action.host] = host
        except (OSError, VineError) as why:
            message = f"{assignment.label or 'the call'} could not be started: {why}"
            ending = act.Ending(process.unstarted(why), message=message)
            self._feed(act.CallsEnded(action.host, ((assignment.attempt, ending),)))

    def _make_sandbox(self, assignment: Assignment) -> Sandbox:
        sandbox = self._places.sandbox(assignment.attempt)
        sandbox.make(assignment, self._places.holdings.path)
        return sandbox

    def number_of(self, host: int) -> int | None:
        """The program of a host that lives."""
        found = self._hosts.get(host)
        return None if found is None else found.program

    def own_log(self, host: int) -> Path | None:
        """Where a host that lives prints; None for one of a library, whose log is that of all of them."""
        found = self._hosts[host]
        return found.log if found.library is None else None

    def logs(self) -> frozenset[Path]:
        """All that hosts and libraries print to now."""
        return frozenset(host.log for host in self._hosts.values()) | self._zygotes.logs()

    def loaded(self, host: int) -> tuple[bool, int]:
        """Whether a host that lives was forked from a library, and how many bytes of one it has loaded itself."""
        found = self._hosts[host]
        forked = found.library is not None and self._zygotes.forks(found.library)
        return forked, 0 if forked else found.loaded_kb << 10

    def flush(self) -> None:
        """Sends the calls that a turn has brought, those of one host together."""
        while self._unflushed:
            self._unflushed.popitem()[1].channel.flush()

    def hear(self, host: LiveHost) -> None:
        """Takes in what a host has answered."""
        answers = host.channel.receive()
        ends: list[tuple[AttemptId, act.Ending]] = []
        for answer in answers:
            if answer.brings == READY and not host.ready:
                host.ready, host.loaded_kb = True, answer.use[2]
                forked = host.library is not None and self._zygotes.forks(host.library)
                self._feed(act.HostReady(host.host, process.megabytes(host.loaded_kb), forked))
            elif answer.brings in CALL_ENDS and answer.number == next(iter(host.calls), None):
                ending = process.ending_of_answer(answer)
                if answer.brings == DIED:
                    ending = msgspec.structs.replace(ending, message=f"{ending.message} (log: {host.log})")
                ends.append((host.calls.pop(answer.number), ending))
            else:
                host.channel.malformed = True
                break
        if ends:
            self._feed(act.CallsEnded(host.host, tuple(ends)))
        if host.channel.malformed:
            self._kill(host, force=True)
        host.channel.flush()

    def take_back(self, action: act.TakeBack) -> None:
        """After this the host runs at most one call; what it had answered is told first."""
        host = self._hosts.get(action.host)
        if host is None:
            return  # Its end is about to be told.
        returned = self._unread(host)
        self.hear(host)
        self._feed(act.CallsReturned(host.host, returned))

    def _unread(self, host: LiveHost) -> tuple[AttemptId, ...]:
        """Takes back the calls that the host has not begun."""
        attempts = tuple(host.calls.pop(number) for number in host.channel.take_back())
        for attempt in attempts:
            self._places.sandbox(attempt).remove()
        return attempts

    def end(self, action: act.EndHost) -> None:
        host = self._hosts.get(action.host)
        if host is not None:
            self._kill(host, action.force)

    def _kill(self, host: LiveHost, force: bool) -> None:
        if host.library is not None and self._zygotes.forks(host.library):
            self._zygotes.kill(host.library, host.program, force)
        else:
            self._programs.kill(host.program, force)

    def program_ended(self, ended: ProgramEnded, by_library: str = "") -> bool:
        """Whether the program was a host; then its last answers and its end are told.

        `by_library` says that, and why, it ended because its library did.
        """
        host = self._by_program.get(ended.number)
        if host is None:
            return False
        self.hear(host)
        unread = self._unread(host)
        ending = self._ending_of(host, ended)
        if by_library:
            ending = act.Ending(Outcome.LIBRARY_FAILED, message=by_library)
        del self._hosts[host.host], self._by_program[ended.number], self.by_descriptor[host.channel.fileno()]
        self._unflushed.pop(host.host, None)
        self.changed = True
        self._let_go(host)
        self._feed(act.HostEnded(host.host, ending, unread))
        return True

    def _ending_of(self, host: LiveHost, ended: ProgramEnded) -> act.Ending:
        what = "the function's interpreter"
        ending = process.ending_of_exit(ended.code, ended.message, what)
        if not host.ready:
            said = ended.message or last_line(host.log) or ending.message
            message = f"{what} did not come up: {said} (log: {host.log})"
            return act.Ending(_unstarted(host.library), message=message)
        if ending.outcome is Outcome.KILLED:
            return act.Ending(Outcome.KILLED, message=f"{ending.message} (log: {host.log})")
        message = f"the function ended its interpreter with exit code {ended.code} (log: {host.log})"
        return act.Ending(Outcome.EXIT_CODE, exit_code=ended.code, message=message)

    def close(self) -> None:
        for host in self._hosts.values():
            self._let_go(host)
        os.close(self._null)

    def _let_go(self, host: LiveHost) -> None:
        """Hosts come and go for as long as their worker lives: nothing of one stays but what it has said."""
        host.channel.close()
        with contextlib.suppress(OSError):  # The workspace goes at the worker's end, whatever is in it.
            remove(self._places.hosts / str(host.host))
        if host.library is None and host.log.exists() and not host.log.stat().st_size:
            host.log.unlink()


def _unstarted(library: int | None) -> Outcome:
    """What it means that a host does not come up: one that a library was to bring up may do so elsewhere."""
    return Outcome.START_FAILED if library is None else Outcome.LIBRARY_FAILED


def share_of(assignment: Assignment) -> Resources:
    """What a call may use by itself: of what its library has, a slot's part."""
    if assignment.library is None:
        return assignment.allotment
    whole, slots = assignment.allotment, assignment.library.slots
    return Resources(whole.cores / slots, whole.memory_mb / slots, whole.disk_mb / slots, whole.gpus / slots)
