"""The checker sees what is wrong: each table is spoilt once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.scheduler.world import World
from vine.names import WorkerId
from vine.scheduler.check import check
from vine.scheduler.queues import Queue
from vine.scheduler.state import State
from vine.scheduler.tasks import TaskState


def _miscount(state: State) -> None:
    state.tasks.counts[TaskState.READY] += 1


def _lose_queue(state: State) -> None:
    for shape in state.placement.shapes.values():
        shape.queue = Queue()


def _overbook(state: State) -> None:
    next(iter(state.workers.values())).attempts.clear()


def _false_holder(state: State) -> None:
    next(iter(state.files.objects.values())).holders.add(next(iter(state.workers)))


def _forget_user(state: State) -> None:
    next(iter(state.files.by_id.values())).users -= 1


def _miscount_flows(state: State) -> None:
    state.transfers.slots.used[WorkerId("manager")] -= 1


@pytest.mark.parametrize("spoil", [_miscount, _lose_queue, _overbook, _false_holder, _forget_user, _miscount_flows])
def test_a_spoilt_table_is_noticed(spoil: Callable[[State], None]) -> None:
    world = World(workers=1)
    for _ in range(2):
        world.submit((world.local_file(),))
    check(world.core.state)
    spoil(world.core.state)
    with pytest.raises(AssertionError):
        check(world.core.state)
