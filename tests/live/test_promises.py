"""Do the promises hold that the README makes: once, at last, the true bytes, within the cap, with the keys?"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pickle
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

import vine
from tests.live import bodies
from tests.live.helpers import Site, a_site, check_message, done, lines_of, on, one_line_error, run, the_error
from tests.waiting import GIVE_UP_S, until
from vine import errors
from vine.host import host_id
from vine.manager.journal import file_name
from vine.names import ClientId
from vine.wire import messages as m
from vine.wire.codec import encode_one
from vine.wire.keys import load_connection
from vine.wire.link import Link
from vine.wire.parts import Role
from vine.wire.sockets import make_context


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two workers that no test of this module harms."""
    with a_site(tmp_path_factory.mktemp("promises") / "site", 2) as site:
        yield site


# --- 1: bodies at least once, results exactly once ---------------------------------------------------


def test_a_task_whose_worker_is_killed_runs_elsewhere_and_has_one_result(tmp_path: Path) -> None:
    # given
    notes, release = tmp_path / "notes", tmp_path / "release"
    with a_site(tmp_path / "site", 2, limits=["worker_lost_after_s=600"]) as site, site.client() as manager:
        executor = vine.Executor(manager)
        future = executor.submit(bodies.note_and_wait, str(notes), str(release))
        until(lambda: len(lines_of(notes)) == 1, "the body runs")
        first = _worker_that_runs_something(site)
        # when
        site.workers[first].kill()
        until(lambda: len(lines_of(notes)) == 2, "the body runs again, for its worker's connection was closed")
        release.touch()
        # then
        result = future.result(GIVE_UP_S)
        assert str(result) == lines_of(notes)[1]
        assert future.task.attempts == 2  # type: ignore[attr-defined]
        assert future.worker in {*site.workers} - {first}  # type: ignore[attr-defined]
        outcomes = until(lambda: _attempts(site, 2), "the journal has both attempts")
        assert outcomes == ["success", "worker-lost"]


def test_a_worker_that_was_only_thought_dead_does_not_bring_a_second_result(tmp_path: Path) -> None:
    # given
    notes, release = tmp_path / "notes", tmp_path / "release"
    with a_site(tmp_path / "site", 2) as site, site.client() as manager:
        task = vine.PythonTask(bodies.note_and_wait, str(notes), str(release))
        manager.submit(task)
        until(lambda: len(lines_of(notes)) == 1, "the body runs")
        first = _worker_that_runs_something(site)
        # when: the worker hangs, its body goes on
        site.workers[first].send(signal.SIGSTOP)
        until(lambda: len(lines_of(notes)) == 2, "the body runs again")
        release.touch()
        assert manager.wait(GIVE_UP_S) is task
        site.workers[first].send(signal.SIGCONT)
        manager.wait_for_workers(2, GIVE_UP_S)
        # then
        assert str(task.output) == lines_of(notes)[1]
        assert task.worker != first
        (again,) = done(manager, on(first, vine.Task("true")))
        assert again.successful(), again.error
        assert manager.empty()


def _worker_that_runs_something(site: Site) -> str:
    def runs() -> str | None:
        return next((worker["id"] for worker in site.status()["workers"] if worker["running"]), None)

    return until(runs, "a worker is said to run the task")


def _attempts(site: Site, count: int) -> list[str] | None:
    with sqlite3.connect(f"file:{site.run_dir / file_name}?mode=ro", uri=True) as journal:
        rows = [outcome for (outcome,) in journal.execute("SELECT outcome FROM attempts WHERE outcome IS NOT NULL")]
    return sorted(rows) if len(rows) >= count else None


# --- 2: every future resolves ------------------------------------------------------------------------


def test_a_call_that_fits_no_worker_fails_soon_and_says_so(executor: vine.Executor) -> None:
    error = executor.options(cores=64).submit(bodies.add, 1).exception(GIVE_UP_S)
    check_message(error, errors.NoWorkerFits, "64", "add")


def test_a_running_call_that_is_cancelled_ends_and_frees_its_worker(executor: vine.Executor, tmp_path: Path) -> None:
    # given
    notes = tmp_path / "notes"
    future = executor.submit(bodies.note_and_wait, str(notes), str(tmp_path / "never"))
    (process_id,) = until(lambda: lines_of(notes), "the body runs")
    # when
    assert future.cancel()
    # then
    assert future.cancelled()
    until(lambda: not Path(f"/proc/{process_id}").exists(), "the body has ended")
    futures = [executor.submit(bodies.add, number, 1) for number in range(4)]
    assert [future.result(GIVE_UP_S) for future in futures] == [1, 2, 3, 4]


def test_a_call_that_kills_its_own_host_fails_alone(executor: vine.Executor) -> None:
    before, victim, after = (
        executor.submit(bodies.add, 1),
        executor.submit(bodies.kill_myself),
        executor.submit(bodies.add, 2),
    )
    check_message(victim.exception(GIVE_UP_S), errors.TaskFailed, "kill_myself", "SIGKILL")
    assert (before.result(GIVE_UP_S), after.result(GIVE_UP_S)) == (1, 2)


def test_a_call_whose_dependency_failed_names_the_cause(executor: vine.Executor) -> None:
    failed = executor.submit(bodies.fail, "no such luck")
    error = executor.submit(bodies.add, failed).exception(GIVE_UP_S)
    check_message(error, errors.DependencyFailed, "fail", "no such luck")


# --- 4: every byte hash-checked, inputs protected ------------------------------------------------------


def test_a_task_cannot_write_to_its_input_where_the_kernel_keeps_it_read_only(tmp_path: Path) -> None:
    with a_site(tmp_path / "site", ["w0"], "--protect", "mount") as site, site.client() as manager:
        # given
        file = manager.declare_buffer(b"true bytes")
        offender = vine.PythonTask(bodies.write_into, "input")
        reader = vine.Task("cat input")
        for task in (offender, reader):
            task.add_input(file, "input")
        # when
        done(manager, offender)
        done(manager, reader)
        # then
        assert isinstance(offender.error, OSError), offender.error
        assert reader.std_output == "true bytes"


def test_where_the_kernel_does_not_help_an_altered_input_is_found_before_the_next_task_sees_it(tmp_path: Path) -> None:
    with a_site(tmp_path / "site", ["w0"], "--protect", "check") as site, site.client() as manager:
        # given
        file = manager.declare_buffer(b"true bytes")
        offender = vine.PythonTask(bodies.write_into, "given/input")
        readers = [vine.Task("cat given/input") for _ in range(3)]
        for task in (offender, *readers):
            task.add_input(file, "given/input")
        # when
        done(manager, readers[0])
        done(manager, offender)
        done(manager, *readers[1:])
        # then
        check_message(the_error(offender), errors.InputAltered, "write_into", "given/input")
        assert [task.std_output for task in readers] == ["true bytes"] * 3


def test_a_copy_that_went_bad_on_a_workers_disk_is_found_by_the_peer_that_receives_it(tmp_path: Path) -> None:
    # given: w0 is a source of 1 MB, and one bit of its copy has flipped
    data = os.urandom(1 << 20)
    with a_site(tmp_path / "site", 2) as site, site.client() as manager:
        file = manager.declare_buffer(data)
        first, second = (on(name, vine.Task("sha256sum < input")) for name in site.workers)
        for task in (first, second):
            task.add_input(file, "input")
        done(manager, first)
        (copy,) = site.workers["w0"].objects.values()
        _flip_a_bit(copy)
        # when
        done(manager, second)
        # then
        assert second.std_output.split()[0] == hashlib.sha256(data).hexdigest()
        (received,) = site.workers["w1"].objects.values()
        assert received.read_bytes() == data
        assert until(lambda: site.status()["transfers_failed"], "the bad transfer is told") == 1


def test_a_temp_whose_only_copy_went_bad_is_made_again(tmp_path: Path) -> None:
    with a_site(tmp_path / "site", 2) as site, site.client() as manager:
        # given
        temp = manager.declare_temp()
        producer = on("w0", vine.Task("yes line | head -c 1000000 > made"))
        producer.add_output(temp, "made")
        done(manager, producer)
        (copy,) = site.workers["w0"].objects.values()
        _flip_a_bit(copy)
        # when
        consumer = on("w1", vine.Task("sha256sum < input"))
        consumer.add_input(temp, "input")
        done(manager, consumer)
        # then
        assert consumer.successful(), consumer.error
        expected = hashlib.sha256((b"line\n" * 200_000)[:1_000_000]).hexdigest()
        assert consumer.std_output.split()[0] == expected


def _flip_a_bit(path: Path) -> None:
    os.chmod(path, 0o644)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


# --- 5: the cap ----------------------------------------------------------------------------------------


def test_no_node_serves_more_than_three_transfers_at_once(tmp_path: Path) -> None:
    # given: 6 workers that all need 6 files at once
    names = [f"w{number}" for number in range(6)]
    with a_site(tmp_path / "site", names) as site, site.client() as manager:
        files = [manager.declare_buffer(os.urandom(3 << 20)) for _ in range(6)]
        tasks = [on(name, vine.Task("cat in* | wc -c")) for name in names]
        for task in tasks:
            for number, file in enumerate(files):
                task.add_input(file, f"in{number}")
        # when
        done(manager, *tasks)
        # then
        assert [int(task.std_output) for task in tasks] == [6 * (3 << 20)] * 6
        found = until(lambda: _if_all_told(site, 6 * 6 * (3 << 20)), "all transfers are told")
        most = {node["id"]: node["flows_out_max"] for node in found["workers"]}
        assert max(most.values()) <= 3, most
        assert found["manager"]["flows_out_max"] <= 3
        assert any(most.values()), "peers have served"


def _if_all_told(site: Site, size: int) -> dict[str, Any] | None:
    found = site.status()
    nodes = [found["manager"], *found["workers"]]
    return found if sum(node["sent_bytes"] for node in nodes) >= size else None


# --- 6: nobody without the run's keys -------------------------------------------------------------------


def test_a_worker_with_keys_of_another_run_is_refused(site: Site, tmp_path: Path) -> None:
    # given: a file that names this run's address, with keys that are not this run's
    with a_site(tmp_path / "other") as other:
        forged = json.loads(other.connection.read_text())
    forged["endpoint"] = json.loads(site.connection.read_text())["endpoint"]
    path = tmp_path / "forged.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(forged))
    # when
    ended = run("vine-worker", "--connection", path, "--workspace", tmp_path / "workspace")
    # then
    assert ended.returncode == errors.ExitCode.REFUSED
    assert forged["endpoint"] in one_line_error(ended, "vine-worker")
    assert len(site.status()["workers"]) == 2


def test_a_stranger_without_encryption_does_not_get_past_the_handshake(site: Site, executor: vine.Executor) -> None:
    # given
    endpoint = json.loads(site.connection.read_text())["endpoint"]
    hello = encode_one(m.ClientHello(ClientId("stranger"), host_id(site.run_dir), "3.11"))
    with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
        stranger.linger = 0
        refused = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_DISCONNECTED
        watch = stranger.get_monitor_socket(refused | zmq.EVENT_HANDSHAKE_SUCCEEDED)
        # when
        stranger.connect(endpoint)
        stranger.send(hello)
        # then
        assert watch.poll(int(GIVE_UP_S * 1000))
        kind, _ = watch.recv_multipart()
        assert int.from_bytes(kind[:2], "little") & refused
        assert not stranger.poll(0)
        stranger.disable_monitor()
    assert executor.submit(bodies.add, 1, 1).result(GIVE_UP_S) == 2
    assert site.status()["clients"] == 1


def test_a_workers_key_does_not_make_a_client(site: Site, manager: vine.Manager) -> None:
    # given
    before = site.status()["manager"]["malformed"]
    keys = load_connection(site.connection, Role.WORKER)
    posing = dataclasses.replace(keys, role=Role.CLIENT)
    hello = m.ClientHello(ClientId("upstart"), host_id(site.run_dir), "3.11")
    context = make_context()
    link = Link(context, posing, m.ToClient, lambda: hello, time.monotonic())
    try:
        # when
        link.flush(time.monotonic())
        found = until(lambda: _if_more_malformed(site, before), "the manager has counted the false hello")
        # then
        assert link.receive(time.monotonic()) == []
        assert not link.welcomed
        assert found["clients"] == 1
    finally:
        link.close()
        context.destroy(linger=0)


def _if_more_malformed(site: Site, before: int) -> dict[str, Any] | None:
    found = site.status()
    return found if found["manager"]["malformed"] > before else None


def test_the_keys_lie_where_only_their_owner_can_read_them(site: Site) -> None:
    assert site.run_dir.stat().st_mode & 0o777 == 0o700
    keys = ["client.json", "connection.json", "factory.json", "manager.json"]
    assert [(site.run_dir / name).stat().st_mode & 0o777 for name in keys] == [0o600] * 4


def test_the_manager_unpickles_neither_arguments_nor_results_nor_exceptions(
    site: Site, executor: vine.Executor, tmp_path: Path
) -> None:
    # given: things that leave the id of each process that unpickles them
    given, returned, passed, raised = (str(tmp_path / name) for name in ("given", "returned", "passed", "raised"))
    # when
    given_to = executor.submit(bodies.process_id_beside, bodies.Telltale(given)).result(GIVE_UP_S)
    executor.submit(bodies.telltale, returned).result(GIVE_UP_S)
    kept = executor.submit(bodies.telltale, passed)
    passed_to = executor.submit(bodies.process_id_beside, kept).result(GIVE_UP_S)
    kept.result(GIVE_UP_S)
    error = executor.submit(bodies.raise_telltale, raised).exception(GIVE_UP_S)
    # then
    client = str(os.getpid())
    assert lines_of(Path(given)) == [str(given_to)]
    assert lines_of(Path(returned)) == [client]
    assert sorted(lines_of(Path(passed))) == sorted([str(passed_to), client])
    assert isinstance(error, bodies.TelltaleError)
    assert client in lines_of(Path(raised))
    # The host tries whether an exception can be unpickled at all; neither the manager does nor the worker itself.
    main_processes = {str(program.pid) for program in (site.manager, *site.workers.values())}
    assert not main_processes & set(lines_of(Path(raised)))


def test_what_is_no_message_is_counted_and_the_manager_goes_on(site: Site, executor: vine.Executor) -> None:
    # given
    before = site.status()["manager"]["malformed"]
    connection = load_connection(site.run_dir, Role.CLIENT)
    hello = m.ClientHello(ClientId("babbler"), host_id(site.run_dir), "3.11")
    context = make_context()
    link = Link(context, connection, m.ToClient, lambda: hello, time.monotonic())
    try:
        # when: with the right key, but a pickle where messages belong
        link.socket.send_multipart([b"no header", pickle.dumps(bodies.Telltale("/dev/null"))])
        # then
        until(lambda: _if_more_malformed(site, before), "the manager has counted it")
        assert executor.submit(bodies.add, 2, 2).result(GIVE_UP_S) == 4
    finally:
        link.close()
        context.destroy(linger=0)


# --- 7: a waiting task has a reason: test_status.py -------------------------------------------------------
