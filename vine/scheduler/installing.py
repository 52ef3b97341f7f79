"""What happens to libraries and their calls: installed, given slots, loaded, failed, removed?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vine import config
from vine.names import FileId, WorkerId
from vine.scheduler import completion, dispatch, recovery
from vine.scheduler.actions import PeerKey
from vine.scheduler.libraries import LibraryRecord
from vine.scheduler.peers import ClientRecord
from vine.scheduler.records import LibraryInstalled, LibraryRemoved
from vine.scheduler.tasks import TaskRecord, TaskState
from vine.scheduler.workers import WorkerRecord, could_fit
from vine.wire.parts import LibraryOrder, LibrarySpec, Outcome, Request, Resources, TaskKind, TaskSpec
from vine.wire.worker_messages import LibraryEnded, LibraryLoaded

if TYPE_CHECKING:
    from vine.scheduler.state import State

# A call that has ended like this did run: its library is well.
_RAN = frozenset({Outcome.SUCCESS, Outcome.EXCEPTION, Outcome.NOT_SERIALISABLE, Outcome.EXIT_CODE})


# --- what clients say ----------------------------------------------------------------------------


def install(state: State, client: ClientRecord, spec: LibrarySpec) -> None:
    """Calls may name it from now on. Workers load it when the first one comes."""
    file = state.files.by_id.get(spec.file_id)
    if file is None or file.client != client.peer or spec.file_id in state.libraries:
        state.strange += 1
        return
    state.libraries[spec.file_id] = LibraryRecord(spec, client.peer)
    state.record(LibraryInstalled(spec))


def remove(state: State, client: ClientRecord, number: FileId) -> None:
    """Calls that run may end. Workers end it when its file is dropped, which the client forgets too."""
    library = state.libraries.get(number)
    if library is None or library.client != client.peer or library.removed:
        state.strange += 1
        return
    library.removed = True
    state.record(LibraryRemoved(number))
    _end_calls(state, library, {TaskState.STAGED})


def client_left(state: State, peer: PeerKey) -> None:
    for number in [number for number, library in state.libraries.items() if library.client == peer]:
        del state.libraries[number]


def _end_calls(state: State, library: LibraryRecord, assigned: set[TaskState]) -> None:
    """End its calls that no worker has, and those that have an attempt in one of these states."""
    for record in state.tasks.by_id.values():
        if record.spec.function != library.number or record.spec.kind is not TaskKind.LIBRARY or record.state.ended:
            continue
        if record.state in assigned and record.attempt is not None:
            recovery.withdraw(state, record)
        if record.attempt is None and (trouble := trouble_of(state, record.spec)) is not None:
            state.doom(record.task_id, *trouble)


def trouble_of(state: State, spec: TaskSpec) -> tuple[Outcome, str] | None:
    """Why a call cannot run, if its library is the reason."""
    library = None if spec.function is None else state.libraries.get(spec.function)
    if library is None:
        return Outcome.LIBRARY_MISSING, f"the library of '{spec.label}' is not installed: install it before its calls"
    name = library.spec.name
    if library.removed:
        return Outcome.LIBRARY_MISSING, f"the library '{name}' was removed before '{spec.label}' had begun"
    if spec.command not in library.spec.functions:
        return Outcome.LIBRARY_MISSING, f"the library '{name}' has no function '{spec.command}': see how it was made"
    if library.broken:
        return Outcome.LIBRARY_FAILED, _told(library)
    return None


def _told(library: LibraryRecord) -> str:
    return (
        f"the library '{library.spec.name}' could not be loaded, {library.failures} times in a row: "
        f"{library.trouble}; mend it and install it anew"
    )


def what_was_raised(state: State, record: TaskRecord) -> bytes | None:
    """The serialised exception for a call whose library has failed."""
    library = None if record.spec.function is None else state.libraries.get(record.spec.function)
    return None if library is None else library.raised


# --- calls -----------------------------------------------------------------------------------------


def library_of(state: State, spec: TaskSpec) -> LibraryRecord:
    assert spec.kind is TaskKind.LIBRARY and spec.function is not None, f"task {spec.task_id} has no library"
    return state.libraries[spec.function]


def places_of(state: State, spec: TaskSpec) -> set[WorkerId]:
    """The workers that have loaded a call's library, or are about to."""
    library = library_of(state, spec)
    return library.loaded.keys() | library.loading.keys()


def take_slot(state: State, record: TaskRecord, worker: WorkerRecord, allotment: Resources) -> None:
    """The worker is given a call: the first one has it load the library."""
    library = library_of(state, record.spec)
    worker.take_slot(record, library.number, library.slots_of(allotment))
    if worker.worker_id not in library.loaded:
        library.loading.setdefault(worker.worker_id, state.now)


def order_of(state: State, spec: TaskSpec, allotment: Resources) -> LibraryOrder:
    library = library_of(state, spec)
    enforced = spec.policy is None or spec.policy.enforce
    memory_mb = library.spec.request.memory_mb if enforced else None
    return LibraryOrder(library.number, library.spec.name, library.slots_of(allotment), library.spec.forks, memory_mb)


def with_own_limits(state: State, spec: TaskSpec, request: Request) -> Request:
    """What a call may use: what it says itself, else as much memory as its library has."""
    if request.memory_mb is not None:
        return request
    return Request(memory_mb=library_of(state, spec).spec.request.memory_mb, disk_mb=request.disk_mb)


def demand_of(state: State, record: TaskRecord) -> Request:
    """What a task that runs needs of the fleet."""
    if record.spec.kind is not TaskKind.LIBRARY:
        return record.request
    return library_of(state, record.spec).request_of_one


def call_ended(state: State, record: TaskRecord, outcome: Outcome) -> None:
    """A call has ended on its worker: if it has run, so can others."""
    if outcome in _RAN:
        library_of(state, record.spec).failures = 0


def call_failed(state: State, record: TaskRecord, message: str) -> None:
    """A call, which has no attempt any more, was told that its library has failed: it goes elsewhere, or ends."""
    record.losses += 1
    if record.losses >= config.worker_losses_max and trouble_of(state, record.spec) is None:
        completion.end(state, record, Outcome.LIBRARY_FAILED, message)
    else:
        dispatch.reconsider(state, record)


# --- what workers say ------------------------------------------------------------------------------


def loaded(state: State, worker: WorkerRecord, message: LibraryLoaded) -> None:
    library = state.libraries.get(message.library)
    if library is not None:
        library.loading.pop(worker.worker_id, None)
        library.loaded[worker.worker_id] = message.seconds
        worker.keeps(message.library, True)
        state.load_changed(worker)


def ended(state: State, worker: WorkerRecord, message: LibraryEnded) -> None:
    """It is gone from a worker. Of those that fail one after the other the last one is the last that is tried."""
    worker.keeps(message.library, False)
    state.load_changed(worker)
    library = state.libraries.get(message.library)
    if library is None:
        return
    library.loading.pop(worker.worker_id, None)
    was_loaded = library.loaded.pop(worker.worker_id, None) is not None
    if library.number in worker.libraries:
        library.loading[worker.worker_id] = state.now  # Calls that came meanwhile have it loaded again.
    if not message.failed:
        return
    library.failures += 1
    library.trouble, library.raised = f"on {worker.worker_id}: {message.message}", message.value
    if not was_loaded:  # What has died after it was loaded may well be loaded there again.
        library.failed_on[worker.worker_id] = state.now
    if library.failures >= config.library_tries_max:
        library.broken = True
        _end_calls(state, library, set())
    _pardon_if_nowhere_left(state, library)


def worker_lost(state: State, worker_id: WorkerId) -> None:
    for library in state.libraries.values():
        library.loading.pop(worker_id, None)
        library.loaded.pop(worker_id, None)
        library.failed_on.pop(worker_id, None)
        if library.failed_on:
            _pardon_if_nowhere_left(state, library)


def _pardon_if_nowhere_left(state: State, library: LibraryRecord) -> None:
    """It has failed wherever it could be loaded: better try there again than wait for ever."""
    others = (worker for worker in state.workers.values() if worker.worker_id not in library.failed_on)
    if not any(could_fit(library.spec.request, worker.capacity) for worker in others):
        library.failed_on.clear()
        state.placement.library_changed(library)


def keep(state: State) -> None:
    """After a while a worker where a library has failed may try again: a call may be bound to it."""
    for library in state.libraries.values():
        over = [each for each, at in library.failed_on.items() if state.now - at >= config.library_retry_s]
        for worker_id in over:
            del library.failed_on[worker_id]
        if over:
            state.placement.library_changed(library)


# --- for people ------------------------------------------------------------------------------------


def why_no_slot(library: LibraryRecord, fitting: list[WorkerRecord]) -> str:
    """Why calls of a library wait for a worker; these would do."""
    name = library.spec.name
    shares = [worker.libraries[library.number] for worker in fitting if library.number in worker.libraries]
    busy = len(fitting) - len(shares) - sum(worker.worker_id in library.failed_on for worker in fitting)
    waits = f"waits for room for the library '{name}'"
    if shares:
        slots = sum(share.slots for share in shares)
        waits = f"waits for a slot of the library '{name}': its {slots} slots on {len(shares)} workers are taken"
    others = f", and {busy} others that fit it are busy" if busy else ""
    failed = f" (it has failed {library.trouble})" if library.failed_on else ""
    return f"{waits}{others}{failed}"


def why_not_begun(state: State, record: TaskRecord, worker: WorkerRecord) -> str | None:
    """Why a call does not begin whose inputs are on its worker, if its library is the reason."""
    library = library_of(state, record.spec)
    since = library.loading.get(worker.worker_id)
    if since is None:
        return None
    return f"{worker.worker_id} loads the library '{library.spec.name}' since {state.now - since:.1f} s"


def rows(state: State) -> list[dict[str, Any]]:
    """Plain data for the statistics row."""
    calls: dict[FileId, int] = {}
    for worker in state.workers.values():
        for number, share in worker.libraries.items():
            calls[number] = calls.get(number, 0) + len(share.attempts)
    return [
        {
            "name": library.spec.name,
            "functions": list(library.spec.functions),
            "slots": library.spec.slots,
            "loaded_on": len(library.loaded),
            "loading_on": len(library.loading),
            "load_s": max(library.loaded.values(), default=None),
            "calls": calls.get(number, 0),
            "failures": library.failures,
            "trouble": library.trouble,
            "broken": library.broken,
        }
        for number, library in state.libraries.items()
        if not library.removed
    ]
