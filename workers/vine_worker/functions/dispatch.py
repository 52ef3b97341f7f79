"""Which call goes to which host, and what does a host's news mean for its calls?"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vine import config
from vine.names import AttemptId, ObjectId
from vine.wire.parts import Resources, TaskKind
from vine_worker import actions as act
from vine_worker.attempts import AT_ONCE, Attempt, State
from vine_worker.board import Board
from vine_worker.functions.pool import HostKind, HostPool, HostRecord
from vine_worker.resources import Grant

NO_RESOURCES = Resources()
_EWMA_SHARE = 0.2  # of the newest call in a function's expected duration
_RUN_S_MIN = 1e-6  # A call that took no time at all is taken to have taken this.


class Dispatch:
    """The calls that hosts have.

    A host holds the resources of its calls; those behind the first run on them one after another. What a
    host has not begun can be taken back, so that which call runs is always known exactly.
    """

    def __init__(self, board: Board, hosts_max: int) -> None:
        self._board = board
        self.pool = HostPool(hosts_max)
        self._run_s: dict[tuple[ObjectId | None, str], float] = {}  # how long calls of a function run
        self.on_library_host_free: Callable[[int], None] = lambda instance: None  # or gone

    # --- giving calls ---

    def start(self, attempt: Attempt, grant: Grant, kind: HostKind | None = None) -> None:
        """Starts a call on a host of its own, of this kind or of that which the call asks for."""
        host = self._host_for(attempt, kind or attempt.host_kind(grant))
        host.grant = grant
        self._give(attempt, host)
        if host.ready:
            self._begin(attempt, host)
        else:
            attempt.move(State.RUNNING)  # Its time counts from when the interpreter is up.

    def _host_for(self, attempt: Attempt, kind: HostKind) -> HostRecord:
        host = self.pool.take_idle(kind)
        if host is not None and self._keeps_too_much(host, attempt):
            self.end_host(host)
            host = None
        if host is None:
            surplus = self.pool.surplus() if kind.library is None else None
            if surplus is not None:
                self.end_host(surplus)
            host = self.pool.add(kind, self._board.now)
            if kind.environment is not None:
                self._board.inventory.use(("host", host.number), (kind.environment,))
            self._board.actions.append(act.StartHost(host.number, kind))
        return host

    @staticmethod
    def _keeps_too_much(host: HostRecord, attempt: Attempt) -> bool:
        """Whether the call might be blamed for what those before it have left in the host's memory."""
        limits = attempt.assignment.limits
        if limits is None or limits.memory_mb is None:
            return False
        return host.left_mb > limits.memory_mb * config.host_memory_reused

    def hand_ahead(self, attempt: Attempt, library: HostKind | None = None) -> bool:
        """Gives a short call to a busy host: it runs back to back with those before it, on their resources.

        Hosts of a library, whose kind is then named, have no resources of their own.
        """
        assignment = attempt.assignment
        run_s = self._run_s.get(attempt.body)
        if run_s is None or not attempt.plain or len(assignment.payload) > config.call_ahead_bytes_max:
            return False
        if sum(len(value.value or b"") for value in assignment.values) > config.call_ahead_bytes_max:
            return False
        forks = assignment.kind is TaskKind.FORK if library is None else library.forks
        if forks:
            run_s += config.fork_s
        depth_max = min(config.calls_ahead_max, int(config.calls_ahead_s / max(run_s, _RUN_S_MIN)))
        instance = None if library is None else library.library
        allotment = assignment.allotment if library is None else NO_RESOURCES
        host = self.pool.to_hand_ahead(
            assignment.environment, forks, allotment, depth_max, self._board.now, instance
        )  # fmt: skip
        if host is None:
            return False
        attempt.move(State.HANDED)
        self._give(attempt, host)
        return True

    def _give(self, attempt: Attempt, host: HostRecord) -> None:
        attempt.host = host.number
        host.calls.append(attempt.attempt_id)
        self._board.actions.append(act.RunCall(host.number, attempt.assignment))

    def _begin(self, attempt: Attempt, host: HostRecord) -> None:
        """The first of the host's calls runs now."""
        if attempt.state is not State.RUNNING:
            attempt.move(State.RUNNING)
        host.started_s = self._board.now
        self._board.count_time(attempt)

    # --- taking them back, ending hosts ---

    def tick(self) -> None:
        for host in list(self.pool.overdue(self._board.now)):
            self.recall(host)
        for host in self.pool.stuck(self._board.now):
            self.end_host(host)

    def recall(self, host: HostRecord) -> None:
        """What the host has not begun comes back; then it is clear what runs."""
        host.recalled = True
        self._board.actions.append(act.TakeBack(host.number))

    def end_host(self, host: HostRecord, at_once: bool = False) -> None:
        if not host.ending:
            self.pool.withdraw(host)
            self._board.kill(act.EndHost(host.number, force=False), act.EndHost(host.number, force=True), at_once)

    def end_hosts_of(self, environment: ObjectId) -> None:
        for host in self.pool.idle_of(environment):
            self.end_host(host)

    # --- hosts' news ---

    def host_ready(self, event: act.HostReady) -> None:
        host = self.pool.hosts[event.host]
        host.ready, host.loaded_mb, host.forked = True, event.loaded_mb, event.forked
        if host.calls:
            self._begin(self._board.attempts[host.calls[0]], host)

    def calls_ended(self, event: act.CallsEnded) -> None:
        host = self.pool.hosts[event.host]
        for attempt_id, ending in event.ends:
            first = host.calls.popleft()
            assert first == attempt_id, "a host answered out of turn"
            attempt = self._board.attempts[first]
            body, run_s = attempt.body, ending.run_s
            host.left_mb = ending.left_mb or host.left_mb
            if run_s is not None:
                before_s = self._run_s.get(body, run_s)
                self._run_s[body] = before_s + _EWMA_SHARE * (run_s - before_s)
            self._board.ended(attempt, ending)
        if not host.calls:
            self._rest(host)
        elif not host.recalled:  # Else the next ones may be on their way back.
            self._begin(self._board.attempts[host.calls[0]], host)

    def _rest(self, host: HostRecord) -> None:
        assert host.grant is not None, "a busy host had no resources"
        self._board.ledger.give_back(host.grant)
        host.grant = None
        self.pool.rest(host)
        if host.kind.library is not None:
            self.on_library_host_free(host.kind.library)
        elif host.kind.environment is not None and self._board.inventory.doomed(host.kind.environment):
            self.end_hosts_of(host.kind.environment)

    def calls_returned(self, event: act.CallsReturned) -> None:
        host = self.pool.hosts[event.host]
        self._return_calls(host, event.attempts)
        if not host.calls:
            if host.grant is not None:
                self._rest(host)
            return
        running = self._board.attempts[host.calls[0]]
        if running.state is State.HANDED:
            self._begin(running, host)
        elapsed_s = self._board.now - running.started_s
        if running.stop is not None:
            self.end_host(host, running.stop in AT_ONCE)
        elif elapsed_s >= config.calls_ahead_s:
            self._run_s[running.body] = elapsed_s  # The next ones of its kind are not handed ahead.

    def _return_calls(self, host: HostRecord, returned: Iterable[AttemptId]) -> None:
        for attempt_id in returned:
            host.calls.remove(attempt_id)
            attempt = self._board.attempts[attempt_id]
            attempt.host = None
            attempt.started_s = 0.0
            self._board.take_back(attempt)

    def host_ended(self, event: act.HostEnded) -> None:
        host = self.pool.remove(event.host)
        assert host is not None, "a host ended twice"
        # A host that never came up is the fault of its first call, which would only kill the next host too.
        blamed = {host.calls[0]} if host.calls and not host.ready else set(host.calls) - set(event.unread)
        self._return_calls(host, [attempt_id for attempt_id in event.unread if attempt_id not in blamed])
        assert blamed == set(host.calls), "a host ran more than one call"
        for attempt_id in blamed:
            self._board.ended(self._board.attempts[attempt_id], event.ending)
        if host.grant is not None:
            self._board.ledger.give_back(host.grant)
        if host.kind.environment is not None:
            self._board.remove(self._board.inventory.release(("host", host.number), (host.kind.environment,)))
        if host.kind.library is not None:
            self.on_library_host_free(host.kind.library)

    def check(self) -> None:
        self.pool.check()
        for attempt in self._board.attempts.values():
            if attempt.host is not None:
                assert attempt.attempt_id in self.pool.hosts[attempt.host].calls, f"{attempt.attempt_id} is on no host"
