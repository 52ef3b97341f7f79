"""Does a real worker process do what a manager asks of it?"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from tests.worker.manager import ScriptedManager, value_of
from vine.client.links import result_at
from vine.content.manifest import derived_id
from vine.names import FileId, WorkerId
from vine.wire.parts import DependencyValue, FetchFault, Mount, ObjectMount, Outcome, Resources, TaskKind
from vine.wire.worker_messages import (
    CancelAttempts,
    DropObjects,
    EndWorker,
    ObjectsHeld,
    ObjectsLost,
    RunAttempts,
    TasksStarted,
    UnpackObject,
    VerifyObjects,
    WorkerBye,
)

pytestmark = pytest.mark.live


def test_a_command_runs_in_a_sandbox_with_its_inputs_and_leaves_outputs_in_the_store(
    manager: ScriptedManager, worker: WorkerId
) -> None:
    data = manager.store(worker, b"hello")
    result = manager.command(
        worker,
        "cat in/data > out.txt; echo $CORES $MEMORY $COLOUR; pwd; echo bad >&2",
        inputs=(ObjectMount(data, "in/data"),),
        outputs=(Mount(FileId(9), "out.txt"),),
        variables={"COLOUR": "red"},
    )
    assert (result.outcome, result.exit_code) == (Outcome.SUCCESS, 0)
    figures, folder = result.stdout.decode().splitlines()
    assert figures == "1 100 red"
    assert result.stderr == b"bad\n"
    assert result.outputs[0].object_id == data, "equal content is one object"
    assert not Path(folder).exists(), "the sandbox was left behind"


def test_a_failing_command_is_told_with_its_code_and_streams(manager: ScriptedManager, worker: WorkerId) -> None:
    result = manager.command(worker, "echo why >&2; exit 3", label="the job")
    assert (result.outcome, result.exit_code, result.stderr) == (Outcome.EXIT_CODE, 3, b"why\n")
    assert result.message == "the job ended with exit code 3"


def test_an_output_that_was_not_made_is_told_by_name(manager: ScriptedManager, worker: WorkerId) -> None:
    result = manager.command(worker, "true", outputs=(Mount(FileId(1), "there"),))
    assert result.outcome is Outcome.OUTPUT_MISSING
    assert "there" in result.message


def test_a_task_cannot_write_to_its_input(manager: ScriptedManager, worker: WorkerId) -> None:
    data = manager.store(worker, b"hello")
    result = manager.command(worker, "echo more >> data; chmod 777 data; cat data", inputs=(ObjectMount(data, "data"),))
    assert b"Read-only file system" in result.stderr
    assert result.stdout == b"hello"


def test_where_inputs_cannot_be_mounted_the_offender_is_told_and_the_object_is_lost(
    manager: ScriptedManager,
) -> None:
    manager.start_worker("w1", "--protect", "check")
    worker = manager.joined()
    data = manager.store(worker, b"hello")
    mounts = (ObjectMount(data, "data"),)
    writing = manager.assignment(TaskKind.COMMAND, command="chmod +w data; echo more >> data", inputs=mounts)
    reading = manager.assignment(TaskKind.COMMAND, command="cat data", inputs=mounts, allotment=Resources(cores=2))
    manager.say(worker, RunAttempts((writing, reading)))
    (result,) = manager.results_of(writing)
    assert result.outcome is Outcome.INPUT_ALTERED
    assert "data" in result.message
    assert manager.next(worker, ObjectsLost).object_ids == (data,)
    assert manager.store(worker, b"hello") == data
    (result,) = manager.results_of(reading)
    assert result.stdout == b"hello", "the next task saw what the first had written"


def test_a_copy_that_is_doubted_is_kept_while_it_is_good_and_out_of_reach_when_it_is_not(
    manager: ScriptedManager, worker: WorkerId
) -> None:
    # given an object that the manager has doubts of
    data = manager.store(worker, b"hello")
    manager.next(worker, ObjectsHeld)
    manager.say(worker, VerifyObjects((data,)))
    assert manager.next(worker, ObjectsHeld).object_ids == (data,)
    # when its bytes on the disk are others
    (path,) = manager.folder.glob(f"work/**/objects/**/{data}")
    path.chmod(0o600)
    path.write_bytes(b"jello")
    manager.say(worker, VerifyObjects((data,)))
    # then it is lost, and comes again
    assert manager.next(worker, ObjectsLost).object_ids == (data,)
    assert manager.store(worker, b"hello") == data
    assert manager.command(worker, "cat data", inputs=(ObjectMount(data, "data"),)).stdout == b"hello"


def test_calls_run_on_warm_hosts_and_many_share_one(manager: ScriptedManager, worker: WorkerId) -> None:
    function = manager.function(worker, lambda x: (x + 1, os.getpid()))
    calls = [manager.assignment(TaskKind.CALL, function=function, args=(number,)) for number in range(50)]
    values = [value_of(result) for result in manager.run(worker, *calls)]
    assert [value for value, _pid in values] == list(range(1, 51))
    assert len({pid for _value, pid in values}) <= 2, "more hosts than cores"


def test_a_crash_fails_the_call_that_crashed_alone(manager: ScriptedManager, worker: WorkerId) -> None:
    harmless = manager.function(worker, lambda: 1)
    crash = manager.function(worker, lambda: os.kill(os.getpid(), signal.SIGSEGV))
    calls = [manager.assignment(TaskKind.CALL, function=harmless) for _ in range(10)]
    calls.insert(5, manager.assignment(TaskKind.CALL, function=crash))
    results = manager.run(worker, *calls)
    assert results.pop(5).outcome is Outcome.KILLED
    assert [value_of(result) for result in results] == [1] * 10


def test_a_call_over_its_time_limit_is_killed_and_others_go_on(manager: ScriptedManager, worker: WorkerId) -> None:
    function = manager.function(worker, lambda s: __import__("time").sleep(s))
    one = Resources(cores=2)
    slow = manager.assignment(TaskKind.CALL, function=function, args=(60,), time_limit_s=0.2, allotment=one)
    after = manager.assignment(TaskKind.CALL, function=function, args=(0,), allotment=one)
    results = manager.run(worker, slow, after)
    assert [result.outcome for result in results] == [Outcome.TIME_LIMIT, Outcome.SUCCESS]
    homes = manager.folder / "work" / "vine-worker-w1" / "hosts"
    assert len(list(homes.iterdir())) == 1, "the folder of the host that was killed has stayed"
    assert "0.2 s" in results[0].message


def test_a_command_and_all_that_it_started_is_killed_when_it_is_cancelled(
    manager: ScriptedManager, worker: WorkerId, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    command = f"setsid sh -c 'echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; sleep 60; true' & sleep 60"
    assignment = manager.assignment(TaskKind.COMMAND, command=command)
    manager.say(worker, RunAttempts((assignment,)))
    manager.until(pid_file.exists)
    manager.say(worker, CancelAttempts((assignment.attempt,)))
    (result,) = manager.results_of(assignment)
    assert result.outcome is Outcome.CANCELLED
    manager.until(lambda: not Path(f"/proc/{pid_file.read_text().strip()}").exists())


def test_a_fresh_interpreter_returns_its_value_and_its_streams(manager: ScriptedManager, worker: WorkerId) -> None:
    function = manager.function(worker, lambda x: print("said") or os.environ["CORES"] + x)
    leaving = manager.function(worker, lambda: sys.exit(5))
    fine, left = manager.run(
        worker,
        manager.assignment(TaskKind.PYTHON, function=function, args=("!",)),
        manager.assignment(TaskKind.PYTHON, function=leaving),
    )
    assert (value_of(fine), fine.stdout) == ("1!", b"said\n")
    assert (left.outcome, left.exit_code) == (Outcome.EXIT_CODE, 5)


def test_a_long_value_waits_in_the_outbox_and_not_in_the_store(manager: ScriptedManager, worker: WorkerId) -> None:
    make = manager.function(worker, lambda: b"x" * 1_000_000)
    (made,) = manager.run(worker, manager.assignment(TaskKind.CALL, function=make))
    assert made.value is None
    assert made.value_object is not None
    assert made.value_manifest is not None
    measure = manager.function(worker, len)
    payload = b"P" + pickle.dumps(((FirstValue(),), {}))
    value = DependencyValue(made_task := manager.assignment(TaskKind.CALL).task_id, object_id=made.value_object)
    assert made_task
    call = manager.assignment(TaskKind.CALL, function=measure, payload=payload, values=(value,))
    assert value_of(manager.run(worker, call)[0]) == 1_000_000
    assert not list((manager.folder / "work").glob(f"vine-store-*/objects/**/{made.value_object}"))
    manager.say(worker, DropObjects((made.value_object,)))
    manager.command(worker, "true")
    spilled = (manager.folder / "work" / "vine-worker-w1" / "spill").rglob("*")
    assert not [path for path in spilled if path.is_file()]


class FirstValue:
    """Stands in arguments for the first of the values that come with them."""

    def __reduce__(self) -> Any:
        return result_at, (0,)


def test_an_environment_comes_from_a_peer_and_its_interpreter_runs_the_calls(
    manager: ScriptedManager, worker: WorkerId, tmp_path: Path
) -> None:
    archive = environment_archive(tmp_path)
    (made,) = manager.run(
        worker,
        manager.assignment(TaskKind.COMMAND, command=f"cp {archive} env.tar", outputs=(Mount(FileId(1), "env.tar"),)),
    )
    packed = made.outputs[0]
    manager.start_worker("w2")
    second = manager.joined("w2")
    fetched = manager.fetch(second, worker, packed.object_id, packed.manifest)
    assert (fetched.fault, fetched.received_bytes) == (FetchFault.NONE, packed.manifest.size)
    tree = derived_id("untar", packed.object_id)
    function = manager.function(second, lambda: (os.environ["VIRTUAL_ENV"], sys.executable))
    call = manager.assignment(TaskKind.CALL, function=function, environment=tree)
    manager.say(second, RunAttempts((call,)))
    manager.say(second, UnpackObject(tree, packed.object_id, "env.tar"))
    (result,) = manager.results_of(call)
    environment, executable = value_of(result)
    assert environment.endswith(tree)
    assert executable == f"{environment}/bin/python"


def environment_archive(folder: Path) -> Path:
    """Something that a function host can run in: a script in the place of an interpreter, which starts ours."""
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec -a "$0" {sys.executable} "$@"\n'.replace("/bin/sh", "/bin/bash"))
    python.chmod(0o755)
    with tarfile.open(folder / "env.tar", "w") as archive:
        archive.add(python, "bin/python")
    return folder / "env.tar"


def test_an_archive_that_cannot_be_unpacked_is_told_by_name(manager: ScriptedManager, worker: WorkerId) -> None:
    archive = manager.store(worker, b"no archive")
    tree = derived_id("untar", archive)
    manager.say(worker, UnpackObject(tree, archive, "the data"))
    lost = manager.next(worker, ObjectsLost)
    assert lost.object_ids == (tree,)
    assert lost.message.startswith("the data could not be unpacked")


def test_the_end_leaves_nothing_behind(manager: ScriptedManager, worker: WorkerId) -> None:
    process = manager.processes[0]
    sleeping = manager.assignment(TaskKind.COMMAND, command="setsid sleep 4321 & sleep 4321")
    manager.say(worker, RunAttempts((sleeping,)))
    manager.next(worker, TasksStarted)
    manager.say(worker, EndWorker("the test is over"))
    assert manager.next(worker, WorkerBye).reason == "the test is over"
    assert process.wait(10) == 0
    assert not list((manager.folder / "work").iterdir())
    assert not sleepers()


def test_a_killed_worker_takes_its_tasks_with_it_and_the_next_one_cleans_up(
    manager: ScriptedManager, worker: WorkerId
) -> None:
    sleeping = manager.assignment(TaskKind.COMMAND, command="setsid sleep 4321 & sleep 4321")
    manager.say(worker, RunAttempts((sleeping,)))
    manager.next(worker, TasksStarted)
    manager.processes[0].kill()
    manager.processes[0].wait()
    end_s = time.monotonic() + 10
    while sleepers():
        assert time.monotonic() < end_s, "tasks outlive their worker"
        os.sched_yield()
    manager.start_worker("w2")
    manager.joined("w2")
    left = {folder.name for folder in (manager.folder / "work").glob("vine-worker-*") if folder.is_dir()}
    assert left == {"vine-worker-w2"}


def sleepers() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"sleep\0004321" in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def test_a_worker_without_its_parent_ends(manager: ScriptedManager) -> None:
    reading, writing = os.pipe()
    process = manager.start_worker("w1", "--parent-fd", str(reading), keep=(reading,))
    manager.joined()
    os.close(writing)
    assert process.wait(10) == 0
    os.close(reading)


def test_a_worker_that_has_nothing_to_do_ends_after_its_idle_time(manager: ScriptedManager) -> None:
    process = manager.start_worker("w1", "--idle-timeout", "0.2")
    worker = manager.joined()
    assert "idle" in manager.next(worker, WorkerBye).reason
    assert process.wait(10) == 0


def test_errors_are_one_line_with_an_exit_code(manager: ScriptedManager, tmp_path: Path) -> None:
    process = manager.start_worker("w1", "--workspace", "/proc/nowhere")
    assert process.wait(10) == 2
    assert process.stderr is not None
    (line,) = process.stderr.read().splitlines()
    assert line.startswith("vine-worker: /proc/nowhere")
    assert "--workspace" in line


def test_a_call_that_writes_nonsense_to_its_hosts_socket_harms_itself_alone(
    manager: ScriptedManager, worker: WorkerId
) -> None:
    def babble() -> None:
        os.write(int(sys.argv[sys.argv.index("--fd") + 1]), b"nonsense")

    babbling, harmless = manager.function(worker, babble), manager.function(worker, lambda: 3)
    (first,) = manager.run(worker, manager.assignment(TaskKind.CALL, function=babbling))
    (second,) = manager.run(worker, manager.assignment(TaskKind.CALL, function=harmless))
    assert first.outcome is not Outcome.SUCCESS
    assert value_of(second) == 3


def test_a_sandbox_that_cannot_be_removed_does_not_keep_its_task_from_ending(
    manager: ScriptedManager, worker: WorkerId
) -> None:
    deep = "i=0; while [ $i -lt 30 ]; do d=$(printf %0200d 0); mkdir $d; cd $d; i=$((i+1)); done"
    assert manager.command(worker, deep).outcome is Outcome.SUCCESS


def test_a_worker_that_is_stopped_while_it_starts_leaves_nothing_behind(manager: ScriptedManager) -> None:
    process = manager.start_worker()
    folder = manager.folder / "work" / "vine-worker-w1"
    while not folder.exists():
        os.sched_yield()
    process.terminate()
    assert process.wait(10) == 0
    assert not folder.exists()
