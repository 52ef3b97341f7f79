"""A manager and a worker in one thread: real sockets, and calls that run as soon as they can."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import zmq

from vine import config
from vine.names import FileId, RunId, TaskId
from vine.wire import sockets
from vine.wire.hub import Hub
from vine.wire.keys import new_run_keys, write_run_files
from vine.wire.messages import (
    AwaitWorkers,
    BringFile,
    BringResult,
    CancelTasks,
    ClientBye,
    ClientHello,
    ClientWelcome,
    DeclareFiles,
    FileBound,
    FileBrought,
    FileUnreadable,
    ForgetFiles,
    ForgetResults,
    InstallLibrary,
    KeepResults,
    Message,
    PruneFiles,
    Refused,
    ReplicateFile,
    ResultBrought,
    RunState,
    SetCategory,
    SpreadFile,
    SubmitTasks,
    TasksAwaited,
    TasksEnded,
)
from vine.wire.parts import FileSpec, Outcome, TaskKind, TaskResult, TaskSpec
from vine_function_host.frames import AT_PATH, INLINE, Call, Commons, call_frame, common_part
from vine_function_host.host import Host, Options
from vine_function_host.serialiser import Serialiser
from vine_worker import process
from vine_worker.functions.channel import Answer


class OneCall(Host):
    """The true host program's way with a call, without its process: what it answers."""

    def __init__(
        self,
        spec: TaskSpec,
        data: Callable[[FileId], bytes],
        path: Callable[[FileId], str],
        values: dict[TaskId, bytes],
    ) -> None:
        assert spec.function is not None
        self._serialiser = Serialiser(None)
        self._functions = {b"it": self._serialiser.function(data(spec.function))}
        self._settings = b""
        self._options = Options(json.dumps({"fork": False, "inline_bytes": config.inline_bytes_max}))
        file_id = spec.payload_file
        blobs = [(INLINE, spec.payload) if file_id is None else (AT_PATH, os.fsencode(path(file_id)))]
        blobs += [(INLINE, values[task_id]) for task_id in spec.depends]
        common = common_part(b"it", b"", [os.fsencode(path(file_id)) for file_id in spec.shared])
        self._run(Call(call_frame(1, common, blobs), Commons()))
        if file_id is not None:
            os.unlink(path(file_id))  # Nobody else is given it.

    def _answer(self, number: int, brings: bytes, parts: Sequence[Any], run_s: float, words: str = "") -> None:
        answer = Answer(number, brings, False, b"".join(parts), run_s, words)
        ending = process.ending_of_answer(answer)
        self.outcome, self.value, self.words = ending.outcome, ending.value or b"", ending.message


class ScriptedManager:
    """Runs in this process, so that tests can look at what it was told.

    Calls of functions named in `held` do not run until `release`; those that are named in `running` too have begun.
    """

    def __init__(self, run_dir: Path, refuse: str = "") -> None:
        self.heard: list[Message] = []
        self.files: dict[FileId, FileSpec] = {}
        self.bound: dict[FileId, FileBound] = {}
        self.tasks: dict[TaskId, TaskSpec] = {}
        self.values: dict[TaskId, bytes] = {}
        self.failed: set[TaskId] = set()
        self.remote: set[TaskId] = set()  # whose results stay here, whatever their size
        self.lost: set[TaskId] = set()  # whose results cannot be brought
        self.held: set[str] = set()
        self.running: set[str] = set()
        self.welcomes = True  # whoever says hello, at once
        self.staging = run_dir / "staging"
        self._run_dir = run_dir
        self._refuse = refuse
        self._orders: list[Callable[[], None]] = []
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._told = threading.Condition()
        self._peer: Any = None
        self._on: dict[type[Message], Callable[[Any], None]] = {
            ClientHello: self._hello,
            DeclareFiles: self._declare,
            FileBound: self._bind,
            FileUnreadable: self._nothing,
            ForgetFiles: self._nothing,
            ForgetResults: self._nothing,
            ClientBye: self._nothing,
            SubmitTasks: self._submit,
            CancelTasks: self._cancel,
            BringFile: self._bring,
            SetCategory: self._nothing,
            SpreadFile: self._nothing,
            ReplicateFile: self._nothing,
            PruneFiles: self._nothing,
            InstallLibrary: self._nothing,
            AwaitWorkers: self._nothing,
            TasksAwaited: self._nothing,
            KeepResults: self._keep,
            BringResult: self._bring_result,
        }
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(30)

    @property
    def connection(self) -> Path:
        return self._run_dir / "connection.json"

    def all(self, kind: type[Any]) -> list[Any]:
        return [message for message in list(self.heard) if isinstance(message, kind)]

    def until(self, heard: Callable[[], object]) -> None:
        """Waits for what the client is to say."""
        with self._told:
            assert self._told.wait_for(heard, 30), f"it was not said; heard: {self.heard}"

    def order(self, do: Callable[[], None]) -> None:
        """Have something done on the manager's thread, soon."""
        self._orders.append(do)

    def release(self, name: str) -> None:
        self.order(lambda: self.held.discard(name))

    def say(self, message: Message) -> None:
        self.order(lambda: self._hub.send(self._peer, message))

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        context = sockets.make_context()
        keys = new_run_keys()
        gate = sockets.Gate(context, keys)
        self._hub = Hub(context, keys, "127.0.0.1", 0, time.monotonic())
        self.staging.mkdir(parents=True)
        write_run_files(keys, self._run_dir, RunId("run"), f"tcp://127.0.0.1:{self._hub.port}")
        poller = zmq.Poller()
        poller.register(self._hub.socket, zmq.POLLIN)
        self._ready.set()
        while not self._stop.is_set():
            while self._orders:
                self._orders.pop(0)()
            for peer, _role, messages in self._hub.receive(time.monotonic()):
                self._peer = peer
                with self._told:
                    for message in messages:
                        self.heard.append(message)
                        self._on[type(message)](message)
                    self._told.notify_all()
            self._run_calls()
            self._hub.flush(time.monotonic())
            poller.poll(5)  # Orders come without a wake-up.
        self._hub.close()
        gate.close()
        context.term()

    def _hello(self, hello: ClientHello) -> None:
        if self._refuse:
            self._hub.send(self._peer, Refused(self._refuse))
        elif self.welcomes:
            self.welcome()

    def welcome(self) -> None:
        welcome = ClientWelcome(RunId("run"), 1, 3, str(self._run_dir), str(self.staging), True)
        self._hub.send(self._peer, welcome)
        self._hub.send(self._peer, RunState(2, 4.0, {}, 0, 0))

    def _declare(self, message: DeclareFiles) -> None:
        for spec in message.files:
            self.files[spec.file_id] = spec

    def _bind(self, message: FileBound) -> None:
        self.bound[message.file_id] = message

    def _nothing(self, message: Message) -> None:
        """Only remembered."""

    def _submit(self, message: SubmitTasks) -> None:
        for spec in message.tasks:
            self.tasks[spec.task_id] = spec

    def _cancel(self, message: CancelTasks) -> None:
        for task_id in message.task_ids:
            running = task_id in self.tasks and self.tasks[task_id].label in self.running
            if not (running and message.unless_running) and self.tasks.pop(task_id, None) is not None:
                self._hub.send(self._peer, TasksEnded((TaskResult(task_id, Outcome.CANCELLED),)))

    def _bring(self, message: BringFile) -> None:
        spec = self.files[message.file_id]
        if spec.data is None:
            self._hub.send(self._peer, FileBrought(message.file_id, None, f"{spec.label} was never made"))
            return
        path = self.staging / f"brought-{message.file_id}"
        path.write_bytes(spec.data)
        self._hub.send(self._peer, FileBrought(message.file_id, str(path)))

    def _keep(self, message: KeepResults) -> None:
        self.remote.update(message.task_ids)

    def _bring_result(self, message: BringResult) -> None:
        if message.task_id in self.lost:
            self._hub.send(self._peer, ResultBrought(message.task_id, None, "the result was lost"))
            return
        path = self.staging / f"result-{message.task_id}"
        path.write_bytes(self.values[message.task_id])
        self._hub.send(self._peer, ResultBrought(message.task_id, str(path)))

    def _run_calls(self) -> None:
        progress = True
        while progress:
            progress = False
            for spec in list(self.tasks.values()):
                if self._can_run(spec):
                    del self.tasks[spec.task_id]
                    self._hub.send(self._peer, TasksEnded((self._result(spec),)))
                    progress = True

    def _can_run(self, spec: TaskSpec) -> bool:
        known = all(task_id in self.values or task_id in self.failed for task_id in spec.depends)
        staged = {spec.payload_file, *spec.shared} - {None} <= self.bound.keys()
        return known and staged and spec.label not in self.held

    def _result(self, spec: TaskSpec) -> TaskResult:
        if any(task_id in self.failed for task_id in spec.depends):
            self.failed.add(spec.task_id)
            return TaskResult(spec.task_id, Outcome.DEPENDENCY_FAILED, message=f"'{spec.label}' takes a failed result")
        if spec.kind is TaskKind.COMMAND:
            return TaskResult(spec.task_id, Outcome.SUCCESS, exit_code=0, stdout=spec.command.encode(), hostname="here")
        host = OneCall(spec, self._data, lambda file_id: self.bound[file_id].path, self.values)
        outcome, value = host.outcome, host.value
        if outcome is not Outcome.SUCCESS:
            self.failed.add(spec.task_id)
            return TaskResult(spec.task_id, outcome, value=value, message=host.words)
        self.values[spec.task_id] = value
        if spec.task_id in self.remote:
            return TaskResult(spec.task_id, Outcome.SUCCESS, remote=True)
        if len(value) <= config.inline_bytes_max:
            return TaskResult(spec.task_id, Outcome.SUCCESS, value=value)
        path = self.staging / f"value-{spec.task_id}"
        path.write_bytes(value)
        return TaskResult(spec.task_id, Outcome.SUCCESS, value_path=str(path))

    def _data(self, file_id: FileId) -> bytes:
        spec = self.files[file_id]
        if spec.data is not None:
            return spec.data
        return Path(self.bound[file_id].path).read_bytes()
