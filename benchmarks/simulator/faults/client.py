"""What is a client in a run where things break: its futures end, though managers follow each other."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.simulator.client import SimulatedClient
from benchmarks.simulator.content import manifest_of
from benchmarks.simulator.faults.journal import Staging
from vine.client.pump import ASKED_AGAIN
from vine.content.manifest import object_id
from vine.names import ClientId, FileId, HostId, TaskId
from vine.wire import messages as wire
from vine.wire.parts import CacheLevel, FileKind, TaskSpec


class FaultyClient(SimulatedClient):
    """One program, from its start until it ends or has lost its manager."""

    def __init__(self, name: str, send: Callable[[wire.FromClient, bool], None], staging: Staging) -> None:
        """`send` is told whether the message is to be said again to a manager that does not know it."""
        super().__init__(self._say)
        self.name = name
        self._send_kept = send
        self._staging = staging
        self.epoch = 0  # of the manager that has welcomed it last
        self._told_in: dict[TaskId, int] = {}  # in which epoch each result was told
        self.open: set[TaskId] = set()
        self.recipes: set[TaskId] = set()  # tasks of files: their ends are told, and nobody waits for them
        self.answered: set[TaskId] = set()  # whose results were brought, or are told to be gone
        self.brought: set[FileId] = set()  # files of which that is so
        self._asked: dict[wire.BringFile | wire.BringResult | wire.SpreadFile, None] = {}
        self._replicated: dict[FileId, wire.ReplicateFile] = {}

    def _say(self, message: wire.FromClient) -> None:
        if isinstance(message, wire.ReplicateFile):
            self._replicated[message.file_id] = message
        elif isinstance(message, wire.BringFile | wire.BringResult | wire.SpreadFile):
            self._asked[message] = None
        self._send_kept(message, not isinstance(message, ASKED_AGAIN))

    def hello(self) -> wire.ClientHello:
        key = self.name.encode().ljust(32)
        return wire.ClientHello(ClientId(self.name), HostId("host-manager"), "3.11", key, self._index, self.epoch)

    def reopened(self) -> list[wire.FromClient]:
        """The manager was started again: it is told what we wait for, and asked again what it has not answered."""
        self._asked = {asked: None for asked in self._asked if not self._is_answered(asked)}
        return [wire.TasksAwaited(tuple(sorted(self.open))), *self._asked, *self._replicated.values()]

    def _is_answered(self, asked: wire.BringFile | wire.BringResult | wire.SpreadFile) -> bool:
        if isinstance(asked, wire.SpreadFile):
            return asked.request in self.spread
        return asked.task_id in self.answered if isinstance(asked, wire.BringResult) else asked.file_id in self.brought

    @property
    def counted(self) -> int:
        """How many things it has given a number."""
        return self._counter

    def staged_buffer(self, name: str, size: int, cache: CacheLevel) -> FileId:
        """Declare so many bytes, which do not travel inline: the manager is to take them from its staging folder."""
        path, manifest = f"/run/staging/{self.name}-{self._counter}", manifest_of(name, size)
        self._staging.put(path)
        file_id = self.declare(FileKind.BUFFER, path=path, cache=cache)
        self.say(wire.FileBound(file_id, object_id(manifest), manifest, path, None))
        return file_id

    def submit(self, *tasks: TaskSpec) -> None:
        self.open.update(task.task_id for task in tasks)
        super().submit(*tasks)

    def hear(self, message: wire.ToClient) -> None:
        if isinstance(message, wire.ClientWelcome):
            assert message.epoch >= self.epoch, "a manager that was replaced has welcomed it"
            assert self._index in (None, message.client_index), "it has another number than before"
            self.epoch = message.epoch
        elif isinstance(message, wire.TasksEnded):
            message = wire.TasksEnded(tuple(result for result in message.results if self._is_news(result.task_id)))
            for result in message.results:
                if result.value_path is not None:
                    self._staging.take(result.value_path)
        super().hear(message)
        if isinstance(message, wire.TasksEnded):
            self.open -= {result.task_id for result in message.results}
        elif isinstance(message, wire.ResultBrought):
            self.answered.add(message.task_id)
            if message.path is not None:
                self._staging.take(message.path)
        elif isinstance(message, wire.FileBrought):
            self.brought.add(message.file_id)

    def _is_news(self, task_id: TaskId) -> bool:
        """What a manager had not written down before its end the next one may tell once more."""
        told_in, self._told_in[task_id] = self._told_in.get(task_id, 0), self.epoch
        if task_id in self.results:
            assert told_in < self.epoch, f"the result of task {task_id} was told twice by one manager"
            return False
        assert task_id in self.open | self.recipes, "the end of a task was told that nobody waits for"
        return True
