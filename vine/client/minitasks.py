"""How does a task become the description of a file that is made when it is needed?"""

from __future__ import annotations

from typing import Any

from vine import config, errors
from vine.client.declarer import Declarer
from vine.client.files import File
from vine.client.tasks import Task
from vine.names import FileId
from vine.wire.parts import TaskKind, TaskSpec

_KINDS = frozenset({TaskKind.COMMAND, TaskKind.PYTHON})


class Minitasks:
    """A manager's part that has files made by tasks; see `Manager`."""

    _declarer: Declarer

    def declare_minitask(
        self, minitask: Task, source: str = "minitask", cache: str | bool = "workflow", peer_transfer: bool = True
    ) -> File:
        """What a task leaves at `source` in its sandbox, as a file or directory that others take as an input.

        The task, a `Task` or a `PythonTask`, runs when its file is needed for the first time: once, on one worker.
        Those who need the file there have it, others get it from that worker. Definitions that are equal (the command,
        variables, resources and the content of inputs) share one file. Lost copies are made again, as those of a temp.
        Whoever needs a file whose task fails, fails with `DependencyFailed`, which says why.

        The task cannot be submitted, and has no outputs besides. UsageError for what cannot be meant.
        """
        if not isinstance(minitask, Task):
            raise errors.UsageError(f"{minitask!r} is no task: give a vine.Task(command) that makes {source!r}")

        def recipe_for(file_id: FileId) -> TaskSpec:
            return _recipe(self, minitask, file_id, source)

        return self._declarer.minitask(f"{source} of {minitask.command}", cache, peer_transfer, recipe_for)


def _recipe(manager: Any, minitask: Task, file_id: FileId, source: str) -> TaskSpec:
    spec = minitask.as_recipe(manager, file_id, source)
    if spec.kind not in _KINDS:
        raise errors.UsageError(f"{minitask!r} is no mini-task: give a vine.Task or a vine.PythonTask")
    if spec.depends or minitask.links is not None or len(spec.payload) > config.inline_bytes_max:
        raise errors.UsageError(f"{minitask!r} cannot take futures or large values: give it files as inputs instead")
    return spec
