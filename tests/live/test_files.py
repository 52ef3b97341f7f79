"""Do files, tasks and calls do what their users expect of them, through real processes?"""

from __future__ import annotations

import os
import platform
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import vine
from tests.live import bodies
from tests.live.helpers import Site, a_site, done, lines_of, on
from tests.waiting import GIVE_UP_S, until
from vine import errors


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with a_site(tmp_path_factory.mktemp("files") / "site", 2) as site:
        yield site


def succeed(manager: vine.Manager, *tasks: vine.Task) -> None:
    done(manager, *tasks)
    for task in tasks:
        assert task.successful(), f"{task.error} {task.std_error}"


# --- inputs --------------------------------------------------------------------------------------------


def test_local_files_directories_and_buffers_are_inputs(manager: vine.Manager, tmp_path: Path) -> None:
    # given
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "deep.txt").write_text("deep")
    (folder / "empty").mkdir()
    (folder / "link").symlink_to("inner/deep.txt")
    script = folder / "script.sh"
    script.write_text("#!/bin/sh\necho it runs\n")
    script.chmod(0o755)
    (tmp_path / "local.txt").write_text("local")
    task = vine.Task("cat local.txt; cat below/buffer; cat folder/link; test -d folder/empty && folder/script.sh")
    task.add_input(manager.declare_file(tmp_path / "local.txt"), "local.txt")
    task.add_input(manager.declare_buffer("buffer"), "below/buffer")
    task.add_input(manager.declare_file(folder), "folder")
    # when
    succeed(manager, task)
    # then
    assert task.std_output == "localbufferdeepit runs\n"


def test_an_archive_is_unpacked_on_each_worker_that_needs_it(site: Site, manager: vine.Manager, tmp_path: Path) -> None:
    # given
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "numbers").write_text("1 2 3")
    with tarfile.open(tmp_path / "data.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "data", "data")
    unpacked = manager.declare_untar(manager.declare_file(tmp_path / "data.tar.gz"))
    tasks = [on(name, vine.Task("cat tree/data/numbers")) for name in site.workers]
    for task in tasks:
        task.add_input(unpacked, "tree")
    # when
    succeed(manager, *tasks)
    # then
    assert [task.std_output for task in tasks] == ["1 2 3", "1 2 3"]


# --- outputs -------------------------------------------------------------------------------------------


def test_outputs_come_back_to_local_paths_as_files_and_folders(manager: vine.Manager, tmp_path: Path) -> None:
    # given
    task = vine.Task("mkdir -p out/tree/inner; echo one > out/file; echo two > out/tree/inner/file")
    task.add_output(manager.declare_file(tmp_path / "results" / "file"), "out/file")
    task.add_output(manager.declare_file(tmp_path / "results" / "tree"), "out/tree")
    # when
    succeed(manager, task)
    # then: they are there as soon as the task is done
    assert (tmp_path / "results" / "file").read_text() == "one\n"
    assert (tmp_path / "results" / "tree" / "inner" / "file").read_text() == "two\n"


def test_a_temp_goes_to_its_consumer_by_a_peer_and_to_the_client_on_demand(site: Site, manager: vine.Manager) -> None:
    # given
    temp = manager.declare_temp()
    producer = on("w0", vine.Task("yes peer | head -c 1000000 > made"))
    producer.add_output(temp, "made")
    consumer = on("w1", vine.Task("wc -c < taken"))
    consumer.add_input(temp, "taken")
    before = site.status()
    # when: both are submitted at once
    succeed(manager, producer, consumer)
    # then
    assert int(consumer.std_output) == 1_000_000
    found = until(lambda: _if_more_from_peers(site, before["bytes_from_peers"] + 1_000_000), "the transfer is told")
    assert found - before["bytes_from_peers"] == 1_000_000
    assert manager.fetch_file(temp, GIVE_UP_S) == (b"peer\n" * 200_000)[:1_000_000]


def _if_more_from_peers(site: Site, at_least: int) -> int | None:
    moved: int = site.status()["bytes_from_peers"]
    return moved if moved >= at_least else None


def test_files_of_every_kind_can_be_fetched(manager: vine.Manager, tmp_path: Path) -> None:
    (tmp_path / "local").write_text("local")
    assert manager.fetch_file(manager.declare_file(tmp_path / "local"), GIVE_UP_S) == b"local"
    assert manager.fetch_file(manager.declare_buffer(b"small"), GIVE_UP_S) == b"small"
    large = os.urandom(300_000)
    assert manager.fetch_file(manager.declare_buffer(large), GIVE_UP_S) == large
    output = manager.declare_buffer()
    task = vine.Task("echo made > out")
    task.add_output(output, "out")
    succeed(manager, task)
    assert output.contents(timeout=GIVE_UP_S) == b"made\n"


def test_a_temp_whose_only_holder_is_killed_is_made_again(tmp_path: Path) -> None:
    with a_site(tmp_path / "site", 1) as site, site.client() as manager:
        # given: a chain of two temps, both on w0 only
        first, second = manager.declare_temp(), manager.declare_temp()
        runs = tmp_path / "runs"
        make_first = vine.Task(f"echo first >> {runs}; echo content > made")
        make_first.add_output(first, "made")
        make_second = vine.Task(f"echo second >> {runs}; cat taken taken > made")
        make_second.add_input(first, "taken")
        make_second.add_output(second, "made")
        succeed(manager, make_first, make_second)
        site.worker("w1")
        manager.wait_for_workers(2, GIVE_UP_S)
        # when
        site.workers["w0"].kill()
        consumer = on("w1", vine.Task("cat taken"))
        consumer.add_input(second, "taken")
        succeed(manager, consumer)
        # then
        assert consumer.std_output == "content\ncontent\n"
        assert lines_of(runs) == ["first", "second", "first", "second"]


# --- tasks ---------------------------------------------------------------------------------------------


def test_a_command_has_streams_an_exit_code_and_its_allotment_in_variables(manager: vine.Manager) -> None:
    # given
    task = vine.Task('cat; echo "$CORES $MEMORY $DISK $GPUS $OMP_NUM_THREADS $MINE"; echo complaint >&2; exit 4')
    task.set_cores(1)
    task.set_memory(300)
    task.set_disk(200)
    task.set_env_var("MINE", "of my own")
    task.set_tag("a tag")
    # when
    done(manager, task)
    # then
    assert task.std_output == "1 300 200 0 1 of my own\n"
    assert (task.std_error, task.exit_code, task.tag) == ("complaint\n", 4, "a tag")
    assert task.hostname == platform.node()
    assert task.worker in ("w0", "w1")


def test_a_task_runs_in_a_folder_of_its_own_that_is_gone_afterwards(site: Site, manager: vine.Manager) -> None:
    tasks = [vine.Task("pwd; ls -A; touch left-behind") for _ in range(2)]
    succeed(manager, *tasks)
    folders = [task.std_output.split() for task in tasks]
    assert [len(words) for words in folders] == [1, 1], "nothing but itself was in it"
    assert folders[0] != folders[1]
    until(lambda: not any(Path(folder).exists() for (folder,) in folders), "the sandboxes are removed")


def test_a_python_task_runs_in_a_fresh_interpreter_with_its_inputs(manager: vine.Manager) -> None:
    # given
    task = vine.PythonTask(bodies.say, "input", "out", "err")
    task.add_input(manager.declare_buffer(b"bytes"), "input")
    ids = [vine.PythonTask(bodies.process_id) for _ in range(2)]
    # when
    succeed(manager, task, *ids)
    # then
    assert (task.output, task.std_output, task.std_error) == (b"bytes", "out\n", "err\n")
    assert ids[0].output != ids[1].output


def test_a_task_is_tried_again_as_often_as_it_may(manager: vine.Manager, tmp_path: Path) -> None:
    # given: one that succeeds at its third try
    tries = tmp_path / "tries"
    task = vine.Task(f"echo try >> {tries}; test $(wc -l < {tries}) = 3")
    task.set_retries(2)
    # when
    succeed(manager, task)
    # then
    assert len(lines_of(tries)) == 3
    assert task.ended_as is not None
    assert task.ended_as.attempts == 3


def test_a_running_task_can_be_cancelled(manager: vine.Manager, tmp_path: Path) -> None:
    # given
    notes = tmp_path / "notes"
    task = vine.Task(f"echo $$ > {notes}; sleep 1000 & wait")
    task_id = manager.submit(task)
    (process_id,) = until(lambda: lines_of(notes), "the task runs")
    # when
    assert manager.cancel_by_task_id(task_id)
    # then
    assert manager.wait(GIVE_UP_S) is task
    assert task.result == "cancelled"
    assert type(task.error) is errors.TaskCancelled
    until(lambda: not Path(f"/proc/{process_id}").exists(), "the command has ended")


# --- calls ---------------------------------------------------------------------------------------------


def test_futures_inside_of_nested_containers_are_dependencies(executor: vine.Executor) -> None:
    one, two, three = (executor.submit(bodies.add, number) for number in (1, 2, 3))
    nested = {"a": [one, (two, {"deep": three})], "b": 4, "again": [one]}
    assert executor.submit(bodies.total, nested).result(GIVE_UP_S) == 11


def test_a_chain_of_calls_is_resolved_without_the_client(executor: vine.Executor) -> None:
    future = executor.submit(bodies.add, 0)
    for _ in range(50):
        future = executor.submit(bodies.add, future, 1)
    assert future.result(GIVE_UP_S) == 50


def test_large_arguments_and_results_go_their_way(executor: vine.Executor) -> None:
    # given
    data = os.urandom(3_000_000)
    # when
    sent = executor.submit(bodies.length, data)
    made = executor.submit(bodies.random_bytes, 3_000_000)
    passed = executor.submit(bodies.length, made)
    # then
    assert (sent.result(GIVE_UP_S), passed.result(GIVE_UP_S)) == (len(data), 3_000_000)
    assert len(made.result(GIVE_UP_S)) == 3_000_000


def test_calls_have_inputs_and_run_on_warm_interpreters(executor: vine.Executor, manager: vine.Manager) -> None:
    # given
    with_input = executor.options(inputs={"given/data": manager.declare_buffer(b"data")})
    # when
    digests = [with_input.submit(bodies.sha256_of, "given/data") for _ in range(4)]
    ids = {executor.submit(bodies.process_id).result(GIVE_UP_S) for _ in range(6)}
    # then
    assert len({future.result(GIVE_UP_S) for future in digests}) == 1
    assert len(ids) <= 2, "one interpreter for each of the two workers' cores"


def test_lambdas_and_closures_are_functions_too(executor: vine.Executor) -> None:
    factor = 3
    assert list(executor.map(lambda number: number * factor, range(5))) == [0, 3, 6, 9, 12]
