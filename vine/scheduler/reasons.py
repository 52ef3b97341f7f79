"""Why does a task wait, and how does the run stand: answers for people, changing nothing."""

from __future__ import annotations

from collections import Counter
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from vine.names import MANAGER
from vine.scheduler import appointments, dispatch, gates, installing, mates, minitasks, returning, suspicion
from vine.scheduler.categories import Category
from vine.scheduler.copies import Broadcast
from vine.scheduler.files import FileRecord
from vine.scheduler.fleet import sizes_that_could_come, suits, unfit_message
from vine.scheduler.shapes import Shape
from vine.scheduler.tasks import HELD_BACK, NOT_BEFORE, Attempt, TaskRecord, TaskState, file_requirement
from vine.scheduler.wall_times import lasts
from vine.scheduler.workers import WorkerRecord
from vine.wire.parts import Resources, TaskKind

if TYPE_CHECKING:
    from vine.scheduler.state import State

_STAGED_SHOWN_MAX = 1000
_DOWNLOADS_SHOWN_MAX = 1000


def why(state: State, record: TaskRecord) -> str:
    """Why the task is where it is, in one line; a waiting task always has a reason."""
    if record.state is TaskState.WAITING:
        return _why_waiting(state, record)
    if record.state is TaskState.READY:
        return why_shape(state, state.placement.shape_of(record))
    if record.state.ended:
        return f"has ended: {record.state.value}"
    assert record.attempt is not None
    worker = state.workers[record.attempt.worker]
    if record.state is TaskState.STAGED:
        reason = _why_staged(state, record, record.attempt, worker)
    elif record.state is TaskState.RUNNING:
        reason = f"runs on {worker.worker_id} since {state.now - record.attempt.assigned_at:.1f} s after assignment"
    else:
        reason = f"has ended on {worker.worker_id}; the manager brings its results from there"
    return f"{reason}, which is silent for {suspicion.silence_s(state, worker):.1f} s" if worker.silent else reason


def _why_waiting(state: State, record: TaskRecord) -> str:
    if HELD_BACK in record.unmet:
        worker_id = state.held_back[record.task_id]
        left_s = state.awaited[worker_id].until - state.now
        return f"waits for {worker_id}, which ran it when the manager was restarted, to come back within {left_s:.0f} s"
    tasks = sorted(task_id for task_id in record.spec.depends if task_id in record.unmet)
    if tasks:
        others = f" and {len(tasks) - 1} more" if len(tasks) > 1 else ""
        needed = state.tasks.by_id[tasks[0]]
        return f"waits for the result of task {tasks[0]} ({needed.spec.label}, {needed.state.value}){others}"
    for file_id in record.inputs:
        if file_requirement(file_id) in record.unmet:
            return _why_no_file(state, state.files.by_id[file_id])
    if gates.ENOUGH_WORKERS in record.unmet:
        return gates.why(state.clients[record.client].workers_awaited, len(state.workers))
    assert NOT_BEFORE in record.unmet, f"task {record.task_id} waits for nothing"
    return f"waits for its start time, which is in {appointments.starts_in(state, record):.1f} s"


def _why_no_file(state: State, file: FileRecord) -> str:
    label = file.spec.label
    if file.spec.source is not None:
        return _why_no_file(state, state.files.by_id[file.spec.source])
    may_have = None if file.object_id is None else returning.who_may_have(state, file.object_id)
    if may_have is not None:
        return f"waits for {label}, which {may_have} may have, to come back after the manager's restart"
    if file.spec.url is not None:
        return _why_no_download(state, file.spec.url, label)
    if file.spec.recipe is not None and file.producer is None:
        return _why_no_file(state, minitasks.awaited(state, file))
    if file.producer is not None:
        producer = state.tasks.by_id.get(file.producer)
        standing = "" if producer is None else f", {producer.state.value}"
        return f"waits for {label}, which task {file.producer} makes{standing}"
    if file.spec.exists and file.spec.path is not None:
        return f"waits for {label} to be read and hashed by the client"
    return f"waits for {label}, which no submitted task makes"


def _why_no_download(state: State, url: str, label: str) -> str:
    download = state.downloads.by_url[url]
    if download.worker is not None:
        stopping = "; it was told to stop before, and has not answered yet" if download.stopping else ""
        lasts_s = state.now - download.began_at
        return f"waits for {label}, which {download.worker} downloads since {lasts_s:.1f} s{stopping}"
    before = f" (the last try: {download.trouble})" if download.trouble else ""
    none = "none is connected" if not state.workers else "all download as many others as they may"
    return f"waits for a worker to download {label}: {none}{before}"


def why_shape(state: State, shape: Shape) -> str:
    """Why tasks of a shape wait for a worker."""
    if shape.category is not None and shape.category.full:
        spec = shape.category.spec
        return f"waits for others of its category {spec.name!r} to end: {spec.concurrent_max} may run at once"
    if not state.workers:
        return f"waits for a worker: none is connected; {_what_factories_do(state)}"
    there = list(state.workers.values())
    if shape.strict:
        there = [state.workers[worker_id] for worker_id in dispatch.places_of(state, shape)]
        if not there:
            return "waits for a worker that has all of its strict inputs: none does"
    fitting = [worker for worker in there if suits(worker, shape)]
    if not fitting:
        return unfit_message(shape, sizes_that_could_come(state))
    closed = sum(not worker.open for worker in fitting)
    if closed == len(fitting):
        silent = sum(worker.silent for worker in fitting)
        some = f", or silent ({silent} of them)" if silent else ""
        reason = f"all {closed} workers that fit it are blocked or drained{some}"
        return f"waits for another worker, or a host to be opened: {reason}"
    fitting = [worker for worker in fitting if worker.open and lasts(worker, shape.time_min_s, state.now)]
    if not fitting:
        return f"waits for a worker that lives for {shape.time_min_s:g} s more: those that fit it end sooner"
    if shape.library is not None:
        return installing.why_no_slot(shape.library, fitting)
    short_of_disk = sum(worker.attempts_max is not None for worker in fitting)
    disk = f" ({short_of_disk} of them with few tasks at once, whose data fill the disk)" if short_of_disk else ""
    no_room = sum(shape.key in worker.no_room for worker in fitting)
    disk += f" or had no room for what such a task needs ({no_room} of them)" if no_room else ""
    kept = ", ".join(w for w in sorted(state.placement.reserved) if state.placement.reserved[w].shape == shape.key)
    kept = f"; kept free for it: {kept}" if kept else ""
    return f"waits for room: all {len(fitting)} workers that fit it are busy{disk}{kept}"


def _what_factories_do(state: State) -> str:
    if not state.factories:
        return "start some with vine-worker or vine-factory"
    statuses = [factory.status for factory in state.factories.values() if factory.status is not None]
    trouble = next((f" (its last trouble: {status.message})" for status in statuses if status.message), "")
    queued = sum(status.pending for status in statuses)
    waiting = f", {queued} wait in the queue of its batch system" if queued else ""
    return f"the factory is starting {sum(status.starting for status in statuses)}{waiting}{trouble}"


def _why_staged(state: State, record: TaskRecord, attempt: Attempt, worker: WorkerRecord) -> str:
    for known in dispatch.needed_objects(state, record):
        if known.object_id in worker.holds:
            continue
        transfer_id = state.transfers.into.get((attempt.worker, known.object_id))
        if transfer_id is not None:
            sources = dict.fromkeys(state.transfers.active[transfer_id].sources)
            return f"{attempt.worker} receives {known.label} from {', '.join(sources)}"
        if known.object_id in worker.awaits:
            mate = mates.bringer(state, worker, known)
            return f"{attempt.worker} waits for {mate}, on the same host, to bring {known.label}"
        if known.archive is not None and known.archive in worker.holds:
            return f"{attempt.worker} unpacks {known.label}"
        if known.object_id in state.transfers.wanting:
            return f"{attempt.worker} waits for a source of {known.label} with a free slot"
        return f"{attempt.worker} is about to have {known.label}"
    if record.spec.kind is TaskKind.LIBRARY and (reason := installing.why_not_begun(state, record, worker)) is not None:
        return reason
    return f"is queued on {attempt.worker} behind other tasks, or is starting there"


def _resources(resources: Resources) -> dict[str, float]:
    return {
        "cores": resources.cores,
        "memory_mb": resources.memory_mb,
        "disk_mb": resources.disk_mb,
        "gpus": resources.gpus,
    }


def snapshot(state: State) -> dict[str, Any]:
    """Plain data for the statistics row; see the keys below."""
    staged = _staged(state)
    shapes = {shape.key: why_shape(state, shape) for shape in state.placement.shapes.values() if shape.queue}
    return {
        "at": state.now,
        "epoch": state.settings.epoch,
        "tasks": {task_state.value: state.tasks.counts[task_state] for task_state in TaskState},
        "workers": [_worker(state, worker_id) for worker_id in sorted(state.workers)],
        "clients": len(state.clients),
        "workers_awaited": {str(c.index): c.workers_awaited for c in state.clients.values() if c.workers_awaited},
        "factories": [_factory(state, peer) for peer in sorted(state.factories)],
        "transfers": _transfers(state),
        "broadcasts": [_broadcast(state, broadcast) for broadcast in (*state.copies.ended, *state.copies.all())],
        "transfers_done": state.transfers.done,
        "transfers_failed": state.transfers.failed,
        "transfers_wanting": sum(len(nodes) for nodes in state.transfers.wanting.values()),
        "transfers_awaiting_mates": sum(len(worker.awaits) for worker in state.workers.values()),
        "served_at_once_max": state.transfers.served_at_once_max,  # by a worker; the manager's own is told beside it
        "downloads": _downloads(state),
        "downloads_running": len(state.downloads.running),
        "downloads_waiting": len(state.downloads.waiting),
        "downloads_done": state.downloads.done,
        "downloads_failed": state.downloads.failed,
        "downloads_changed": state.downloads.changed,
        "downloads_of_one_url_max": state.downloads.at_once_max,
        "bytes_from_urls": state.downloads.bytes_received,
        "flows_out_max_allowed": state.settings.transfers_max,
        "bytes_from_manager": state.transfers.bytes_from_manager,
        "bytes_from_peers": state.transfers.bytes_from_peers,
        "categories": [_category(category) for category in state.categories.values()],
        "libraries": installing.rows(state),
        "shapes": shapes,
        "staged": staged,
        "reasons": _reasons(state, shapes, staged),
        "failures": [
            {
                "task": failure.task_id, "label": failure.label, "outcome": failure.outcome.value,
                "message": failure.message, "worker": failure.worker_id, "log_path": failure.log_path,
            }
            for failure in state.failures
        ],
        "strange_messages": state.strange,
    }  # fmt: skip


def _worker(state: State, worker_id: str) -> dict[str, Any]:
    worker = state.workers[worker_id]  # type: ignore[index]  # keys of that very table
    status = worker.status
    states = [record.state for record in worker.attempts.values()]
    return {
        "id": worker_id,
        "hostname": worker.hello.hostname,
        "pid": worker.hello.pid,
        "capacity": _resources(worker.capacity),
        "used": _resources(worker.used),
        "running": states.count(TaskState.RUNNING),
        "staged": states.count(TaskState.STAGED),
        "objects": len(worker.holds),
        "open": worker.open,
        "ill_for": worker.ill_for,
        "silent_s": suspicion.silence_s(state, worker) if worker.silent else None,
        "since_s": state.now - worker.joined_at,
        "log_path": worker.hello.log_path,
        "store_bytes": 0 if status is None else status.store_bytes,
        "free_disk_bytes": 0 if status is None else status.free_disk_bytes,
        "sent_bytes": 0 if status is None else status.sent_bytes,
        "received_bytes": 0 if status is None else status.received_bytes,
        "flows_out": state.transfers.slots.used[worker.worker_id],
        "flows_out_max": 0 if status is None else status.flows_out_max,
        "malformed": 0 if status is None else status.malformed,
    }


def _factory(state: State, peer: str) -> dict[str, Any]:
    factory = state.factories[peer]  # type: ignore[index]  # as above
    status = factory.status
    return {
        "name": factory.hello.factory_id,
        "batch_type": factory.hello.batch_type,
        "min_workers": factory.hello.min_workers,
        "max_workers": factory.hello.max_workers,
        "pending": 0 if status is None else status.pending,
        "starting": 0 if status is None else status.starting,
        "running": 0 if status is None else status.running,
        "draining": 0 if status is None else len(status.draining),
        "message": "" if status is None else status.message,
    }


def _category(category: Category) -> dict[str, Any]:
    spec = category.spec
    return {
        "name": spec.name,
        "mode": spec.mode.value,
        "running": category.running,
        "concurrent_max": spec.concurrent_max,
        "measured": category.samples,
        "cores": category.cores,
        "memory_mb": category.memory_mb,
        "disk_mb": category.disk_mb,
    }


def _broadcast(state: State, broadcast: Broadcast) -> dict[str, Any]:
    """Its rate counts what all have got together; the bound is one transfer at the fastest rate that was seen.

    The time is that since it flows, or until then since it was asked for.
    """
    ended_at = broadcast.ended_at
    began_at = broadcast.asked_at if broadcast.began_at is None else broadcast.began_at
    seconds = (state.now if ended_at is None else ended_at) - began_at
    fastest_s = broadcast.size_bytes / broadcast.fastest if broadcast.fastest else None
    return {
        "label": broadcast.label,
        "file": broadcast.file_id,
        "object": broadcast.object_id,
        "have": broadcast.have,
        "wanted": len(broadcast.chosen) if broadcast.count is None else broadcast.count,
        "given_up": len(broadcast.given_up),
        "bytes": broadcast.size_bytes,
        "seconds": seconds,
        "bytes_per_s": broadcast.received_bytes / seconds if seconds else 0.0,
        "of_bound": min(1.0, fastest_s / seconds) if fastest_s and ended_at is not None and seconds else None,
        "ended": ended_at is not None,
    }


def _transfers(state: State) -> list[dict[str, Any]]:
    rows = []
    for transfer in state.transfers.active.values():
        known = state.files.objects.get(transfer.object_id)
        rows.append(
            {
                "transfer": str(transfer.transfer_id),
                "object": transfer.object_id,
                "label": "" if known is None else known.label,
                "source": ", ".join(dict.fromkeys(transfer.sources)),
                "destination": transfer.destination,
                "bytes": transfer.size_bytes,
                "seconds": state.now - transfer.began_at,
                "from_manager": MANAGER in transfer.sources,
            }
        )
    return rows


def _downloads(state: State) -> list[dict[str, Any]]:
    """Those that run first."""
    shown = chain(state.downloads.running.values(), state.downloads.waiting.values())
    return [
        {
            "label": download.label,
            "worker": download.worker,
            "seconds": 0.0 if download.worker is None else state.now - download.began_at,
            "trouble": download.trouble,
            "files": list(download.needed),
        }
        for download in islice(shown, _DOWNLOADS_SHOWN_MAX)
    ]


def _staged(state: State) -> dict[str, str]:
    return {str(record.task_id): why(state, record) for record in state.staged()[:_STAGED_SHOWN_MAX]}


def _reasons(state: State, shapes: dict[str, str], staged: dict[str, str]) -> list[dict[str, Any]]:
    """Why tasks wait, the commonest reason first; each with one task as an example."""
    counts: Counter[str] = Counter()
    example: dict[str, int] = {}
    for shape in state.placement.shapes.values():
        if shape.queue.head is not None:
            reason = shapes[shape.key]
            counts[reason] += len(shape.queue)
            example.setdefault(reason, shape.queue.head[2])
    waiting = state.tasks.counts[TaskState.WAITING]
    for client in [client for client in state.clients.values() if client.workers_awaited]:
        if held := gates.held(state, client):
            counts[reason := gates.why(client.workers_awaited, len(state.workers))] += len(held)
            example.setdefault(reason, held[0].task_id)
            waiting -= len(held)
    if waiting:
        counts["waits for results of other tasks, or for files"] += waiting
    for task_id, reason in staged.items():
        counts[reason] += 1
        example.setdefault(reason, int(task_id))
    return [{"reason": reason, "tasks": n, "example": example.get(reason)} for reason, n in counts.most_common(10)]
