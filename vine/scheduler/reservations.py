"""Which workers are kept free for tasks that need more room than any has, so that smaller ones cannot starve them?

A task goes to a worker that can run it at once, whichever is first. Where none can, smaller tasks would take
whatever comes free, each time too little for the large one. So the first task of a queue that has found no room for
some time has one worker kept free for it: others are given there only what leaves it its room, until the task has a
place, there or anywhere. Tasks of a higher priority than all others that wait have a worker each, and sooner; while
they wait, nothing is kept for others.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vine import config
from vine.scheduler import dispatch
from vine.scheduler.placement import Head
from vine.scheduler.workers import WorkerRecord

if TYPE_CHECKING:
    from vine.scheduler.state import State


def renew(state: State) -> None:
    """Once a while: keep workers for those who need it, and give back those that nobody needs any more."""
    placement = state.placement
    heads = [] if state.stopping else sorted(placement.heads(state.tasks.by_id))
    wanted: dict[str, tuple[Head, int]] = {}
    for head, number in _wanted(state, heads):
        wanted.setdefault(head.fit.key, (head, number))
    for worker_id, kept in list(placement.reserved.items()):
        worker = state.workers[worker_id]
        first, number = wanted.get(kept.shape, (None, 0))
        if first is not None and number and _could_have(state, first, worker):
            wanted[kept.shape] = (first, number - 1)
        else:
            placement.release(worker)
    for head, number in wanted.values():
        if number:
            for worker in heapq.nsmallest(number, _candidates(state, head), key=_soonest):
                placement.reserve(worker, head.fit)


def _wanted(state: State, heads: list[Head]) -> Iterator[tuple[Head, int]]:
    """How many workers are to be kept for each queue; the heads come best first."""
    for place, head in enumerate(heads):
        shape = head.shape
        if shape.first is not head.entry:
            shape.first, shape.first_since = head.entry, state.now
        elif place == 0 and len(heads) > 1 and head.entry[0] < heads[1].entry[0]:
            yield head, len(shape.queue)
        elif head.entry[0] == heads[0].entry[0] and state.now - shape.first_since >= config.reserve_after_s:
            yield head, 1


def _candidates(state: State, head: Head) -> Iterator[WorkerRecord]:
    places = dispatch.places_of(state, head.fit) if head.fit.strict else None
    for worker in state.workers.values():
        is_free = worker.reserved is None and (places is None or worker.worker_id in places)
        if is_free and _could_have(state, head, worker):
            yield worker


def _could_have(state: State, head: Head, worker: WorkerRecord) -> bool:
    """Whether the task could run there, were the worker empty."""
    return worker.worker_id not in head.record.avoid and head.fit.suits(worker, state.now)


def _soonest(worker: WorkerRecord) -> tuple[float, str]:
    """By who will probably have room first."""
    return worker.load, worker.worker_id
