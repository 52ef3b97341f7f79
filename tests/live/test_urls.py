"""Is a URL downloaded once, by one worker, and does everybody have its bytes? Through real processes."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import vine
from tests.live.helpers import Site, a_site, check_message, done, on, run, the_error
from tests.waiting import GIVE_UP_S, until
from tests.web import Reply, WebServer, a_web_server
from vine import errors

WORKERS = ("w0", "w1", "w2")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with a_site(tmp_path_factory.mktemp("urls") / "site", WORKERS) as site:
        yield site


@pytest.fixture
def server() -> Iterator[WebServer]:
    with a_web_server() as server:
        yield server


def sums_of(file: vine.File) -> list[vine.Task]:
    tasks = [on(name, vine.Task("sha256sum < data")) for name in WORKERS]
    for task in tasks:
        task.add_input(file, "data")
    return tasks


def test_three_workers_cost_the_server_one_get_and_pull_the_rest_from_each_other(
    site: Site, manager: vine.Manager, server: WebServer
) -> None:
    # given a file of many chunks, and a worker for each task
    data = os.urandom(8 << 20)
    before = site.status()
    # when
    tasks = done(manager, *sums_of(manager.declare_url(server.serve(Reply(data)))))
    # then
    assert [task.std_output.split()[0] for task in tasks] == [hashlib.sha256(data).hexdigest()] * 3, [
        task.error for task in tasks
    ]
    assert {task.worker for task in tasks} == set(WORKERS)
    assert [request.path for request in server.requests] == ["/data"]
    after = until(
        lambda: found if (found := site.status())["transfers_done"] - before["transfers_done"] == 2 else None,
        "the transfers are in vine-status",
    )
    assert after["bytes_from_peers"] - before["bytes_from_peers"] == 2 * len(data)
    assert after["bytes_from_manager"] == before["bytes_from_manager"]
    assert after["bytes_from_urls"] - before["bytes_from_urls"] == len(data)
    assert after["downloads_of_one_url_max"] == 1
    assert "most at once of one URL: 1" in run("vine-status", site.run_dir).stdout


def test_a_url_is_an_argument_s_file_an_archive_and_something_to_fetch(
    manager: vine.Manager, server: WebServer
) -> None:
    # given an archive at a URL
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("inner/numbers")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"1 2 3"))
    file = manager.declare_url(server.serve(Reply(packed.getvalue())))
    task = vine.Task("cat tree/inner/numbers")
    task.add_input(manager.declare_untar(file), "tree")
    # when
    future = vine.Executor(manager).options(inputs={"data": file}).submit(os.path.getsize, "data")
    done(manager, task)
    # then
    assert task.std_output == "1 2 3", task.error
    assert future.result(GIVE_UP_S) == len(packed.getvalue())
    assert manager.fetch_file(file, GIVE_UP_S) == packed.getvalue()
    assert len(server.requests) == 1


def test_a_file_of_a_shared_file_system_is_read_by_one_worker(manager: vine.Manager, tmp_path: Path) -> None:
    (tmp_path / "shared").write_bytes(b"shared")
    assert manager.fetch_file(manager.declare_url((tmp_path / "shared").as_uri()), GIVE_UP_S) == b"shared"


def test_what_is_not_there_fails_its_tasks_and_no_message_log_or_view_tells_a_secret(
    site: Site, manager: vine.Manager, server: WebServer
) -> None:
    file = manager.declare_url(server.url("/missing?token=secret").replace("http://", "http://me:secret@"))
    for task in done(manager, *sums_of(file)):
        message = check_message(the_error(task), errors.InputMissing, "/missing?...", "404 Not Found")
        assert "secret" not in message
    assert len(server.requests) == 1
    with pytest.raises(errors.TaskFailed, match="404"):
        manager.fetch_file(file, GIVE_UP_S)
    logs = [path.read_text() for path in (site.run_dir / "logs").iterdir()]
    assert any("404 Not Found" in log for log in logs)
    shown = [run("vine-status", site.run_dir, *how).stdout for how in ((), ("--json",))]
    assert not any("secret" in text for text in (*logs, *shown))


def test_a_lost_url_is_downloaded_again(site: Site, manager: vine.Manager, server: WebServer) -> None:
    # given a URL that only one worker has, and whose content has changed since
    worker = site.worker("w3")
    manager.wait_for_workers(4, GIVE_UP_S)
    file = manager.declare_url(server.serve(Reply(b"before"), Reply(b"after")))
    first, second = vine.Task("cat data"), vine.Task("cat data")
    for task in (first, second):
        task.add_input(file, "data")
    (first,) = done(manager, on("w3", first))
    assert first.std_output == "before", first.error
    holders = [name for name, other in site.workers.items() if _has(other.objects, b"before")]
    # when all that have it are gone
    for name in holders:
        site.workers[name].kill()
    until(lambda: len(site.status()["workers"]) == 4 - len(holders), "the manager knows that they are gone")
    (second,) = done(manager, second)
    # then the next task takes what there is now
    assert worker.name in site.workers
    assert second.std_output == "after", second.error
    assert len(server.requests) == 2


def _has(objects: dict[str, Path], data: bytes) -> bool:
    return any(path.is_file() and path.read_bytes() == data for path in objects.values())
