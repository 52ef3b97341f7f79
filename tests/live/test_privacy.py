"""Who gets to see results and a task's streams: the manager and the client, no worker's store and no peer."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import vine
from tests.live import bodies
from tests.live.helpers import Site, a_site, done, on
from tests.waiting import GIVE_UP_S, until
from vine.content.hashing import manifest_of_bytes
from vine.content.manifest import object_id
from vine.manager.journal import file_name
from vine.manager.replay import file_spec

# In what each of these leaves; long enough that no other bytes look like it.
SECRETS = {
    name: f"{name}-of-the-task-5e0e7d1f"
    for name in ("result", "long-result", "exception", "stdout", "stderr", "python-stdout", "python-stderr", "stdin")
}
LONG = 40_000  # times a secret: far over what travels in an envelope


@dataclass
class Ended:
    """A run of two workers that still lives, after tasks that left secrets."""

    site: Site
    manager: vine.Manager
    kept: list[object] = field(default_factory=list)  # results that the client still holds


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    with a_site(tmp_path_factory.mktemp("privacy") / "site", 2) as site, site.client() as manager:
        executor = vine.Executor(manager)
        shared = manager.declare_buffer(b"an input that both workers share" * 10_000)
        futures: list[Future[Any]] = [
            executor.submit(bodies.repeated, SECRETS["result"], 1),
            executor.submit(bodies.repeated, SECRETS["long-result"], LONG),
            executor.submit(bodies.fail, SECRETS["exception"]),
        ]
        tasks: list[vine.Task] = []
        for name in site.workers:
            stdin = vine.Task(f"echo {SECRETS['stdin']} | cat")
            streams = vine.Task(f"echo {SECRETS['stdout']}; echo {SECRETS['stderr']} >&2")
            python = vine.PythonTask(bodies.say, "shared", SECRETS["python-stdout"], SECRETS["python-stderr"])
            tasks += [on(name, task) for task in (stdin, streams, python)]
        for task in tasks:
            task.add_input(shared, "shared")
        done(manager, *tasks)
        assert futures[0].result(GIVE_UP_S) == SECRETS["result"]
        assert len(futures[1].result(GIVE_UP_S)) == LONG * len(SECRETS["long-result"])
        assert SECRETS["exception"] in str(futures[2].exception(GIVE_UP_S))
        for task in tasks:
            assert task.successful(), task.error
        assert SECRETS["stderr"] in tasks[1].std_error
        assert SECRETS["python-stdout"] in tasks[2].std_output
        yield Ended(site, manager, [*futures, *tasks])


def test_no_workers_store_holds_a_result_or_a_stream(ended: Ended) -> None:
    for worker in ended.site.workers.values():
        assert worker.objects, "there is a store to look into"
        for store in worker.workspace.glob("vine-store-*"):
            for path, data in _files_below(store):
                assert _secrets_in(data) == [], path


def test_nothing_of_them_is_left_anywhere_in_a_workspace(ended: Ended) -> None:
    # Sandboxes and what large results waited in are removed a moment after the task's end.
    for worker in ended.site.workers.values():
        until(lambda worker=worker: not [p for p, data in worker.all_bytes() if _secrets_in(data)], "all is removed")  # type: ignore[misc]


def test_every_object_that_a_worker_holds_is_a_declared_file_or_a_function(ended: Ended) -> None:
    with sqlite3.connect(f"file:{ended.site.run_dir / file_name}?mode=ro", uri=True) as journal:
        rows = list(journal.execute("SELECT object_id, spec FROM files"))
    # What travels in envelopes is known by its bytes: the functions here.
    small = [data for _, encoded in rows if (data := file_spec(encoded).data) is not None]
    declared = {key for key, _ in rows if key is not None} | {object_id(manifest_of_bytes(data)) for data in small}
    for worker in ended.site.workers.values():
        assert set(worker.objects) <= declared


def test_peers_have_passed_on_the_shared_input_only(ended: Ended) -> None:
    # given: the shared input was moved, once from the manager and once from a peer, and is the only large object
    size = len(b"an input that both workers share") * 10_000
    found = until(lambda: _settled(ended.site, size), "all transfers are told")
    # then: no peer has sent a byte more than that
    assert found["bytes_from_peers"] in (0, size)
    sent = {worker["id"]: worker["sent_bytes"] for worker in found["workers"]}
    # The long result was pulled by the manager from the worker that made it.
    pulled = found["manager"]["received_bytes"]
    assert sum(sent.values()) == found["bytes_from_peers"] + pulled, json.dumps(sent)
    received = {worker["id"]: worker["received_bytes"] for worker in found["workers"]}
    assert set(received.values()) == {size}, "no worker has received anything else"


def _settled(site: Site, size: int) -> dict[str, Any] | None:
    found = site.status()
    received = [worker["received_bytes"] for worker in found["workers"]]
    sent = sum(worker["sent_bytes"] for worker in found["workers"])
    pulled = found["manager"]["received_bytes"]
    return found if min(received) >= size and pulled and sent >= found["bytes_from_peers"] + pulled else None


def _files_below(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path, path.read_bytes()


def _secrets_in(data: bytes) -> list[str]:
    return [name for name, secret in SECRETS.items() if secret.encode() in data]
