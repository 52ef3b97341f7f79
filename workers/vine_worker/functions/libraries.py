"""Which libraries are loaded here, which of their calls run, and when does one have to go?"""

from __future__ import annotations

import enum
import heapq
from dataclasses import dataclass, field

from vine import config
from vine.names import AttemptId, FileId, ObjectId
from vine.wire.parts import LibraryOrder, Outcome, Resources
from vine.wire.worker_messages import LibraryEnded, LibraryLoaded
from vine_worker import actions as act
from vine_worker.attempts import Attempt, State
from vine_worker.board import Board
from vine_worker.functions.dispatch import NO_RESOURCES, Dispatch
from vine_worker.functions.pool import HostKind
from vine_worker.resources import Grant, Parts


class Standing(enum.Enum):
    LOADING = "loading"
    LOADED = "loaded"
    ENDING = "ending"  # or gone, but for its hosts; calls that come wait until it can be loaded again


@dataclass(slots=True)
class LoadedLibrary:
    """One loading of a library. It holds its resources until it and all its hosts are gone."""

    instance: int
    order: LibraryOrder
    kind: HostKind  # of its hosts
    needs: tuple[ObjectId, ...]
    born_s: float
    used_s: float
    standing: Standing = Standing.LOADING
    stuck: bool = False  # It took too long to load.
    gone: bool = False  # its process; its hosts may not be yet
    waiting: list[tuple[int, AttemptId]] = field(default_factory=list)  # heap, by the arrival of the calls


class LoadedLibraries:
    """The libraries of this worker: each loaded once, for as many calls at once as it has slots.

    One that nobody uses stays, as warm hosts do, until something else needs its resources.
    """

    def __init__(self, board: Board, dispatch: Dispatch) -> None:
        self._board = board
        self._dispatch = dispatch
        self._by_number: dict[FileId, LoadedLibrary] = {}
        self._by_instance: dict[int, LoadedLibrary] = {}
        dispatch.on_library_host_free = self._host_free

    # --- calls ---

    def admit(self, attempt: Attempt, order: LibraryOrder) -> bool:
        """Starts a call, or has it wait; False if its library must be loaded first."""
        library = self._by_number.get(order.number)
        if library is None:
            return False
        library.used_s = self._board.now
        if library.standing is not Standing.LOADED or not self._start(library, attempt):
            self._wait(library, attempt)
        return True

    def _wait(self, library: LoadedLibrary, attempt: Attempt) -> None:
        attempt.move(State.WAITING)
        heapq.heappush(library.waiting, (attempt.order, attempt.attempt_id))

    def load(self, attempt: Attempt, order: LibraryOrder, grant: Grant) -> None:
        """Has the library of a call loaded, with these resources for all of its calls here."""
        board, assignment = self._board, attempt.assignment
        assert assignment.function is not None, "a library has no content"
        instance = board.count()
        threads = max(1, int(grant.resources.cores / order.slots))
        kind = HostKind(assignment.environment, threads, grant.devices, order.forks, instance)
        needs = tuple(key for key in (assignment.function, assignment.environment) if key is not None)
        library = LoadedLibrary(instance, order, kind, needs, board.now, board.now)
        self._by_number[order.number] = self._by_instance[instance] = library
        board.library_grants[instance] = grant
        board.inventory.use(("library", instance), needs)
        board.actions.append(act.StartLibrary(instance, order, assignment.function, kind))
        self._wait(library, attempt)

    def _start(self, library: LoadedLibrary, attempt: Attempt) -> bool:
        """Whether a slot could be had, or a place behind a short call."""
        hosts = self._dispatch.pool.of_library(library.instance)
        if sum(1 for host in hosts if host.calls or host.ending) < library.order.slots:
            devices = self._board.library_grants[library.instance].devices
            self._dispatch.start(attempt, Grant(NO_RESOURCES, devices), library.kind)
            return True
        return self._dispatch.hand_ahead(attempt, library.kind)

    def _host_free(self, instance: int) -> None:
        """A host has run its calls, or is gone: others may begin, more than one if they are short."""
        library = self._by_instance[instance]
        library.used_s = self._board.now
        if library.standing is Standing.LOADED:
            self._wake(library, config.calls_ahead_max)
            self._end_if_not_wanted(library)
        self._forget_if_over(library)

    def _wake(self, library: LoadedLibrary, most: int) -> None:
        """Lets so many of the calls that wait try again, in their order."""
        for _ in range(most):
            if not library.waiting:
                return
            attempt = self._board.attempts.get(heapq.heappop(library.waiting)[1])
            if attempt is not None and attempt.state is State.WAITING:  # Else it was stopped, or lacks an input again.
                self._board.make_ready(attempt)

    # --- going ---

    def make_room(self, wanted: Resources, kept: Parts) -> None:
        """Somebody waits for resources: as many libraries go as that takes, all at once.

        Of those that nobody uses, the one that was used last goes last.
        """
        board, known = self._board, self._by_instance.values()
        coming = [board.library_grants[each.instance] for each in known if each.standing is Standing.ENDING]
        idle = [each for each in known if each.standing is not Standing.ENDING and not self._is_used(each)]
        for library in sorted(idle, key=lambda each: each.used_s):
            if board.ledger.would_fit(wanted, kept, coming):
                return
            self._end(library)
            coming.append(board.library_grants[library.instance])

    def end_those_of(self, object_id: ObjectId) -> None:
        """The object goes: libraries that nobody uses go with it."""
        for library in list(self._by_instance.values()):
            if object_id in library.needs and library.standing is not Standing.ENDING and not self._is_used(library):
                self._end(library)

    def _end_if_not_wanted(self, library: LoadedLibrary) -> None:
        if not self._is_used(library) and any(self._board.inventory.doomed(key) for key in library.needs):
            self._end(library)

    def _is_used(self, library: LoadedLibrary) -> bool:
        attempts = (self._board.attempts.get(attempt_id) for _order, attempt_id in library.waiting)
        if any(attempt is not None and attempt.state is State.WAITING for attempt in attempts):
            return True
        return any(host.calls for host in self._dispatch.pool.of_library(library.instance))

    def _end(self, library: LoadedLibrary, at_once: bool = False) -> None:
        library.standing = Standing.ENDING
        for host in self._dispatch.pool.of_library(library.instance):
            self._dispatch.end_host(host, at_once)
        instance = library.instance
        self._board.kill(act.EndLibrary(instance, force=False), act.EndLibrary(instance, force=True), at_once)

    def lives(self, instance: int) -> bool:
        """Whether its process has not ended."""
        library = self._by_instance.get(instance)
        return library is not None and not library.gone

    def tick(self) -> None:
        for library in self._by_instance.values():
            if library.standing is Standing.LOADING and self._board.now >= library.born_s + config.library_start_max_s:
                library.stuck = True
                self._end(library, at_once=True)

    def next_deadline(self) -> float | None:
        loading = [each for each in self._by_instance.values() if each.standing is Standing.LOADING]
        return min((library.born_s + config.library_start_max_s for library in loading), default=None)

    # --- news of their processes ---

    def ready(self, event: act.LibraryReady) -> None:
        library = self._by_instance[event.instance]
        if library.standing is not Standing.LOADING:
            return  # It is being ended.
        library.standing = Standing.LOADED
        if not event.forkable:
            library.kind = library.kind._replace(forks=False)
        self._board.send(LibraryLoaded(library.order.number, self._board.now - library.born_s))
        self._wake(library, len(library.waiting))
        self._end_if_not_wanted(library)  # Those that had waited for it may have been stopped since it was to go.

    def gone(self, event: act.LibraryGone) -> None:
        """Its hosts are gone, too, or about to be told: calls on them end with them, those that wait end now."""
        library = self._by_instance[event.instance]
        library.gone = True
        message, failed = event.message, library.standing is not Standing.ENDING
        if library.stuck:
            failed, message = True, f"it had not loaded after {config.library_start_max_s:g} s; {message}"
        library.standing = Standing.ENDING
        message = message[: config.text_chars_max]
        self._board.send(LibraryEnded(library.order.number, failed, message, event.value if failed else None))
        if failed:
            self._fail_waiting(library, message)
        self._forget_if_over(library)

    def _fail_waiting(self, library: LoadedLibrary, message: str) -> None:
        ending = act.Ending(Outcome.LIBRARY_FAILED, message=f"the library '{library.order.name}' has failed: {message}")
        waiting, library.waiting = sorted(library.waiting), []
        for _order, attempt_id in waiting:
            attempt = self._board.attempts.get(attempt_id)
            if attempt is not None and attempt.state is State.WAITING:
                attempt.ending = ending
                self._board.finish(attempt, None)

    def _forget_if_over(self, library: LoadedLibrary) -> None:
        if not library.gone or self._dispatch.pool.of_library(library.instance):
            return
        board, instance = self._board, library.instance
        del self._by_number[library.order.number], self._by_instance[instance]
        board.ledger.give_back(board.library_grants.pop(instance))
        board.remove(board.inventory.release(("library", instance), library.needs))
        self._wake(library, len(library.waiting))

    def check(self) -> None:
        """Asserts what must hold between any two events."""
        assert self._board.library_grants.keys() == self._by_instance.keys(), "a library without resources"
        waiting = {attempt_id for library in self._by_instance.values() for _order, attempt_id in library.waiting}
        for attempt in self._board.attempts.values():
            if attempt.state is State.WAITING:
                assert attempt.attempt_id in waiting, f"{attempt.attempt_id} waits for no library"
        for library in self._by_instance.values():
            hosts = self._dispatch.pool.of_library(library.instance)
            busy = sum(1 for host in hosts if host.calls)
            assert busy <= library.order.slots, f"more calls of '{library.order.name}' run than it has slots"
            assert not library.gone or hosts, "a library outlives its process and its hosts"
            if library.standing is Standing.LOADED and busy < library.order.slots:
                calls = [self._board.attempts.get(attempt_id) for _order, attempt_id in library.waiting]
                still = any(call is not None and call.state is State.WAITING for call in calls)
                assert not still or any(host.ending for host in hosts), "a slot is free, and a call waits for it"
