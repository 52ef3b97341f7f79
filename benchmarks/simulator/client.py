"""What does the program of a simulated run say to the manager, and what has it heard of its tasks?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.simulator.content import manifest_of
from vine.content.manifest import object_id
from vine.names import ClientId, FileId, HostId, ObjectId, TaskId, numbered
from vine.wire import messages as wire
from vine.wire.parts import CacheLevel, FileKind, FileSpec, Signature, TaskKind, TaskResult, TaskSpec


class SimulatedClient:
    """A client on the manager's host."""

    def __init__(self, send: Callable[[wire.FromClient], None]) -> None:
        self.say = send
        self._index: int | None = None
        self._counter = 0
        self.results: dict[TaskId, TaskResult] = {}
        self.spread: dict[int, wire.FileSpread] = {}  # the answers, by request

    def join(self) -> None:
        self.say(wire.ClientHello(ClientId("client"), HostId("host-manager"), "3.11"))

    @property
    def is_welcome(self) -> bool:
        return self._index is not None

    def hear(self, message: wire.ToClient) -> None:
        if isinstance(message, wire.ClientWelcome):
            self._index = message.client_index
        elif isinstance(message, wire.TasksEnded):
            for result in message.results:
                assert result.task_id not in self.results, "a result was committed twice"
                self.results[result.task_id] = result

        elif isinstance(message, wire.FileSpread):
            self.spread[message.request] = message

    def broadcast(self, file_id: FileId, **whom: Any) -> int:
        """Have the file brought to all workers; returns the request that `spread` will have an answer to."""
        self._counter += 1
        self.say(wire.SpreadFile(self._counter, file_id, **whom))
        return self._counter

    def local_file(self, name: str, size: int, **fields: Any) -> tuple[FileId, ObjectId]:
        """Declare a file of so many bytes, read and hashed already."""
        manifest, path = manifest_of(name, size), f"/data/{name}"
        file_id, key = self.declare(FileKind.LOCAL, path=path, **fields), object_id(manifest)
        self.say(wire.FileBound(file_id, key, manifest, path, Signature(size, 1, 1)))
        return file_id, key

    def buffer(self, data: bytes) -> FileId:
        """Declare these few bytes as a file."""
        return self.declare(FileKind.BUFFER, data=data)

    def declare(self, kind: FileKind, **fields: Any) -> FileId:
        file_id = FileId(self.number())
        fields = {"cache": CacheLevel.WORKFLOW, "label": f"{kind.value} {file_id}", **fields}
        self.say(wire.DeclareFiles((FileSpec(file_id, kind, **fields),)))
        return file_id

    def task(self, **fields: Any) -> TaskSpec:
        """A task to be submitted, with a number of its own."""
        fields.setdefault("kind", TaskKind.COMMAND)
        return TaskSpec(TaskId(self.number()), **fields)

    def submit(self, *tasks: TaskSpec) -> None:
        """In one message, and so in one step of the scheduler."""
        self.say(wire.SubmitTasks(tasks))

    def number(self) -> int:
        """Of a task or a file of its own."""
        assert self._index is not None, "the manager has not welcomed this client"
        self._counter += 1
        return numbered(self._index, self._counter)
