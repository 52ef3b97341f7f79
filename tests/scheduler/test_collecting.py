"""What comes back from workers, told to the true scheduler."""

from __future__ import annotations

import pytest

from tests.scheduler.world import CHUNK, World, manifest
from vine.content.manifest import object_id
from vine.names import FileId, TaskId
from vine.scheduler import actions
from vine.wire import messages as m
from vine.wire.parts import (
    AttemptResult,
    FetchFault,
    MadeOutput,
    Manifest,
    Mount,
    Outcome,
    TaskKind,
    TaskSpec,
    TreeEntry,
)
from vine.wire.worker_messages import AttemptsEnded, ObjectsEvicted, OutputGrown


def test_large_values_come_to_the_manager_and_stay_on_no_worker() -> None:
    world = World(workers=2)
    world.large_values = True
    first = world.submit()
    world.settle()
    second = world.submit(depends=(first,))
    world.settle()
    assert world.results[first].value_path == "/run/staging/result-1.1.client"
    assert world.results[second].outcome is Outcome.SUCCESS
    world.say(m.ForgetResults((first, second)))
    assert all(not worker.holds for worker in world.workers.values())
    assert not world.core.state.files.objects


def test_a_large_value_that_equals_another_takes_no_copies_of_that_away_from_tasks_that_use_them() -> None:
    # given a value at the manager, and on a worker whose task takes it and has not begun
    world = World(workers=2)
    world.large_values, world.content = True, lambda assignment: "the same for all"
    first = world.submit()
    world.settle()
    taker = world.submit(depends=(first,))
    (there,) = [worker for worker in world.workers.values() if worker.fetching]
    world.happen(next(event for event in world.possible_events() if event[0] == "fetched"))
    # when another task leaves the same
    second = world.submit()
    while second not in world.results:
        world.happen(next(event for event in world.possible_events() if event[1] is not there))
    # then it is still there
    assert world.state_of(taker) == "staged" and there.holds
    world.settle()
    assert world.results[taker].outcome is Outcome.SUCCESS and world.runs[taker] == 1


def test_a_large_value_that_the_manager_has_already_is_not_waited_for_though_its_worker_gives_it_up() -> None:
    world = World(workers=1)
    world.large_values, world.content = True, lambda assignment: "the same for all"
    first = world.submit()
    world.settle()
    second = world.submit()
    (worker,) = world.workers.values()
    while world.state_of(second) in ("staged", "running"):
        world.happen(world.possible_events()[0])
    world.say(ObjectsEvicted(tuple(worker.holds)), worker.peer)
    worker.holds.clear()
    world.settle()
    assert world.results[second].outcome is Outcome.SUCCESS
    paths = [world.results[task].value_path for task in (first, second)]
    assert len(set(paths)) == 2 and set(paths) <= {a.second for a in world.done if isinstance(a, actions.CopyFile)}


def test_a_remote_result_that_the_manager_has_as_that_of_another_task_is_brought_from_there() -> None:
    world = World(workers=1)
    world.large_values, world.content = True, lambda assignment: "the same for all"
    world.submit()
    world.settle()
    remote = world.submit()
    world.say(m.KeepResults((remote,)))
    world.settle()
    (worker,) = world.workers.values()
    world.say(m.BringResult(remote))
    world.say(ObjectsEvicted(tuple(worker.holds)), worker.peer)
    worker.holds.clear()
    world.settle()
    (brought,) = [message for message in world.inbox if isinstance(message, m.ResultBrought)]
    assert brought.path == f"/run/staging/result-of-{remote}.client" and world.runs[remote] == 1


def test_a_task_whose_output_is_lost_before_it_was_collected_runs_again_though_an_input_is_the_same() -> None:
    # given an output at a path that equals a file of the user, and its worker's loss of that
    world = World(workers=1)
    local, out = world.local_file("big", chunks=8), world.local_file("out", bind=False, exists=False)
    task = world.submit((local,), (out,))
    (worker,) = world.workers.values()
    while not worker.running:
        world.happen(world.possible_events()[0])
    made = manifest("big", 8)
    (attempt,) = worker.running
    worker.running.clear()
    output = MadeOutput(out, object_id(made), made)
    world.say(AttemptsEnded((AttemptResult(attempt, Outcome.SUCCESS, outputs=(output,)),)), worker.peer)
    assert world.state_of(task) == "collecting"
    worker.holds.discard(object_id(made))
    world.say(ObjectsEvicted((object_id(made),)), worker.peer)
    # then its task runs again
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS


def test_an_output_of_a_local_file_comes_back_to_its_path_before_the_task_is_done() -> None:
    world = World(workers=1)
    out = world.local_file("out", bind=False, exists=False)
    task = world.submit(outputs=(out,), kind=TaskKind.COMMAND)
    events = world.possible_events
    while task not in world.results:
        if world.local:
            assert world.state_of(task) == "collecting"
        world.happen(events()[0])
    assert [a.destination for a in world.done if isinstance(a, actions.Fetch)] == ["/data/out"]


def test_a_worker_lost_before_its_result_was_collected_has_the_task_run_again() -> None:
    world = World(workers=2)
    world.large_values = True
    task = world.submit()
    while not world.local:
        world.happen(world.possible_events()[0])
    world.lose(world.worker_of(task))  # type: ignore[arg-type]
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS
    assert world.runs[task] == 2


def test_a_client_that_asks_before_its_file_was_hashed_is_answered_then() -> None:
    world = World(workers=1)
    file = world.local_file("in", bind=False)
    world.say(m.BringFile(file))
    world.settle()
    assert not [message for message in world.inbox if isinstance(message, m.FileBrought)]
    world.bind(file, "in")
    world.settle()
    (brought,) = [message for message in world.inbox if isinstance(message, m.FileBrought)]
    assert brought.path == "/data/in"


def test_a_client_is_brought_a_temporary_file() -> None:
    world = World(workers=1)
    middle = world.temp()
    world.submit(outputs=(middle,), kind=TaskKind.COMMAND)
    world.say(m.BringFile(middle))
    world.settle()
    (brought,) = [message for message in world.inbox if isinstance(message, m.FileBrought)]
    assert brought.path is not None


def made_by(world: World, task: TaskId, names: list[str], files: tuple[FileId, ...]) -> None:
    """The task ends, and its outputs have the content of these names."""
    worker = next(w for w in world.workers.values() if any(a.task_id == task for a in w.assigned.values()))
    attempt = next(a for a, assignment in worker.assigned.items() if assignment.task_id == task)
    del worker.assigned[attempt]
    outputs = tuple(
        MadeOutput(file, object_id(manifest(name)), manifest(name)) for file, name in zip(files, names, strict=True)
    )
    worker.holds |= {output.object_id for output in outputs}
    world.say(AttemptsEnded((AttemptResult(attempt, Outcome.SUCCESS, outputs=outputs),)), worker.peer)  # type: ignore[arg-type]


def test_outputs_of_equal_content_all_come_to_their_paths() -> None:
    world = World(workers=1)
    files = tuple(world.local_file(f"out{i}", bind=False, exists=False) for i in range(3))
    task = world.submit(outputs=files)
    made_by(world, task, ["same"] * 3, files)
    world.settle()
    came = {a.destination for a in world.done if isinstance(a, actions.Fetch)}
    assert came == {"/data/out0", "/data/out1", "/data/out2"}
    assert world.results[task].outcome is Outcome.SUCCESS


def lands(world: World, bad: str) -> None:
    """All flows to the manager end well, but for those to this path."""
    while flows := dict(world.local):
        for transfer, fetch in flows.items():
            if fetch.destination == bad:
                world.local_fetch_fails(transfer, FetchFault.DISK_FULL)
            else:
                world.happen(("brought", None, transfer))


@pytest.mark.parametrize("bad", ["/data/out0", "/data/out1"])
def test_a_task_has_failed_if_one_of_two_equal_outputs_cannot_be_written_and_others_have_not(bad: str) -> None:
    # given a task with two outputs, and another with one, all of the same bytes
    world = World(workers=2)
    files = tuple(world.local_file(f"out{i}", bind=False, exists=False) for i in range(3))
    task, other = world.submit(outputs=files[:2]), world.submit(outputs=files[2:])
    made_by(world, task, ["same"] * 2, files[:2])
    made_by(world, other, ["same"], files[2:])
    # when one of the paths cannot be written to
    lands(world, bad)
    # then only whose it is has failed
    assert world.results[task].outcome is Outcome.DISK_FULL
    assert world.results[other].outcome is Outcome.SUCCESS
    assert "/data/out2" in {a.destination for a in world.done if isinstance(a, actions.Fetch)}


def test_a_task_that_leaves_out_an_output_ends_well_and_who_takes_that_hears_who_did() -> None:
    world = World(workers=1)
    files = tuple(world.local_file(f"out{i}", bind=False, exists=False) for i in range(2))
    task = world.submit(outputs=files)
    taker = world.submit((files[1],))
    made_by(world, task, ["made"], files[:1])
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS
    assert world.results[taker].outcome is Outcome.DEPENDENCY_FAILED
    assert "has not made it" in world.results[taker].message


def test_a_task_staged_for_a_file_that_is_made_anew_takes_the_new_one() -> None:
    world = World(workers=2)
    file = world.local_file("data")
    reads, writes = world.submit((file,)), world.submit(outputs=(file,))
    made_by(world, writes, ["new data"], (file,))
    world.settle()
    assert world.results[reads].outcome is Outcome.SUCCESS


def test_a_worker_that_misstates_what_it_has_made_loses_the_task_and_nothing_else() -> None:
    world = World(workers=2)
    out = world.local_file("out", bind=False, exists=False)
    task = world.submit(outputs=(out,))
    worker = world.workers[world.worker_of(task)]  # type: ignore[index]
    attempt = next(iter(worker.assigned))
    escaping = Manifest(1, 0, CHUNK, b"", (TreeEntry("/etc/passwd", 0o644, 0),))
    outputs = (MadeOutput(out, object_id(escaping), escaping),)
    world.say(AttemptsEnded((AttemptResult(attempt, Outcome.SUCCESS, outputs=outputs),)), worker.peer)  # type: ignore[arg-type]
    assert not any(isinstance(action, actions.Fetch) for action in world.done)
    assert world.worker_of(task) not in (None, worker.worker_id)
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS


def test_a_small_buffer_is_brought_though_no_worker_has_it() -> None:
    world = World()
    file = world.buffer(b"data")
    world.say(m.BringFile(file))
    (written,) = [action for action in world.done if isinstance(action, actions.WriteFile)]
    assert written.data == b"data"
    assert world.inbox[-1] == m.FileBrought(file, written.path)


def test_what_is_added_to_a_watched_output_is_put_where_it_will_lie() -> None:
    # given a running task with a watched output, and one that nobody watches
    world = World(workers=1)
    (worker,) = world.workers.values()
    watched, other = (world.local_file(name, bind=False, exists=False) for name in ("watched", "other"))
    mounts = (Mount(watched, "log", watched=True), Mount(other, "out"))
    world.say(m.SubmitTasks((TaskSpec(world.new_task_id(), TaskKind.COMMAND, outputs=mounts),)))
    (attempt,) = worker.assigned
    # when the worker tells of it
    world.say(OutputGrown(attempt, watched, 0, b"first"), worker.peer)
    world.say(OutputGrown(attempt, watched, 5, b" second"), worker.peer)
    # then
    parts = [action for action in world.done if isinstance(action, actions.WritePart)]
    assert parts == [
        actions.WritePart("/data/watched", 0, b"first"),
        actions.WritePart("/data/watched", 5, b" second"),
    ]
    # and nothing comes of what is not watched, or has ended
    world.say(OutputGrown(attempt, other, 0, b"x"), worker.peer)
    assert world.core.state.strange == 1
    world.settle()
    world.say(OutputGrown(attempt, watched, 0, b"late"), worker.peer)
    assert len([action for action in world.done if isinstance(action, actions.WritePart)]) == 2
