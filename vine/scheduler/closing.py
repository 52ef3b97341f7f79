"""Which hosts and workers are given no tasks any more, until when, and who of them is to end?"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import TYPE_CHECKING

from vine import config
from vine.names import WorkerId
from vine.scheduler import fleet
from vine.scheduler.peers import FactoryRecord
from vine.scheduler.records import HostsSet
from vine.scheduler.wall_times import drains_at
from vine.scheduler.workers import WorkerRecord
from vine.wire.messages import SetHosts
from vine.wire.parts import HostStanding
from vine.wire.worker_messages import EndWorker

if TYPE_CHECKING:
    from vine.scheduler.state import State


def set_hosts(state: State, message: SetHosts) -> None:
    """A client has said how these hosts stand; none named are all that it could mean."""
    names = message.hostnames or tuple(state.closed_hosts)
    until = None if message.seconds is None else state.now + message.seconds
    for name in names:
        if message.standing is HostStanding.OPEN:
            state.closed_hosts.pop(name, None)
        else:
            state.closed_hosts[name] = (message.standing, until)
    until_s = None if until is None else until + state.settings.wall_clock_ahead_s
    state.record(HostsSet(names, message.standing, message.seconds, until_s))
    named = frozenset(names)
    for worker in state.workers.values():
        if worker.hello.hostname in named:
            look_at(state, worker)


def worker_joined(state: State, worker: WorkerRecord) -> None:
    if (due := drains_at(worker)) is not None:
        heapq.heappush(state.drains_at, (due, worker.worker_id))
    look_at(state, worker)


def set_draining(state: State, factory: FactoryRecord, draining: Iterable[WorkerId]) -> None:
    """A factory says which of its workers are to go, which replaces what it said before."""
    before, factory.draining = factory.draining, frozenset(draining)
    for worker_id in sorted(before ^ factory.draining):
        if worker_id in state.workers:
            look_at(state, state.workers[worker_id])


def could_not_prepare(state: State, worker: WorkerRecord, message: str) -> None:
    """A task cannot even begin there. One that fails at once is always the emptiest, and would be given all of them."""
    worker.unprepared += 1
    if worker.unprepared >= config.unprepared_max and worker.ill_for is None:
        worker.ill_for = f"could not prepare {worker.unprepared} tasks in a row, the last: {message}"
        look_at(state, worker)


def look_at(state: State, worker: WorkerRecord) -> None:
    """Give the worker tasks, or none, as it and its host stand."""
    standing, _ = state.closed_hosts.get(worker.hello.hostname, (HostStanding.OPEN, None))
    worker.drains_for = _why_it_drains(state, worker)
    if worker.drains_for is None or worker.told_to_end:
        state.draining.pop(worker.worker_id, None)
    else:
        state.draining[worker.worker_id] = None
    is_barred = worker.drains_for or worker.told_to_end or worker.returning or worker.silent
    is_open = standing is HostStanding.OPEN and not is_barred
    if worker.open != is_open:
        worker.open = is_open
        state.load_changed(worker)


def _why_it_drains(state: State, worker: WorkerRecord) -> str | None:
    if worker.ill_for is not None:
        return worker.ill_for
    if is_drained(state, worker.hello.hostname):
        return "its host is drained"
    if any(worker.worker_id in factory.draining for factory in state.factories.values()):
        return "its factory lets it go"
    due = drains_at(worker)
    return "its wall time is almost over" if due is not None and state.now >= due else None


def is_drained(state: State, hostname: str) -> bool:
    standing, _ = state.closed_hosts.get(hostname, (HostStanding.OPEN, None))
    return standing is HostStanding.DRAINING


def keep(state: State) -> None:
    """Open hosts whose time is over, and end those that drain and have nothing left to do."""
    while state.drains_at and state.drains_at[0][0] <= state.now:
        worker_id = heapq.heappop(state.drains_at)[1]
        if worker_id in state.workers:
            look_at(state, state.workers[worker_id])
    over = [name for name, (_, until) in state.closed_hosts.items() if until is not None and until <= state.now]
    if over:
        set_hosts(state, SetHosts(tuple(over), HostStanding.OPEN))
    for worker_id in list(state.draining):
        worker = state.workers.get(worker_id)
        if worker is None:
            del state.draining[worker_id]  # It was lost.
        elif fleet.is_idle(state, worker):
            assert worker.drains_for is not None, "it is among those that drain"
            del state.draining[worker_id]
            worker.told_to_end = True
            state.send(worker.peer, EndWorker(worker.drains_for))
