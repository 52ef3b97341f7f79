"""What the comparison of a journal with the live state finds."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.simulator.faults.journal import MemoryJournal
from tests.scheduler.world import World
from vine.scheduler import actions
from vine.scheduler.records import AttemptAssigned, Record, TaskAccepted, TaskEnded
from vine.wire import messages as m


class Journaled(World):
    """A world whose records are written down, but for those that are left out."""

    def __init__(self, leaves_out: type[Any] | None = None) -> None:
        self.journal = MemoryJournal()
        self.journal.begin(0.0)
        self._leaves_out = leaves_out
        super().__init__(workers=1)

    def step(self, todo: list[actions.Action]) -> None:
        super().step(todo)
        for action in todo:
            if isinstance(action, actions.Journal):
                kept: list[Record] = [r for r in action.records if type(r) is not self._leaves_out]
                self.journal.record(tuple(kept), self.now)


def story(world: Journaled) -> None:
    """Tasks in several states, and files."""
    temp = world.temp()
    maker = world.submit((world.local_file(),), (temp,))
    world.submit((temp,), depends=(maker,))
    world.settle()
    world.submit()
    world.submit()
    world.say(m.CancelTasks((world.submit(),)))


def test_a_journal_that_has_heard_everything_agrees_however_it_was_committed() -> None:
    world = Journaled()
    story(world)
    world.journal.commit(3)
    world.journal.commit(1)
    world.journal.compare(world.core.state)
    running = sum(len(worker.attempts) for worker in world.core.state.workers.values())
    assert world.journal.open_attempts == running


@pytest.mark.parametrize("kind", [TaskAccepted, AttemptAssigned, TaskEnded])
def test_a_record_that_is_left_out_is_missed(kind: type[Any]) -> None:
    world = Journaled(leaves_out=kind)
    story(world)
    with pytest.raises((AssertionError, TypeError)):
        world.journal.compare(world.core.state)


def test_each_manager_that_writes_has_an_epoch_of_its_own() -> None:
    journal = MemoryJournal()
    assert [journal.begin(0.0), journal.begin(1.0)] == [1, 2] and journal.replay().epoch == 2
