"""Which hosts are given no tasks any more, and until when?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vine.scheduler import fleet
from vine.scheduler.records import HostsSet
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
    state.record(HostsSet(names, message.standing, until_s))
    named = frozenset(names)
    for worker in state.workers.values():
        if worker.hello.hostname in named:
            look_at(state, worker)


def look_at(state: State, worker: WorkerRecord) -> None:
    """Give the worker tasks, or none, as its host stands."""
    standing, _ = state.closed_hosts.get(worker.hello.hostname, (HostStanding.OPEN, None))
    worker.draining = standing is HostStanding.DRAINING
    is_open = standing is HostStanding.OPEN and not worker.told_to_end and not worker.returning
    if worker.open != is_open:
        worker.open = is_open
        state.load_changed(worker)


def is_drained(state: State, hostname: str) -> bool:
    standing, _ = state.closed_hosts.get(hostname, (HostStanding.OPEN, None))
    return standing is HostStanding.DRAINING


def keep(state: State) -> None:
    """Open hosts whose time is over, and end the workers of drained ones that have nothing left to do."""
    if not state.closed_hosts:
        return
    over = [name for name, (_, until) in state.closed_hosts.items() if until is not None and until <= state.now]
    if over:
        set_hosts(state, SetHosts(tuple(over), HostStanding.OPEN))
    for worker in state.workers.values():
        if worker.draining and not worker.told_to_end and fleet.is_idle(state, worker):
            worker.told_to_end = True
            state.send(worker.peer, EndWorker("its host is drained"))
