"""Do the scheduler's tables agree with each other: an assertion for each invariant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from vine import config
from vine.names import MANAGER, ObjectId, TaskId, WorkerId
from vine.scheduler import dispatch, keeping, mates, reasons, returning, staging
from vine.scheduler.downloads import is_waited_for
from vine.scheduler.files import ObjectRecord
from vine.scheduler.flows import Transfer
from vine.scheduler.state import State
from vine.scheduler.tasks import TaskRecord, TaskState, file_requirement
from vine.scheduler.workers import WorkerRecord, amounts
from vine.wire.parts import TaskKind


def check(state: State) -> None:
    """Raise AssertionError if anything is not as it must be between two steps."""
    _check_tasks(state)
    _check_workers(state)
    _check_libraries(state)
    _check_placement(state)
    _check_objects(state)
    _check_transfers(state)
    _check_hosts(state)
    _check_downloads(state)
    _check_wanted(state)
    _check_prefetches(state)


def check_touched(state: State, tasks: Iterable[TaskId], workers: Iterable[WorkerId]) -> None:
    """As `check`, of what a step has touched; it costs no more than the step."""
    for task_id in tasks:
        record = state.tasks.by_id.get(task_id)
        if record is not None:
            _check_task(state, record)
    for worker_id in workers:
        _check_worker(state, state.workers[worker_id])
    assert not state.doomed, "a doomed task outlived its step"
    for source, flows in state.transfers.slots.used.items():
        _check_cap(state, source, flows)


def _check_tasks(state: State) -> None:
    alive = Counter(record.state for record in state.tasks.by_id.values() if not record.state.ended)
    for task_state in TaskState:
        if not task_state.ended:
            assert alive[task_state] == state.tasks.counts[task_state], f"{task_state} is miscounted"
    queued = {entry[2] for shape in state.placement.shapes.values() for entry in shape.queue}
    for record in state.tasks.by_id.values():
        if record.state is TaskState.READY:
            assert record.task_id in queued, f"task {record.task_id} is ready and in no queue"
        _check_task(state, record)
    assigned = [record for record in state.tasks.by_id.values() if record.attempt is not None]
    shapes = Counter(record.shape for record in assigned)
    assert shapes == {shape: alike.number for shape, alike in state.tasks.assigned.items()}, "attempts are miscounted"
    running = Counter(id(record.category) for record in assigned)
    for category in state.categories.values():
        assert category.running == running[id(category)], f"category {category.spec.name} is miscounted"
    for shape in state.placement.shapes.values():
        if shape.category is not None and shape.library is None:
            assert shape.request == shape.category.fill(shape.asked, shape.at_maximum), f"{shape.key} asks for the past"
    assert not state.doomed, "a doomed task outlived its step"


def _check_task(state: State, record: TaskRecord) -> None:
    assert (record.attempt is not None) == record.state.assigned, f"task {record.task_id}: {record.state}"
    if record.attempt is not None:
        worker = state.workers[record.attempt.worker]
        is_there = worker.attempts.get(record.attempt.attempt_id) is record
        assert is_there or record.task_id in worker.collecting, f"{worker.worker_id} does not know {record.task_id}"
    if record.state is TaskState.WAITING:
        assert record.unmet, f"task {record.task_id} waits for nothing"
        for file_id in record.inputs:
            if file_requirement(file_id) in record.unmet:
                assert record.task_id in state.files.by_id[file_id].waiting
    if not record.state.ended:
        assert reasons.why(state, record), f"task {record.task_id} has no reason"
    _check_result(state, record)


def _check_result(state: State, record: TaskRecord) -> None:
    """A remote result can be made again: those whose results its task takes are remembered."""
    for task_id in record.heirs:
        heir = state.tasks.by_id[task_id]
        assert heir.state.ended and heir.generation, f"task {task_id} is called an heir of {record.task_id}"
    if record.generation and record.state.ended:
        assert record.value is None and record.value_path is None, f"the result of {record.task_id} is no remote one"
        for task_id in record.spec.depends:
            assert record.task_id in state.tasks.by_id[task_id].heirs, f"{task_id} may be forgotten too early"
    if record.value_object is not None:
        assert record.task_id in state.files.objects[record.value_object].results


def _check_workers(state: State) -> None:
    for worker in state.workers.values():
        _check_worker(state, worker)


def _is_call(record: TaskRecord) -> bool:
    """Whether it takes a slot of a library, and nothing itself."""
    return record.spec.kind is TaskKind.LIBRARY


def _check_worker(state: State, worker: WorkerRecord) -> None:
    worker_id = worker.worker_id
    assert state.worker_of[worker.peer] is worker
    for attempt_id, record in worker.attempts.items():
        assert state.tasks.by_id[record.task_id] is record and record.attempt is not None
        assert (record.attempt.attempt_id, record.attempt.worker) == (attempt_id, worker_id)
        assert record.state in (TaskState.STAGED, TaskState.RUNNING)
        for file_id in record.inputs:
            is_there = state.files.object_of(file_id) is not None or record.state is TaskState.RUNNING
            assert is_there, f"task {record.task_id} lost input {file_id}"
        for known in dispatch.needed_objects(state, record) if record.state is TaskState.STAGED else ():
            there = known.object_id in worker.holds or staging.comes(state, worker, known.object_id)
            assert there, f"task {record.task_id} waits on {worker_id} for {known.object_id}, which nobody brings"
    drains = worker.drains_for is not None
    barred = worker.told_to_end or worker.returning or worker.silent or drains
    closed = barred or worker.hello.hostname in state.closed_hosts
    assert worker.open != closed, f"{worker_id} and its host disagree"
    assert (worker_id in state.draining) == (drains and not worker.told_to_end), f"{worker_id} drains or not"
    taken = [share.allotment for share in worker.libraries.values()]
    taken += [r.attempt.allotment for r in worker.attempts.values() if r.attempt and not _is_call(r)]
    totals = [sum(column) for column in zip(*map(amounts, taken), strict=True)]
    for total, used in zip(totals, amounts(worker.used), strict=False):
        assert abs(total - used) < 1e-3, f"{worker_id}: {used} taken, {total} assigned"
    assert worker.vacant is None, f"{worker_id} has something left of an attempt that nobody may use"


def _check_libraries(state: State) -> None:
    for worker_id, worker in state.workers.items():
        calls = {attempt: record.spec.function for attempt, record in worker.attempts.items() if _is_call(record)}
        slots = {attempt: number for number, share in worker.libraries.items() for attempt in share.attempts}
        assert slots == calls, f"{worker_id} has calls of other libraries"
        assert all(share.attempts for share in worker.libraries.values())
        for number in worker.libraries:
            library = state.libraries[number]
            assert worker_id in library.loaded or worker_id in library.loading, f"{worker_id} is not to load {number}"
    for library in state.libraries.values():
        known = library.loaded.keys() | library.loading.keys() | library.failed_on.keys()
        assert known <= state.workers.keys(), f"the library {library.number} is where nobody is"
        assert not library.loaded.keys() & library.loading.keys()


def _check_placement(state: State) -> None:
    """Nobody is ready whom a worker could run at once, unless the queues are about to be looked at."""
    placement = state.placement
    reserved = {w.worker_id: w.reserved for w in state.workers.values() if w.reserved is not None}
    assert placement.reserved == reserved, "workers are kept free that nobody knows of"
    for shape in placement.shapes.values() if not (placement.due or state.stopping) else ():
        if shape.category is not None and shape.category.full:
            continue
        places = dispatch.places_of(state, shape) if shape.strict else state.workers.keys()
        queued = [state.tasks.by_id.get(task_id) for _, _, task_id in shape.queue]
        for record in [each for each in queued if each is not None and each.state is TaskState.READY]:
            for worker in [state.workers[worker_id] for worker_id in places - record.avoid]:
                waits = not shape.usable(worker) or not shape.runs_at_once(worker)
                assert waits, f"task {record.task_id} waits, and {worker.worker_id} has room for it"


def _check_objects(state: State) -> None:
    for object_id, known in state.files.objects.items():
        for holder in known.holders - {MANAGER}:
            assert object_id in state.workers[holder].holds, f"{holder} is said to hold {object_id}"
        for file_id in known.files:
            assert state.files.by_id[file_id].object_id == object_id
    _check_copies(state)
    users: Counter[int] = Counter()
    for record in state.tasks.by_id.values():
        if not record.state.ended or record.generation:  # A remote result may have to be made again.
            users.update(record.inputs)
    for inputs in state.minitasks.held.values():
        users.update(inputs)
    for file_id, file in state.files.by_id.items():
        assert file.users == users[file_id], f"file {file_id}: {file.users} users counted, {users[file_id]} found"


def _check_copies(state: State) -> None:
    assert not state.unrated, "a worker was not told what its copies are worth"
    for object_id, known in state.files.objects.items():
        workers = known.holders - {MANAGER}
        hosts = {state.workers[worker_id].host_id for worker_id in workers}
        assert known.keepers <= workers, f"{object_id} is kept where it is not"
        assert len({state.workers[keeper].host_id for keeper in known.keepers}) == len(known.keepers)
        keepers = min(keeping.keepers_wanted(known), len(hosts))
        assert len(known.keepers) == keepers, f"{object_id} has {len(known.keepers)} keepers and needs {keepers}"
        for worker_id in workers:
            spare = state.workers[worker_id].told[object_id].spare
            assert spare == (worker_id not in known.keepers), f"{worker_id} was told wrong things of {object_id}"
    for object_id, holders in state.files.unclaimed.items():
        assert object_id not in state.files.objects, f"{object_id} is claimed"
        assert all(object_id in state.workers[worker_id].holds for worker_id in holders)


def _check_transfers(state: State) -> None:
    transfers = state.transfers
    assert not transfers.dirty, "a forest was not brought up to date"
    slotted = [transfer for transfer in transfers.active.values() if not transfer.within_host]
    flows = Counter(source for transfer in slotted for source in set(transfer.sources))
    assert flows == transfers.slots.used, "slots are miscounted"
    for source, n in flows.items():
        _check_cap(state, source, n)
    assert transfers.pulls == sum(transfer.destination == MANAGER for transfer in transfers.active.values())
    making = {(object_id, worker_id) for worker_id, worker in state.workers.items() for object_id in worker.making}
    assert making == {(object_id, maker) for object_id, makers in transfers.makers.items() for maker in makers}
    assert transfers.pulls <= config.manager_pulls_max
    for (node, object_id), asked in transfers.doubted.items():
        assert node == MANAGER or (node, object_id) in transfers.shunned, f"{node} is doubted, and a source"
        assert not asked or node in state.files.objects[object_id].holders, f"{node} is to verify what it has not"
    for transfer in transfers.active.values():
        for node in (*transfer.sources, transfer.destination):
            assert node == MANAGER or node in state.workers, f"transfer {transfer.transfer_id} touches {node}"
        assert transfers.into[transfer.destination, transfer.object_id] == transfer.transfer_id
        for stripe in range(len(transfer.sources)):
            _check_line(state, transfer, stripe)
        for backup in set(transfer.backups) - {None}:
            assert backup not in (None, transfer.destination) and transfer.in_forest
            assert backup in transfers.forests[transfer.object_id], f"{transfer.destination} has a backup that is gone"
            assert transfer.transfer_id in transfers.backed[backup, transfer.object_id]
    backups = [(t.transfer_id, backup) for t in transfers.active.values() for backup in set(t.backups) - {None}]
    assert len(backups) == sum(len(backed) for backed in transfers.backed.values()), "somebody is nobody's backup"
    assert not transfers.unbacked, "somebody was not told of another backup"
    for object_id in transfers.forests:
        _check_forest(state, object_id)
    _check_waiting(state)


def _check_cap(state: State, source: WorkerId, flows: int) -> None:
    extra = config.manager_small_transfers if source == MANAGER else 0
    assert flows <= state.settings.transfers_max + extra, f"{source} has {flows} flows"


def _check_waiting(state: State) -> None:
    """Whoever waits for an object that has no forest is looked at again when that may have come to be possible."""
    transfers = state.transfers
    for object_id, nodes in transfers.wanting.items():
        known = state.files.objects[object_id]
        spread = staging.is_spread(state, known)
        sources = known.holders | (set() if spread else transfers.receiving.get(object_id, {}).keys())
        noted = object_id in transfers.unpulled or object_id in transfers.ripe
        noted = noted or any(object_id in transfers.starved.get(source, ()) for source in sources)
        assert noted or not sources or (spread and MANAGER not in nodes), (
            f"nobody will look for a source of {object_id}"
        )


def _check_hosts(state: State) -> None:
    """Who waits for another worker of its host does not wait in vain, and hears when it need not wait any more."""
    together = {worker_id: host for host, workers in state.hosts.items() for worker_id in workers}
    assert together == {worker_id: worker.host_id for worker_id, worker in state.workers.items()}
    for worker_id, worker in state.workers.items():
        for object_id in worker.awaits:
            known = state.files.objects[object_id]
            assert worker_id in state.transfers.mates[object_id][worker.host_id]
            mate = mates.bringer(state, worker, known)
            assert mate is not None and mate not in known.holders, f"{worker_id} waits for {mate} to bring {object_id}"
            assert object_id not in worker.holds | worker.making and not state.transfers.is_coming(worker_id, object_id)
    for object_id, hosts in state.transfers.mates.items():
        assert all(object_id in state.workers[mate].awaits for waiting in hosts.values() for mate in waiting)


def _check_downloads(state: State) -> None:
    downloads = state.downloads
    assert downloads.at_once_max <= 1, "a URL was downloaded by two at once"
    assert downloads.at == Counter(download.worker for download in downloads.running.values())
    for download_id, running in downloads.running.items():
        assert running.download_id == download_id and downloads.by_url[running.url] is running
        assert running.worker in state.workers, f"{running.label} is downloaded by nobody who is there"
        assert downloads.at[running.worker] <= config.downloads_per_worker_max
    assert downloads.waiting == {u: d for u, d in downloads.by_url.items() if d.worker is None}
    for url, download in downloads.by_url.items():
        assert download.needed or download.stopping, f"{download.label} is downloaded for nobody"
        files = [file for file in state.files.of_url(url) if is_waited_for(state, file)]
        waited_for = {file.file_id for file in files}
        lacking = {file.file_id for file in files if not returning.has_or_may_come(state, file)}
        assert lacking <= download.needed.keys() <= waited_for, (
            f"{download.label} is said to be needed by {download.needed}"
        )
    for file in state.files.by_id.values():
        if file.spec.url is not None:
            needed = is_waited_for(state, file) and not returning.has_or_may_come(state, file)
            assert not needed or file.spec.url in downloads.by_url, f"nobody is to download {file.spec.label}"
            others = [other for other in state.files.of_url(file.spec.url) if state.files.is_available(other.file_id)]
            assert len({other.object_id for other in others}) <= 1, f"{file.spec.label} has two contents"


def _check_wanted(state: State) -> None:
    """What is wanted where though no task asks for it is there, on its way, or known to be refused."""
    copies = state.copies
    for broadcast in copies.all():
        file = state.files.by_id[broadcast.file_id]
        assert file.failure is None and not file.forgotten, f"the broadcast of {broadcast.label} has outlived its file"
        assert broadcast.missing <= broadcast.chosen <= state.workers.keys()
        if broadcast.object_id is None or broadcast.object_id != file.object_id:
            assert not state.files.is_available(file.file_id), f"{broadcast.label} is there, and is not broadcast"
            continue
        everybody = state.workers.keys() - broadcast.given_up.keys()
        waits = broadcast.missing or len(broadcast.chosen) < (broadcast.count or 1)
        assert broadcast.ended_at is not None or waits, f"all have {broadcast.label}, and nobody was told"
        assert not broadcast.for_all or broadcast.ended_at is not None or broadcast.chosen == everybody
        if broadcast.count is not None and len(broadcast.chosen) < broadcast.count:
            assert broadcast.chosen == everybody, f"{broadcast.label} could be brought to more workers"
        for worker_id in broadcast.chosen:
            held = broadcast.object_id in state.workers[worker_id].holds
            assert held == (worker_id not in broadcast.missing), f"{worker_id} and {broadcast.label}: {held=}"
            assert held or _is_coming(state, worker_id, broadcast.object_id)
    for known in state.files.objects.values():
        if known.copies > 1 and state.files.can_be_had(known):
            _check_number(state, known)
    assert all(state.files.objects[object_id].copies > 1 for object_id in copies.targets)


def _check_number(state: State, known: ObjectRecord) -> None:
    """As many hosts have it, or are about to, as are wanted or would take it."""
    object_id, copies = known.object_id, state.copies
    targets = copies.targets.get(object_id, set())
    for worker_id in targets:
        assert _is_coming(state, worker_id, object_id), f"{worker_id} is to keep {object_id} and does not get it"
    hosts = {state.workers[worker_id].host_id for worker_id in known.keepers | targets}
    assert len(hosts) == len(known.keepers) + len(targets) <= known.copies, f"{object_id} has two copies on one host"
    if len(hosts) < known.copies:
        assert object_id in copies.few
        others = [worker for worker in state.workers.values() if worker.host_id not in hosts]
        assert all((worker.worker_id, object_id) in copies.refused for worker in others), f"{object_id}: few copies"


def _is_coming(state: State, worker_id: WorkerId, object_id: ObjectId) -> bool:
    return staging.comes(state, state.workers[worker_id], object_id)


def _check_prefetches(state: State) -> None:
    prefetches = state.prefetches
    planned = {task_id: worker_id for worker_id, tasks in prefetches.plans.items() for task_id in tasks}
    assert planned == prefetches.worker_of, "plans and tasks disagree"
    assert prefetches.plans.keys() | prefetches.coming.keys() <= state.workers.keys()
    for record in state.tasks.by_id.values():
        assert record.attempt is None or record.task_id not in planned, f"task {record.task_id} is planned, and runs"
    for worker_id, object_ids in prefetches.coming.items():
        coming = [object_id for object_id in object_ids if _is_coming(state, worker_id, object_id)]
        assert len(coming) <= config.prefetch_objects_max, f"{coming} are sent ahead to {worker_id}"


def _check_line(state: State, transfer: Transfer, stripe: int) -> None:
    """From source to source it goes up to one that receives nothing: a holder, or one that waits."""
    receivers = state.transfers.receiving.get(transfer.object_id, {})
    seen: set[WorkerId] = set()
    node = transfer.destination
    while (transfer_id := receivers.get(node)) is not None:
        assert node not in seen, f"{transfer.object_id} flows in a circle"
        seen.add(node)
        sources = state.transfers.active[transfer_id].sources
        node = sources[stripe % len(sources)]
    waits = node in state.transfers.wanting.get(transfer.object_id, {})
    assert waits or node in state.files.objects[transfer.object_id].holders, f"{node} is the source of nothing"


def _check_forest(state: State, object_id: ObjectId) -> None:
    """The forest knows who has and who wants the object, and its edges are what has been ordered."""
    transfers = state.transfers
    forest, known = transfers.forests[object_id], state.files.objects[object_id]
    wanting = transfers.wanting.get(object_id, {}).keys()
    flows = transfers.receiving.get(object_id, {})
    receiving = {node for node, transfer_id in flows.items() if transfers.active[transfer_id].in_forest}
    for node in (wanting | receiving) - {MANAGER}:
        assert node in forest and not forest.has_all(node), f"{node} wants {object_id}, and nobody plans for it"
        transfer_id = transfers.into.get((node, object_id))
        ordered = () if transfer_id is None else transfers.active[transfer_id].sources
        planned = tuple(edge.parent for edge in forest.sources(node))
        assert planned == ordered, f"{node} was not told whom to ask for {object_id}"
    for node in known.holders:
        shunned = (node, object_id) in transfers.shunned
        assert (node in forest) != shunned, f"{node} has {object_id} and is in its forest: {shunned=}"
    waits = next(forest.waiting(), None) is not None
    assert not waits or object_id in transfers.hungry, f"nobody will look for slots for those who wait for {object_id}"
    everybody = {edge.child for edge in forest.edges()} | set(forest.waiting())
    assert everybody == (wanting | receiving) - {MANAGER}, f"the forest of {object_id} feeds others than want it"
