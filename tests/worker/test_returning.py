"""What a worker tells a manager that was started again, and what it keeps for it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.worker.world import DATA, FINE, FUNCTION, World, assignment, starts
from vine import config
from vine.names import AttemptId, FileId, ObjectId, RunId, TaskId, TransferId
from vine.wire.messages import Message
from vine.wire.parts import BegunAttempt, MadeOutput, Manifest, ObjectMount, Outcome, TaskKind
from vine.wire.worker_messages import (
    AttemptsEnded,
    DropObjects,
    EndsJournaled,
    EndWorker,
    FetchObject,
    ObjectsEvicted,
    TasksStarted,
    WorkerReturned,
    WorkerWelcome,
)
from vine_worker import actions as act

MADE = ObjectId("b" * 64)
MANIFEST = Manifest(1, 3, 1 << 18, b"h" * 32)


def welcome(epoch: int) -> WorkerWelcome:
    return WorkerWelcome(RunId("run"), epoch, b"k" * 16, 3)


def said(actions: list[act.Action]) -> list[Message]:
    return [action.message for action in actions if isinstance(action, act.Send)]


def returned(world: World, epoch: int = 2) -> tuple[WorkerReturned, list[Message]]:
    """What it says to the next manager: what it has, and what follows."""
    messages = said(world.hear(welcome(epoch)))
    (first,) = [message for message in messages if isinstance(message, WorkerReturned)]
    return first, messages[messages.index(first) + 1 :]


def end(world: World, number: int, **fields: Any) -> list[Message]:
    world.hear(act.BodyEnded(AttemptId(1, number), FINE), act.Collected(AttemptId(1, number), **fields))
    return said(world.core.flush())


def test_what_has_begun_goes_on_and_is_listed_and_what_has_not_is_nobodys() -> None:
    world = World()
    world.hear(welcome(1))
    staging = assignment(4, TaskKind.COMMAND, inputs=(ObjectMount(DATA, "data"),))
    world.run(*(assignment(number, TaskKind.COMMAND) for number in (1, 2, 3)), staging)
    first, after = returned(world)
    assert first.attempts == tuple(BegunAttempt(AttemptId(1, n), TaskId(n)) for n in (1, 2))
    assert first.object_ids == (FUNCTION,)
    assert after == [] and said(world.core.flush()) == [TasksStarted((AttemptId(1, 1), AttemptId(1, 2)))]
    assert starts(world.hear(act.BodyEnded(AttemptId(1, 1), FINE))) == [], "nor does it begin any more"


def test_ends_are_told_again_until_the_manager_says_that_they_are_written() -> None:
    world = World()
    world.hear(welcome(1))
    world.run(*(assignment(number, TaskKind.COMMAND) for number in (1, 2)))
    first_end, second_end = end(world, 1), end(world, 2)
    world.hear(EndsJournaled(1))
    first, after = returned(world)
    assert first.attempts == (BegunAttempt(AttemptId(1, 2), TaskId(2)),)
    assert after == second_end != first_end
    world.hear(EndsJournaled(1))
    assert returned(world, 3) == (WorkerReturned((), (FUNCTION,)), [])


def test_what_untold_ends_have_made_is_named_apart() -> None:
    world = World()
    world.hear(welcome(1))
    world.run(assignment(1, TaskKind.COMMAND))
    (ended,) = end(world, 1, outputs=(MadeOutput(FileId(7), MADE, MANIFEST),))
    first, after = returned(world)
    assert (first.object_ids, first.made) == ((FUNCTION,), (MADE,))
    assert after == [ended]


def test_what_the_last_manager_has_removed_is_said_to_be_gone_after_the_end_that_names_it() -> None:
    world = World()
    world.hear(welcome(1))
    world.run(assignment(1, TaskKind.COMMAND))
    (ended,) = end(world, 1, value_object=MADE, value_manifest=MANIFEST)
    world.hear(DropObjects((MADE,)))
    first, after = returned(world)
    assert (first.object_ids, first.made) == ((FUNCTION,), ())
    assert after == [ended, ObjectsEvicted((MADE,))]


def test_what_is_removed_before_the_end_that_names_it_is_told_is_said_to_be_gone_after_it() -> None:
    world = World()
    world.run(assignment(1, TaskKind.COMMAND))
    outputs = (MadeOutput(FileId(7), MADE, MANIFEST),)
    world.hear(act.BodyEnded(AttemptId(1, 1), FINE), act.Collected(AttemptId(1, 1), outputs=outputs))
    world.hear(DropObjects((MADE,)))
    ended, gone = said(world.core.flush())
    assert isinstance(ended, AttemptsEnded) and gone == ObjectsEvicted((MADE,))


def test_an_end_that_comes_while_no_manager_is_there_is_told_to_the_next_one() -> None:
    world = World()
    world.hear(welcome(1))
    world.run(assignment(1, TaskKind.COMMAND))
    world.hear(act.BodyEnded(AttemptId(1, 1), FINE), act.Collected(AttemptId(1, 1)))
    first, _ = returned(world)
    assert first.attempts == (BegunAttempt(AttemptId(1, 1), TaskId(1)),)
    (ended,) = said(world.core.flush())
    assert isinstance(ended, AttemptsEnded) and ended.results[0].outcome is Outcome.SUCCESS


def test_more_ends_than_can_be_kept_push_the_oldest_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "ends_kept_bytes_max", config.end_bytes)
    world = World()
    world.hear(welcome(1))
    world.run(*(assignment(number, TaskKind.COMMAND) for number in (1, 2)))
    end(world, 1)
    last = end(world, 2)
    first, after = returned(world)
    assert [begun.task_id for begun in first.attempts] == [2]
    assert after == last
    assert world.core._board.task_of == {AttemptId(1, 2): TaskId(2)}


def test_transfers_of_the_last_manager_are_abandoned() -> None:
    world = World()
    world.hear(welcome(1), FetchObject(TransferId(1, 5), DATA, MANIFEST, ()))
    assert act.StopFetch(TransferId(1, 5)) in world.hear(welcome(2))


def test_a_manager_that_has_been_replaced_is_not_obeyed() -> None:
    world = World()
    world.hear(welcome(2), welcome(1))
    assert world.hear(EndWorker("because I say so")) == []
    world.hear(welcome(2))
    assert world.hear(EndWorker("the run is over")) == [act.End("the run is over")]
