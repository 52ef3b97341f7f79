"""What is a client in a run where things break: its futures end, be it because the manager has forgotten it."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.simulator.client import SimulatedClient
from vine.names import ClientId, FileId, HostId, TaskId
from vine.wire import messages as wire
from vine.wire.parts import TaskSpec


class FaultyClient(SimulatedClient):
    """One program, from its start until it ends or has lost its manager."""

    def __init__(self, name: str, send: Callable[[wire.FromClient], None], on_forgotten: Callable[[], None]) -> None:
        super().__init__(send)
        self.name = name
        self._on_forgotten = on_forgotten
        self.open: set[TaskId] = set()
        self.recipes: set[TaskId] = set()  # tasks of files: their ends are told, and nobody waits for them
        self.answered: set[TaskId] = set()  # whose results were brought, or are told to be gone
        self.brought: set[FileId] = set()  # files of which that is so

    def hello(self) -> wire.ClientHello:
        return wire.ClientHello(ClientId(self.name), HostId("host-manager"), "3.11")

    def submit(self, *tasks: TaskSpec) -> None:
        self.open.update(task.task_id for task in tasks)
        super().submit(*tasks)

    def hear(self, message: wire.ToClient) -> None:
        if isinstance(message, wire.ClientWelcome) and self.is_welcome:
            self._on_forgotten()  # Whoever welcomes us a second time knows nothing of what we have asked before.
            return
        super().hear(message)
        if isinstance(message, wire.TasksEnded):
            ended = {result.task_id for result in message.results}
            assert ended <= self.open | self.recipes, "the end of a task was told that nobody waits for"
            self.open -= ended
        elif isinstance(message, wire.ResultBrought):
            self.answered.add(message.task_id)
        elif isinstance(message, wire.FileBrought):
            self.brought.add(message.file_id)
