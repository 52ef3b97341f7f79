"""Whose tasks wait until so many workers are connected?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vine.names import TaskId
from vine.scheduler import dispatch
from vine.scheduler.peers import ClientRecord
from vine.scheduler.tasks import TaskRecord, TaskState, added, removed

if TYPE_CHECKING:
    from vine.scheduler.state import State

ENOUGH_WORKERS = TaskId(-(1 << 65))  # How `TaskRecord.unmet` names them: no task or file is called so.


def await_workers(state: State, client: ClientRecord, count: int) -> None:
    """What the client submits from now on waits until so many are connected at once; 0 lets go what waits."""
    client.workers_awaited = count
    _open_if_enough(state, client)


def worker_joined(state: State) -> None:
    for client in state.clients.values():
        if client.workers_awaited:
            _open_if_enough(state, client)


def hold(state: State, record: TaskRecord) -> None:
    """Have a new task wait, if its client wants that."""
    client = state.clients.get(record.client)
    if client is not None and client.workers_awaited:
        record.unmet = added(record.unmet, ENOUGH_WORKERS)


def held(state: State, client: ClientRecord) -> list[TaskRecord]:
    """The client's tasks that wait so. Looks through all of them: ask only while there is a gate."""
    known = state.tasks.of_client(client.index)
    return [record for record in known if record.state is TaskState.WAITING and ENOUGH_WORKERS in record.unmet]


def missing(state: State) -> int:
    """How many more workers are awaited."""
    most = max((client.workers_awaited for client in state.clients.values()), default=0)
    return max(0, most - len(state.workers))


def why(awaited: int, connected: int) -> str:
    return f"waits for {awaited} workers to be connected, as its client has asked for; {connected} are"


def _open_if_enough(state: State, client: ClientRecord) -> None:
    if len(state.workers) < client.workers_awaited:
        return
    client.workers_awaited = 0  # Whoever is lost later is not waited for again.
    for record in held(state, client):
        record.unmet = removed(record.unmet, ENOUGH_WORKERS)
        if not record.unmet:
            dispatch.reconsider(state, record)
