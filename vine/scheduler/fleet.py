"""How does the fleet stand: workers join, tell what they hold, and hear what the run needs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec.structs import force_setattr

from vine import config
from vine.names import MANAGER, ObjectId, WorkerId
from vine.scheduler import closing, dispatch, downloads, gates, installing, keeping, recovery, returning, staging
from vine.scheduler.actions import Forget, PeerKey
from vine.scheduler.flows import Transfer, summed
from vine.scheduler.peers import FactoryRecord
from vine.scheduler.records import WorkerJoined
from vine.scheduler.shapes import Shape
from vine.scheduler.tasks import TaskState, same
from vine.scheduler.wall_times import could_last, end_of
from vine.scheduler.workers import Terms, WorkerRecord, amounts, asked, could_fit, has_features
from vine.transfer import tokens
from vine.wire.messages import FactoryHello, FactoryWelcome, FleetDemand, RunState
from vine.wire.parts import FetchFault, Outcome, Request, Resources, WorkDemand
from vine.wire.worker_messages import DropObjects, FetchEnded, WorkerHello, WorkerWelcome

if TYPE_CHECKING:
    from vine.scheduler.state import State

_UNITS = ("cores", "MB memory", "MB disk", "gpus")
_NO_PLACE = "no worker has all of its strict inputs, and they are not sent for it: let other tasks make them there"
_REMEDY = "Ask for less, or start larger workers"


def refusal_of(state: State, hello: WorkerHello) -> str | None:
    """Why this worker cannot join, if it cannot: two that share a name would end each other's tasks for ever."""
    if hello.worker_id == MANAGER:
        return f"a worker cannot be called {MANAGER!r}: name another --worker-id"
    if closing.is_drained(state, hello.hostname):
        return f"the host {hello.hostname} is drained: start the worker on another one"
    known = state.workers.get(hello.worker_id)
    if known is None or _process(known.hello) == _process(hello):
        return None
    if state.now - known.heard_at > config.worker_replaced_after_s:
        return None
    return (
        f"a worker called {hello.worker_id!r} is connected already, from {known.hello.hostname}: name another "
        f"--worker-id, or start it {config.worker_replaced_after_s:g} s after that one has ended"
    )


def _process(hello: WorkerHello) -> tuple[str, int, str]:
    return (hello.host_id, hello.pid, hello.requests_endpoint)


def admit_worker(state: State, peer: PeerKey, hello: WorkerHello) -> None:
    force_setattr(hello, "capacity", same(hello.capacity))  # Most workers are alike, and it is looked at often.
    worker = WorkerRecord(peer, hello, state.now, state.now, idle_since=state.now, ends_at=end_of(hello, state.now))
    worker.returning = hello.epoch > 0
    state.workers[hello.worker_id] = worker
    state.worker_of[peer] = worker
    state.hosts.setdefault(hello.host_id, {})[hello.worker_id] = None
    state.placement.add_worker(worker)
    gates.worker_joined(state)
    closing.worker_joined(state, worker)
    state.downloads.looking = True
    state.copies.join(worker.worker_id, worker.host_id)
    settings = state.settings
    key = tokens.source_key(settings.run_secret, hello.worker_id)
    state.send(peer, WorkerWelcome(settings.run_id, settings.epoch, key, settings.transfers_max))
    state.record(WorkerJoined(hello.worker_id, hello.hostname, hello.capacity, hello.log_path))


def admit_factory(state: State, peer: PeerKey, hello: FactoryHello) -> None:
    """It may say who it is again in its session, with other limits. No two of a name are at work at once."""
    before = state.factories.get(peer)
    for other in [other for other, factory in state.factories.items() if factory.hello.factory_id == hello.factory_id]:
        if other != peer:
            factory_left(state, other)
    draining = before.draining if before else frozenset()
    state.factories[peer] = FactoryRecord(peer, hello, state.now, draining=draining)
    state.send(peer, FactoryWelcome(state.settings.run_id, state.settings.epoch))
    state.news_at = state.now  # It starts workers as soon as it knows of work.


def factory_left(state: State, peer: PeerKey) -> None:
    """Those whom it let go stay: the next one of its name decides anew."""
    closing.set_draining(state, state.factories[peer], ())
    del state.factories[peer]
    state.do(Forget(peer))


def announced(state: State, worker: WorkerRecord, object_id: ObjectId, forever: bool) -> None:
    """A worker says what it has: because it was sent there, or of itself when it comes."""
    if forever:
        worker.told[object_id] = Terms(spare=False, forever=True)
    elif object_id not in worker.making:
        worker.told.pop(object_id, None)  # What it was told before, or an earlier worker there, is not known.
    if forever and object_id not in state.files.objects:
        keeping.keep_unclaimed(state, worker, object_id)
    else:
        holds(state, worker, object_id)


def holds(state: State, worker: WorkerRecord, object_id: ObjectId) -> None:
    """A worker has an object complete and verified: it is a source from now on."""
    known = state.files.objects.get(object_id)
    if known is None:
        state.transfers.make_no_more(worker, object_id)
        state.tell_worker(worker.worker_id, DropObjects((object_id,)))  # Nobody needs it any more.
        return
    if object_id in worker.making and known.data is not None:
        state.transfers.bytes_from_manager = summed(state.transfers.bytes_from_manager, len(known.data))
    state.transfers.make_no_more(worker, object_id)
    was_lost = not (worker.returning or state.files.can_be_had(known))
    keeping.has_copy(state, worker, known)
    if was_lost:
        returning.is_back(state, known)  # An earlier worker there had left it.


def fetch_ended(state: State, worker: WorkerRecord, message: FetchEnded) -> None:
    """A flow into a worker is over."""
    # What came of a flow that was replaced meanwhile has cost its sources as much as any.
    from_manager = min(message.received_bytes_from_manager, message.received_bytes)
    transfers = state.transfers
    transfers.bytes_from_manager = summed(transfers.bytes_from_manager, from_manager)
    transfers.bytes_from_peers = summed(transfers.bytes_from_peers, message.received_bytes - from_manager)
    transfer = transfers.active.get(message.transfer_id)
    if transfer is None or transfer.destination != worker.worker_id:
        if message.fault is FetchFault.NONE:  # It was abandoned, and the order has crossed the word that it is here.
            announced(state, worker, message.object_id, forever=False)
            staging.plan_all(state)
        return
    state.transfers.remove(transfer)
    if not transfer.within_host:
        state.record(transfer.ended(message.fault, message.received_bytes, from_manager, message.seconds))
    if message.fault is FetchFault.NONE:
        state.transfers.done += 1
        if not (transfer.changed or transfer.within_host):
            state.ranks.transferred(set(transfer.sources), worker.worker_id, message.received_bytes, message.seconds)
        state.copies.received(transfer.object_id, message.received_bytes, message.seconds)
        state.transfers.failures.pop((worker.worker_id, transfer.object_id), None)
        holds(state, worker, transfer.object_id)
    else:
        state.transfers.failed += 1
        recovery.fetch_failed(state, transfer, message.fault, _blamed(transfer, message), message.message)
    staging.plan_all(state)


def _blamed(transfer: Transfer, message: FetchEnded) -> WorkerId | None:
    """Who has failed this flow: a source that it has had before has been replaced, and is not blamed for it."""
    if message.source is None and len(set(transfer.sources)) == 1:
        return transfer.sources[0]
    return message.source if message.source in transfer.sources else None


def sizes_that_could_come(state: State) -> list[Resources]:
    sizes = [worker.capacity for worker in state.workers.values()]
    return sizes + [factory.hello.capacity for factory in state.factories.values()]


def fail_what_fits_nowhere(state: State) -> None:
    """A task that no worker that could come can run is an error soon, not a hang."""
    if state.awaited:
        return  # One that fits may come back.
    sizes = sizes_that_could_come(state)
    for shape in list(state.placement.shapes.values()):
        lacks_place = bool(shape.strict) and not dispatch.places_of(state, shape)
        if not shape.queue or not sizes or (_fits_somewhere(state, shape) and not lacks_place):
            shape.unfit_since = None
        elif shape.unfit_since is None:
            shape.unfit_since = state.now
        elif state.now - shape.unfit_since >= state.settings.no_fit_grace_s:
            shape.unfit_since = None  # Those that come later have their own time.
            outcome = Outcome.FIXED_LOCATION_MISSING if lacks_place else Outcome.NO_WORKER_FITS
            message = _NO_PLACE if lacks_place else unfit_message(shape, sizes)
            for _, _, task_id in shape.queue:
                record = state.tasks.by_id.get(task_id)
                if record is not None and record.state is TaskState.READY:
                    named = f"task {task_id} ({record.spec.label}): {message}"
                    state.doom(task_id, outcome, named)


def try_again_where_avoided(state: State) -> None:
    """Whoever is left is better than nobody: where a task's data could not be had is counted, and so comes to an end.

    Only the heads of queues are looked at, each time that this is called.
    """
    for head in state.placement.heads(state.tasks.by_id):
        if head.record.avoid and not dispatch.suits_another(state, head.record):
            head.record.avoid = frozenset()
            state.placement.due = True


def _fits_somewhere(state: State, shape: Shape) -> bool:
    if shape.strict:  # Workers that come have none of its inputs.
        return any(suits(state.workers[worker_id], shape) for worker_id in dispatch.places_of(state, shape))
    return any(suits(worker, shape) for worker in state.workers.values()) or any(
        could_fit(shape.request, factory.hello.capacity) and offers(factory.hello, shape.features, shape.time_min_s)
        for factory in state.factories.values()
    )


def suits(worker: WorkerRecord, shape: Shape) -> bool:
    """Whether a worker like this one could run a task of the shape, if it were new and empty."""
    fits = shape.allotment(worker.capacity) is not None and has_features(worker, shape.features)
    return fits and could_last(worker, shape.time_min_s)


def unfit_message(shape: Shape, sizes: list[Resources]) -> str:
    """What it is that no worker has, and the most that one has of that."""
    largest = [max(column) for column in zip(*map(amounts, sizes), strict=True)]
    needs = list(zip(asked(shape.request), largest, _UNITS, strict=True))
    too_much = [(need, has, unit) for need, has, unit in needs if need is not None and need > has]
    if too_much:
        asks = " and ".join(f"{_figure(need)} {unit}" for need, _, unit in too_much)
        has = " and ".join(f"{_figure(has)} {unit}" for _, has, unit in too_much)
        return f"no worker fits it: it asks for {asks}, and the largest worker has {has}. " + _REMEDY
    wanted = [f"{_figure(need)} {unit}" for need, _, unit in needs if need is not None]
    wanted += [f"the feature {feature}" for feature in shape.features]
    wanted += [f"{_figure(shape.time_min_s)} s to live"] if shape.time_min_s else []
    return f"no worker fits it: none has all that it asks for ({', '.join(wanted) or 'nothing'}). " + _REMEDY


def _figure(amount: float) -> str:
    return f"{amount:.10g}"


def tell_news(state: State) -> None:
    """Let clients and factories know how the run stands, if it has changed."""
    if state.now < state.news_at:
        return
    state.news_at = state.now + config.statistics_interval_s
    if state.clients:
        news = run_state(state)
        for client in state.clients.values():
            if client.told != news:
                client.told = news
                state.send(client.peer, news)
    for factory in state.factories.values():
        demand = fleet_demand(state, factory.hello, factory.draining)
        if factory.told != demand:
            factory.told = demand
            state.send(factory.peer, demand)


def run_state(state: State) -> RunState:
    return RunState(
        workers=len(state.workers),
        cores=sum([worker.capacity.cores for worker in state.workers.values()]),
        tasks={task_state.value: n for task_state, n in state.tasks.counts.items()},
        bytes_from_manager=state.transfers.bytes_from_manager,
        bytes_from_peers=state.transfers.bytes_from_peers,
    )


def offers(hello: FactoryHello, features: tuple[str, ...], time_min_s: float = 0.0) -> bool:
    """Whether the factory's workers have these features and live that long."""
    return set(features) <= set(hello.features) and time_min_s <= (hello.wall_time_s or math.inf)


def fleet_demand(state: State, factory: FactoryHello, draining: Iterable[WorkerId] = ()) -> FleetDemand:
    """What there is to do for workers as this factory starts them, and of whom we have heard that it lets them go."""
    running: Counter[Request] = Counter()
    for alike in state.tasks.assigned.values():
        if offers(factory, alike.example.spec.features):
            running[installing.demand_of(state, alike.example)] += alike.number
    workers = state.workers.values()
    return FleetDemand(
        waiting=tuple(WorkDemand(request, n) for request, n in _waiting(state, factory).items()),
        running=tuple(WorkDemand(request, n) for request, n in running.items()),
        connected=tuple(sorted(state.workers)),
        idle=tuple(sorted([w.worker_id for w in workers if not w.attempts and is_idle(state, w)])),
        tasks_at_once_max=state.feeding.tasks_at_once_max,
        draining=tuple(sorted(draining)),
        missing=gates.missing(state),
    )


def _waiting(state: State, factory: FactoryHello) -> Counter[Request]:
    """The tasks that would run if such workers came: not if their category has its fill, or their place is fixed."""
    waiting: Counter[Request] = Counter()
    room: dict[int, int] = {}  # that limited categories have left, shared by all of their shapes
    for shape in state.placement.shapes.values():
        if not shape.queue or shape.strict or not offers(factory, shape.features, shape.time_min_s):
            continue  # Workers that come have none of the inputs that strict tasks wait for.
        tasks = len(shape.queue)
        if (category := shape.category) is not None and (most := category.spec.concurrent_max) is not None:
            left = room.setdefault(id(category), max(0, most - category.running))
            tasks = min(tasks, left)
            room[id(category)] = left - tasks
        if tasks:
            waiting[shape.request if shape.library is None else shape.library.request_of_one] += tasks
    waiting.update(downloads.requests(state))
    return waiting


def is_idle(state: State, worker: WorkerRecord) -> bool:
    return not (worker.attempts or worker.collecting or worker.worker_id in state.downloads.at)
