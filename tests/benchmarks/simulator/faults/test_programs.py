"""Hosts that die, and libraries that cannot be loaded."""

from __future__ import annotations

from tests.benchmarks.simulator.faults.worker_world import DATA, KEY, WorkerWorld
from vine.names import FileId
from vine.wire.parts import LibraryOrder, Outcome, TaskKind
from vine.wire.worker_messages import AttemptsEnded, LibraryEnded, LibraryLoaded

LIBRARY = LibraryOrder(FileId(1), "lib", 2, forks=True)


def outcomes(world: WorkerWorld) -> list[Outcome]:
    return [result.outcome for message in world.heard(AttemptsEnded) for result in message.results]


def test_calls_and_commands_run_side_by_side_as_there_is_room() -> None:
    world = WorkerWorld(left=[(KEY, DATA)])
    world.run(1)
    world.run(2, TaskKind.CALL, function=KEY)
    world.run(3)
    world.wait()
    assert outcomes(world) == 3 * [Outcome.SUCCESS] and world.worker.watch.begun == 3


def test_a_host_may_die_under_a_call_which_is_told_as_killed() -> None:
    world = WorkerWorld(left=[(KEY, DATA)], host_death_share=1.0)
    world.run(1, TaskKind.CALL, function=KEY)
    world.wait()
    assert outcomes(world) == [Outcome.KILLED]


def test_a_library_is_loaded_once_for_its_calls() -> None:
    world = WorkerWorld(left=[(KEY, DATA)])
    for number in range(3):
        world.run(number + 1, TaskKind.LIBRARY, function=KEY, library=LIBRARY)
    world.wait()
    assert outcomes(world) == 3 * [Outcome.SUCCESS] and len(world.heard(LibraryLoaded)) == 1


def test_a_library_that_cannot_be_loaded_fails_the_calls_that_wait_for_it() -> None:
    world = WorkerWorld(left=[(KEY, DATA)], library_failure_share=1.0)
    world.run(1, TaskKind.LIBRARY, function=KEY, library=LIBRARY)
    world.wait()
    assert outcomes(world) == [Outcome.LIBRARY_FAILED]
    assert [ended.failed for ended in world.heard(LibraryEnded)] == [True]
