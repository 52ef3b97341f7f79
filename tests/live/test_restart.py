"""The manager dies in the middle of a run, and is started again: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import Future
from pathlib import Path

import vine
from tests.live import bodies
from tests.live.helpers import Program, Site, a_site, command, lines_of, run
from tests.waiting import GIVE_UP_S, until
from tests.wire.live import Relay, relay_to
from vine import errors
from vine.manager.journal import file_name
from vine.manager.replay import replay
from vine.views.reading import open_run
from vine.wire.keys import load_connection
from vine.wire.parts import Role


def start_again(site: Site) -> None:
    site.manager = Program(
        command("vine-manager", "--run-dir", site.run_dir), site.folder / "again.err", lifeline=site.lifeline
    )
    assert site.manager.line() == f"ready {site.connection}", site.manager.complaints()


def written(site: Site, ended: int) -> bool:
    """Whether so many tasks have ended by the journal."""
    return sum(task.result is not None for task in replay(site.run_dir / file_name).tasks.values()) >= ended


def sent_bytes(site: Site) -> int:
    """By this manager, since it was started."""
    with open_run(site.run_dir) as past:
        latest = past.snapshot()
    assert latest is not None
    sent: int = latest[1]["manager"]["sent_bytes"]
    return sent


def assigned(site: Site) -> int:
    """How many attempts have not ended by the journal."""
    return sum(len(task.attempts) for task in replay(site.run_dir / file_name).tasks.values())


def test_a_run_goes_on_where_its_manager_has_died(tmp_path: Path) -> None:
    notes, gate, shared = tmp_path / "notes", tmp_path / "gate", tmp_path / "shared"
    shared.write_bytes(os.urandom(3 << 20))
    with a_site(tmp_path, 2) as site, site.client() as manager, vine.Executor(manager) as executor:
        # given: ends that are written, bodies that run, and tasks that wait for these; all with one shared input
        data = manager.declare_file(shared)
        options = executor.options(inputs={"data": data}, cores=1)
        ended = [options.submit(bodies.note_and_add, str(notes), n, n) for n in range(6)]
        assert [future.result(GIVE_UP_S) for future in ended] == [2 * n for n in range(6)]
        until(lambda: written(site, 6), "the ends are in the journal")
        running = [options.submit(bodies.note_and_wait, str(notes), str(gate)) for _ in range(2)]
        until(lambda: len(lines_of(notes)) == 8, "both bodies run")
        until(lambda: assigned(site) == 2, "that is in the journal")
        waiting = [options.submit(bodies.note_and_add, str(notes), future, 1) for future in running]
        copies = {path: path.stat().st_ino for worker in site.workers.values() for path in worker.objects.values()}
        # when
        site.manager.kill()
        gate.touch()
        late = [options.submit(bodies.note_and_add, str(notes), 100 + n, 0) for n in range(3)]
        start_again(site)
        # then
        ids = [future.result(GIVE_UP_S) for future in running]
        assert [future.result(GIVE_UP_S) for future in waiting] == [process_id + 1 for process_id in ids]
        assert [future.result(GIVE_UP_S) for future in late] == [100, 101, 102]
        assert len(lines_of(notes)) == 6 + 2 + 2 + 3, "a body ran twice, or not at all"
        until(lambda: written(site, 13), "all ends are in the journal")
        assert {path: path.stat().st_ino for path in copies} == copies, "a worker's cache is not what it was"
        assert sent_bytes(site) < 3 << 20, "the shared input was sent again"


def test_a_manager_that_its_client_has_started_comes_back_by_itself(tmp_path: Path) -> None:
    with vine.Executor(workers=1, cores=1, workspace=str(tmp_path / "w"), run_info_path=str(tmp_path)) as executor:
        gate, notes = tmp_path / "gate", tmp_path / "notes"
        running: Future[int] = executor.submit(bodies.note_and_wait, str(notes), str(gate))
        until(lambda: lines_of(notes), "the body runs")
        assert executor.manager._program is not None
        os.kill(executor.manager._program.pid, signal.SIGKILL)
        gate.touch()
        assert running.result(GIVE_UP_S) > 0
        assert executor.submit(bodies.add, 1, 2).result(GIVE_UP_S) == 3
        assert len(lines_of(notes)) == 1


def test_two_managers_do_not_share_a_run(tmp_path: Path) -> None:
    with a_site(tmp_path) as site:
        second = run("vine-manager", "--run-dir", site.run_dir)
        assert second.returncode == errors.ExitCode.USAGE
        assert "has a manager" in second.stderr


def test_a_run_that_has_ended_is_refused_with_its_reason(tmp_path: Path) -> None:
    with a_site(tmp_path) as site:
        site.end()
        again = run("vine-manager", "--run-dir", site.run_dir)
    assert again.returncode == errors.ExitCode.USAGE
    assert "has ended (the manager got SIGTERM)" in again.stderr


def port_of(site: Site) -> int:
    return int(load_connection(site.run_dir, Role.CLIENT).endpoint.rpartition(":")[2])


def lead_through(site: Site, relay: Relay) -> None:
    """Whoever connects from now on comes through the relay."""
    for path in site.run_dir.glob("*.json"):
        content = json.loads(path.read_text())
        if "endpoint" in content:
            path.write_text(json.dumps({**content, "endpoint": relay.endpoint}))


def test_connections_that_break_lose_nothing(tmp_path: Path) -> None:
    with a_site(tmp_path) as site, relay_to(port_of(site)) as relay:
        # given: a client and a worker whose connections are cut, with what is on its way
        lead_through(site, relay)
        notes = tmp_path / "notes"
        site.worker("w0", "--cores", 2)
        with site.client() as manager, vine.Executor(manager) as executor:
            for lost_bytes in (1, 100, 1000, 2000):
                # when
                futures = [executor.submit(bodies.note_and_add, str(notes), n, 1) for n in range(100)]
                relay.cut_after(lost_bytes)
                # then
                assert [future.result(GIVE_UP_S) for future in futures] == [n + 1 for n in range(100)]
        assert relay.cuts > 0
        assert len(lines_of(notes)) == 400, "a body ran twice"
