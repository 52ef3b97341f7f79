"""What the comparison of a journal with the live state finds."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.simulator.faults import mirror
from benchmarks.simulator.faults.journal import MemoryJournal
from tests.scheduler.world import World
from vine.scheduler import actions
from vine.scheduler.records import (
    AttemptAssigned,
    CategorySet,
    FilesForgotten,
    LibraryInstalled,
    ObjectBound,
    Record,
    ResultsForgotten,
    TaskAccepted,
    TaskEnded,
    TaskReady,
)
from vine.wire import messages as m
from vine.wire.parts import CategorySpec, LibrarySpec


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

    def compare(self) -> None:
        mirror.compare(self.core.state, self.journal.would_be(), frozenset())


def story(world: Journaled) -> None:
    """Tasks in several states, files, a library and a category."""
    temp, local = world.temp(), world.local_file()
    maker = world.submit((local,), (temp,))
    world.submit((temp,), depends=(maker,))
    world.settle()
    world.say(m.ForgetResults((maker,)))
    world.submit()
    world.submit()
    world.say(m.CancelTasks((world.submit(),)))
    world.say(m.SetCategory(CategorySpec("a", concurrent_max=1)))
    world.say(m.InstallLibrary(LibrarySpec(world.buffer(b"library"), "lib", ("f",))))
    other = world.local_file("other")
    world.submit((other,))
    world.say(m.ForgetFiles((other,)))


def test_a_journal_that_has_heard_everything_agrees_however_it_was_committed() -> None:
    world = Journaled()
    story(world)
    world.journal.commit(3)
    world.journal.commit(1)
    world.compare()
    world.journal.commit()
    world.compare()
    running = sum(len(worker.attempts) for worker in world.core.state.workers.values())
    assert world.journal.open_attempts == running


KINDS = [
    TaskAccepted, AttemptAssigned, TaskEnded, ResultsForgotten, CategorySet, LibraryInstalled, FilesForgotten,
    ObjectBound, TaskReady,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_that_is_left_out_is_missed(kind: type[Any]) -> None:
    world = Journaled(leaves_out=kind)
    story(world)
    if kind is TaskReady:
        world.lose(next(iter(world.workers)))
    with pytest.raises((AssertionError, TypeError, KeyError)):
        world.compare()
