"""A manager by hand, for live tests: real sockets, and it says only what the test tells it to say."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import dill
import zmq

from vine.content.hashing import manifest_of_bytes
from vine.content.manifest import object_id
from vine.names import AttemptId, ObjectId, PeerKey, RunId, TaskId, TransferId, WorkerId
from vine.transfer.tokens import mint
from vine.wire import messages as wire
from vine.wire.hub import Hub
from vine.wire.keys import make_run_dir, new_run_keys, write_run_files
from vine.wire.parts import Assignment, AttemptResult, InlineObject, Manifest, Resources, Role, SourceEdge, TaskKind
from vine.wire.sockets import Gate, make_context
from vine.wire.worker_messages import (
    AttemptsEnded,
    FetchEnded,
    FetchObject,
    RunAttempts,
    StoreObjects,
    WorkerHello,
    WorkerWelcome,
)
from vine_function_host.payload import DILL, body_of

ROOT = Path(__file__).parents[2]
ONE_CORE = Resources(cores=1, memory_mb=100, disk_mb=100)
SOURCE_KEY = b"k" * 32
_M = TypeVar("_M", bound=wire.Message)


class ScriptedManager:
    """The hub of a run, and the worker processes that the test starts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys = keys = new_run_keys()
        self.context = make_context()
        self._gate = Gate(self.context, keys)
        self.hub = Hub(self.context, keys, "127.0.0.1", 0, time.monotonic())
        run_dir = folder / "run"
        make_run_dir(run_dir)
        self.connection_file = write_run_files(keys, run_dir, RunId("test"), f"tcp://127.0.0.1:{self.hub.port}")
        self.processes: list[subprocess.Popen[str]] = []
        self.peers: dict[WorkerId, PeerKey] = {}
        self.heard: dict[WorkerId, list[wire.Message]] = {}
        self._names: dict[PeerKey, WorkerId] = {}
        self.hellos: dict[WorkerId, WorkerHello] = {}
        self._last_attempt = 0
        self._last_transfer = 0
        self.results: dict[AttemptId, AttemptResult] = {}

    # --- processes ---

    def start_worker(
        self, name: str = "w1", *options: str, keep: tuple[int, ...] = (), limits: Mapping[str, float] | None = None
    ) -> subprocess.Popen[str]:
        """`limits` are those of `vine.config` that are to be others there."""
        program = f"from vine import config; vars(config).update({dict(limits or {})!r})\n"
        program += "from vine_worker.main import main; raise SystemExit(main())"
        arguments = [sys.executable, "-c", program, "--connection", str(self.connection_file)]
        arguments += ["--worker-id", name, "--workspace", str(self.folder / "work"), "--host-name", f"host-{name}"]
        arguments += ["--cores", "2", "--memory", "1000", "--disk", "1000", "--gpus", "0", *options]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'workers'}"}
        process = subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True, pass_fds=keep)
        self.processes.append(process)
        return process

    def joined(self, name: str = "w1") -> WorkerId:
        """Waits for the worker and welcomes it."""
        worker = WorkerId(name)
        self.until(lambda: worker in self.peers)
        self.say(worker, WorkerWelcome(RunId("test"), 1, SOURCE_KEY, 3))
        return worker

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
            if process.stderr is not None:
                process.stderr.close()
        self.hub.close()
        self._gate.close()
        self.context.term()

    # --- talk ---

    def say(self, worker: WorkerId, message: wire.Message) -> None:
        self.hub.send(self.peers[worker], message)
        self.hub.flush(time.monotonic())

    def until(self, holds: Callable[[], bool], limit_s: float = 20.0) -> None:
        """Listens until what the test waits for has come."""
        end_s = time.monotonic() + limit_s
        while not holds():
            now = time.monotonic()
            assert now < end_s, f"it did not come; heard: {self.heard}"
            self.hub.socket.poll(int(1000 * min(0.05, max(0.0, self.hub.deadline() - now))), zmq.POLLIN)
            for peer, _role, messages in self.hub.receive(time.monotonic()):
                for message in messages:
                    self._hear(peer, message)
            self.hub.flush(time.monotonic())

    def _hear(self, peer: PeerKey, message: wire.Message) -> None:
        if isinstance(message, WorkerHello):
            self.peers[message.worker_id] = peer
            self.hellos[message.worker_id] = message
            self._names[peer] = message.worker_id
        if isinstance(message, AttemptsEnded):
            for result in message.results:
                assert result.attempt not in self.results, "an attempt ended twice"
                self.results[result.attempt] = result
        self.heard.setdefault(self._names[peer], []).append(message)

    def next(self, worker: WorkerId, kind: type[_M]) -> _M:
        """The next message of a kind from a worker."""

        def found() -> _M | None:
            return next((message for message in self.heard.get(worker, []) if isinstance(message, kind)), None)

        self.until(lambda: found() is not None)
        message = found()
        assert message is not None
        self.heard[worker].remove(message)
        return message

    # --- work ---

    def store(self, worker: WorkerId, data: bytes) -> ObjectId:
        key = object_id(manifest_of_bytes(data))
        self.say(worker, StoreObjects((InlineObject(key, data),)))
        return key

    def fetch(self, receiver: WorkerId, source: WorkerId, key: ObjectId, manifest: Manifest) -> FetchEnded:
        """Has one worker pull an object from another."""
        edge = (source, Role.WORKER, self.hellos[source].requests_endpoint)
        self.order(receiver, key, manifest, edge)
        return self.next(receiver, FetchEnded)

    def order(
        self, receiver: WorkerId, key: ObjectId, manifest: Manifest, source: tuple[WorkerId, Role, str]
    ) -> TransferId:
        """Orders the transfer, and does not wait for its end."""
        self._last_transfer += 1
        transfer = TransferId(1, self._last_transfer)
        token = mint(SOURCE_KEY, transfer, key, self.hellos[receiver].chunks_endpoint)
        self.say(receiver, FetchObject(transfer, key, manifest, (SourceEdge(*source, token),)))
        return transfer

    def function(self, worker: WorkerId, function: Any) -> ObjectId:
        return self.store(worker, DILL + dill.dumps(function, recurse=True))

    def assignment(self, kind: TaskKind, **fields: Any) -> Assignment:
        self._last_attempt += 1
        arguments = fields.pop("args", ())
        if kind is not TaskKind.COMMAND:
            fields.setdefault("payload", b"P" + pickle.dumps((arguments, {})))
        fields.setdefault("allotment", ONE_CORE)
        number = self._last_attempt
        return Assignment(attempt=AttemptId(1, number), task_id=TaskId(number), kind=kind, **fields)

    def run(self, worker: WorkerId, *assignments: Assignment) -> list[AttemptResult]:
        """Assigns and waits for all results."""
        self.say(worker, RunAttempts(assignments))
        return self.results_of(*assignments)

    def results_of(self, *assignments: Assignment) -> list[AttemptResult]:
        self.until(lambda: all(assignment.attempt in self.results for assignment in assignments))
        return [self.results[assignment.attempt] for assignment in assignments]

    def command(self, worker: WorkerId, command: str, **fields: Any) -> AttemptResult:
        return self.run(worker, self.assignment(TaskKind.COMMAND, command=command, **fields))[0]


def value_of(result: AttemptResult) -> Any:
    assert result.value is not None, result
    return dill.loads(body_of(result.value))
