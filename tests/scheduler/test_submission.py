"""What clients say, told to the true scheduler."""

from __future__ import annotations

import pytest

from tests.scheduler.world import World, manifest
from vine.content.manifest import object_id
from vine.names import ClientId, FileId, HostId, ObjectId, PeerKey, TaskId, numbered
from vine.scheduler import actions
from vine.wire import messages as m
from vine.wire.parts import CacheLevel, FileKind, FileSpec, Manifest, Mount, Outcome, Request, TaskKind, TaskSpec, When


def test_a_missing_input_fails_at_submission() -> None:
    world = World(workers=1)
    task = world.submit((world.local_file("gone", bind=False, exists=False),))
    assert world.results[task].outcome is Outcome.INPUT_MISSING
    assert "does not exist" in world.results[task].message


def test_when_a_client_leaves_its_files_leave_the_workers_but_those_of_level_worker() -> None:
    world = World(workers=1)
    kept = world.local_file("kept", cache=CacheLevel.WORKER)
    world.submit((world.local_file("dropped"), kept))
    world.settle()
    identity = world.core.state.files.by_id[kept].object_id
    world.say(m.ClientBye())
    assert next(iter(world.workers.values())).holds == {identity}
    assert not world.served


_SOUND = manifest("big")


@pytest.mark.parametrize(
    ("identity", "content", "path"),
    [
        ("0" * 64, _SOUND, "/data/big"),
        (object_id(Manifest(9, 1, 1, b"")), Manifest(9, 1, 1, b""), "/data/big"),
        (object_id(_SOUND), _SOUND, "/etc/shadow"),
    ],
    ids=["another name", "no manifest of ours", "another path"],
)
def test_a_file_bound_to_what_it_cannot_be_fails_and_so_do_its_tasks(
    identity: ObjectId, content: Manifest, path: str
) -> None:
    world = World()
    file = world.local_file(bind=False)
    task = world.submit((file,))
    world.say(m.FileBound(file, identity, content, path, None))
    assert world.core.state.strange == 1
    assert not world.served
    assert world.results[task].outcome is Outcome.INPUT_MISSING


OTHER = PeerKey("other client")


def another_client(world: World, host: str = "here") -> FileId:
    """Another client joins; returns the first number that it may give."""
    world.say(m.ClientHello(ClientId("d"), HostId(host), "3.11"), OTHER)
    return FileId(numbered(1, 1))


@pytest.mark.parametrize("path", [None, "relative"])
def test_a_local_file_without_an_absolute_path_is_no_file(path: str | None) -> None:
    world = World(workers=1)
    file = world.declare(FileKind.LOCAL, path=path, exists=False)
    task = world.submit(outputs=(file,))
    assert world.core.state.strange == 1
    assert "not declared" in world.results[task].message


def test_paths_of_a_client_on_another_host_are_neither_read_nor_written() -> None:
    world = World(workers=1)
    first = another_client(world, "elsewhere")
    content = manifest("z")
    source = FileSpec(first, FileKind.LOCAL, CacheLevel.WORKFLOW, "in", path="/etc/shadow")
    target = FileSpec(FileId(first + 1), FileKind.LOCAL, CacheLevel.WORKFLOW, "out", path="/etc/cron.d/x", exists=False)
    world.say(m.DeclareFiles((source, target)), OTHER)
    world.say(m.FileBound(first, object_id(content), content, "/etc/shadow", None), OTHER)
    mounts = (Mount(target.file_id, "out"),)
    world.say(m.SubmitTasks((TaskSpec(TaskId(first), TaskKind.COMMAND, "x", outputs=mounts),)), OTHER)
    world.settle()
    assert not world.served
    assert not any(isinstance(action, actions.Fetch) for action in world.done)
    (failure,) = world.core.state.failures
    assert "another host" in failure.message


@pytest.mark.parametrize("how", ["inputs", "outputs", "depends"])
def test_a_client_cannot_name_what_is_another_client_s(how: str) -> None:
    world = World(workers=1)
    file = world.local_file("mine", bind=False, exists=False)
    task = world.submit(outputs=(file,))
    number = TaskId(another_client(world))
    named = (task,) if how == "depends" else (Mount(file, "x"),)
    world.say(m.SubmitTasks((TaskSpec(number, TaskKind.COMMAND, "x", **{how: named}),)), OTHER)  # type: ignore[arg-type]
    assert world.core.state.failures[-1].task_id == number
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS
    assert world.core.state.files.by_id[file].failure is None


def test_a_task_that_waits_for_its_own_output_or_result_is_refused() -> None:
    world = World(workers=1)
    temp = world.temp()
    circle = world.submit((temp,), (temp,))
    number = TaskId(numbered(0, 4000))
    world.say(m.SubmitTasks((TaskSpec(number, TaskKind.CALL, depends=(number,)),)))
    assert "makes itself" in world.results[circle].message
    assert world.results[number].outcome is Outcome.DEPENDENCY_FAILED


def test_an_archive_that_was_undeclared_is_there_while_its_unpacked_file_is() -> None:
    world = World(workers=1)
    archive = world.local_file()
    unpacked = world.untar(archive)
    world.say(m.ForgetFiles((archive,)))
    task = world.submit((unpacked,))
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS
    world.say(m.ForgetFiles((unpacked,)))
    assert not world.core.state.files.by_id and not world.served


def test_an_archive_that_is_declared_after_what_is_unpacked_from_it_does_no_harm() -> None:
    world = World()
    unpacked = world.untar(FileId(99))
    world.say(m.DeclareFiles((FileSpec(FileId(99), FileKind.TEMP, CacheLevel.WORKFLOW, "late"),)))
    world.say(m.ForgetFiles((unpacked,)))
    assert list(world.core.state.files.by_id) == [99]


def test_what_is_unpacked_already_is_no_archive() -> None:
    world = World(workers=1)
    folder = world.untar(world.url())
    twice = world.untar(folder)
    task = world.submit((twice,))
    assert world.results[task].outcome is Outcome.INPUT_MISSING
    assert world.answer(world.broadcast(twice)) is not None


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (FileKind.LOCAL, "relative"),
        (FileKind.LOCAL, "/"),
        (FileKind.BUFFER, "/run/staging/../x"),
        (FileKind.BUFFER, "/run/staging/.."),
        (FileKind.BUFFER, "/run/staging/sub/x"),
        (FileKind.BUFFER, "/etc/passwd"),
    ],
)
def test_a_message_with_a_file_that_cannot_be_declared_declares_none(kind: FileKind, path: str) -> None:
    world = World()
    good, bad = FileId(numbered(0, 901)), FileId(numbered(0, 902))
    specs = (
        FileSpec(good, FileKind.BUFFER, CacheLevel.WORKFLOW, "good", path="/run/staging/good"),
        FileSpec(bad, kind, CacheLevel.WORKFLOW, "bad", path=path),
    )
    world.say(m.DeclareFiles(specs))
    assert world.core.state.strange == 1 and not world.core.state.files.by_id
    world.say(m.DeclareFiles(specs[:1]))
    assert good in world.core.state.files.by_id


def test_one_file_is_not_two_outputs_of_a_task() -> None:
    world = World(workers=1)
    made = world.temp()
    task = world.submit((), (made, made))
    assert world.results[task].outcome is Outcome.OUTPUT_MISSING and not world.runs
    assert "two outputs" in world.results[task].message


@pytest.mark.parametrize("ends", [(When.SUCCESS, When.ALWAYS), (When.ALWAYS, When.FAILURE), (When.FAILURE,) * 2])
def test_nor_two_outputs_of_one_end(ends: tuple[When, ...]) -> None:
    world = World(workers=1)
    assert world.results[submitted(world, world.temp(), ends)].outcome is Outcome.OUTPUT_MISSING


def test_one_file_may_be_an_output_of_the_success_of_a_task_and_another_of_its_failure() -> None:
    # given a task that is to leave the same file whether it succeeds or fails
    world = World(workers=1)
    made = world.temp()
    task = submitted(world, made, (When.SUCCESS, When.FAILURE))
    # then it runs, and is the one that makes the file, once
    file = world.core.state.files.by_id[made]
    assert (world.state_of(task), file.producer, file.earlier) == ("staged", task, ())


def submitted(world: World, made: FileId, ends: tuple[When, ...]) -> TaskId:
    outputs = tuple(Mount(made, f"out{number}", end) for number, end in enumerate(ends))
    task = world.new_task_id()
    world.say(m.SubmitTasks((TaskSpec(task, TaskKind.CALL, request=Request(cores=1), outputs=outputs),)))
    return task
