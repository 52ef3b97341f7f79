"""Hosts that die, and libraries that cannot be loaded."""

from __future__ import annotations

from itertools import pairwise

from tests.benchmarks.simulator.faults.worker_world import DATA, KEY, WorkerWorld
from vine.names import FileId
from vine.wire.parts import LibraryOrder, Limits, Mount, ObjectMount, Outcome, TaskKind
from vine.wire.worker_messages import AttemptsEnded, LibraryEnded, LibraryLoaded, ObjectsLost, OutputGrown

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


def test_who_uses_more_memory_than_it_may_is_measured_and_killed() -> None:
    world = WorkerWorld(memory_mb=300.0)
    world.run(1, limits=Limits(memory_mb=200.0))
    world.run(2, limits=Limits(memory_mb=400.0))
    world.wait()
    assert outcomes(world) == [Outcome.MEMORY_LIMIT, Outcome.SUCCESS]


def test_a_watched_output_grows_without_gaps_and_is_told() -> None:
    world = WorkerWorld(run_s=6.0)
    world.run(1, outputs=(Mount(FileId(7), "log", watched=True, optional=True),))
    world.wait(8.0)
    grown = world.heard(OutputGrown)
    assert grown and grown[0].offset == 0
    for before, after in pairwise(grown):
        assert after.offset in (0, before.offset + len(before.data))


def test_a_promised_output_that_is_not_made_fails_its_task_and_an_optional_one_does_not() -> None:
    world = WorkerWorld()
    world.run(1, outputs=(Mount(FileId(7), "out"),))
    world.run(2, outputs=(Mount(FileId(8), "out", optional=True),))
    world.wait()
    assert outcomes(world) == [Outcome.OUTPUT_MISSING, Outcome.SUCCESS]


def test_a_body_that_has_written_into_an_input_is_found_out_and_the_input_is_gone() -> None:
    world = WorkerWorld(left=[(KEY, DATA)], protected=False, alters=True)
    world.run(1, inputs=(ObjectMount(KEY, "data"),))
    world.wait()
    assert outcomes(world) == [Outcome.INPUT_ALTERED] and KEY not in world.worker.store.manifests
    assert [message.object_ids for message in world.heard(ObjectsLost)] == [(KEY,)]
