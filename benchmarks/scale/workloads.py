"""What do users submit: many independent tasks of a few kinds, a graph of stages, or a wide reduction."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from vine.content.hashing import manifest_of_bytes
from vine.content.manifest import object_id
from vine.names import FileId, TaskId, numbered
from vine.wire import messages as m
from vine.wire.parts import CacheLevel, FileKind, FileSpec, Manifest, Mount, Request, Signature, TaskKind, TaskSpec

VALUE = b"\x80\x05" + b"v" * 98  # what a call returns, pickled
_PAYLOAD_BYTES = 60  # of a call's arguments, pickled
_INPUT_BYTES = 300  # of a task's own small input
_BATCH_TASKS = 256  # in one message: about what 256 KiB hold, when a client submits as fast as it can
_STAGE_SPAN = 3  # tasks of the stage before that one of a stage takes
_ARCHIVE_BYTES = 908_000_000  # the paper's environment, packed


@dataclass(frozen=True, slots=True)
class Batch:
    """What a client says at once, and what it needs no more when that is said or has ended."""

    files: tuple[FileSpec, ...]
    tasks: tuple[TaskSpec, ...]
    dropped: tuple[TaskId, ...] = ()  # whose futures are let go now; of others, when they end
    kept: frozenset[TaskId] = frozenset()  # whose futures other tasks will still be given


@dataclass(frozen=True, slots=True)
class Kind:
    """Tasks that are alike: one function or command with these options."""

    label: str
    share: float
    mean_s: float
    environment: bool = False
    own_input: bool = False
    cores: float = 1.0
    command: bool = False


# Calls prevail; half of the work needs the shared environment, and as many tasks have a small file of their own.
KINDS = (
    Kind("analysis.score", 0.40, 2.0),
    Kind("analysis.index", 0.10, 0.05),
    Kind("model.train", 0.20, 20.0, environment=True, own_input=True, cores=2.0),
    Kind("model.evaluate", 0.20, 5.0, environment=True),
    Kind("./simulate --parameters in.json", 0.10, 10.0, environment=True, own_input=True, command=True),
)


class Workload:
    """Numbers a client's files and tasks, and makes its batches; equal seeds make equal ones."""

    def __init__(self, seed: int = 0) -> None:
        self.inputs: dict[TaskId, FileId] = {}  # of tasks that have one of their own
        self._dice = random.Random(seed)
        self._numbers = 0
        self._functions = {kind.label: self._file_id() for kind in KINDS if not kind.command}
        self._archive, self._environment = self._file_id(), self._file_id()

    def setup(self) -> list[m.FromClient]:
        """The shared files: the functions' code, and an environment that workers pull from each other and unpack."""
        functions = [
            FileSpec(file_id, FileKind.BUFFER, CacheLevel.WORKER, label, data=label.encode() * 200)
            for label, file_id in self._functions.items()
        ]
        archive, environment, content = self._archive, self._environment, archive_manifest()
        return [
            m.DeclareFiles(
                (
                    *functions,
                    FileSpec(archive, FileKind.LOCAL, CacheLevel.WORKFLOW, "environment.tar.zst", path="/environment"),
                    FileSpec(environment, FileKind.UNTAR, CacheLevel.WORKFLOW, "environment.tar.zst", source=archive),
                )
            ),
            m.FileBound(archive, object_id(content), content, "/environment", Signature(content.size, 1, 1)),
        ]

    # --- tasks that do not need each other ---

    def mixture(self, count: int, kinds: tuple[Kind, ...] = KINDS) -> Iterator[Batch]:
        """All kinds in turns that have no order, as several loops of a program make them."""
        drawn = self._dice.choices(kinds, [kind.share for kind in kinds], k=count)
        for first in range(0, count, _BATCH_TASKS):
            some = drawn[first : first + _BATCH_TASKS]
            files: list[FileSpec] = []
            tasks = tuple(self._task(kind, files) for kind in some)
            yield Batch(tuple(files), tasks)

    # --- graphs ---

    def stages(self, count: int, width: int) -> Iterator[Batch]:
        """Stages of so many calls; each call takes the results of a few of the stage before."""
        before: list[TaskId] = []
        for first in range(0, count, width):
            stage: list[TaskId] = []
            last = first + width >= count
            for at in range(0, min(width, count - first), _BATCH_TASKS):
                tasks = []
                for place in range(at, min(at + _BATCH_TASKS, width, count - first)):
                    taken = [before[(place + step) % width] for step in range(_STAGE_SPAN)] if before else []
                    tasks.append(self._call("graph.step", tuple(taken)))
                stage += [task.task_id for task in tasks]
                yield Batch((), tuple(tasks), kept=frozenset() if last else frozenset(t.task_id for t in tasks))
            yield Batch((), (), dropped=tuple(before))
            before = stage

    def reduction(self, count: int, fan_in: int) -> Iterator[Batch]:
        """So many calls, whose results are reduced, so many at once, to one."""
        level: list[TaskId] = []
        for first in range(0, count, _BATCH_TASKS):
            tasks = tuple(self._call("graph.map", ()) for _ in range(min(_BATCH_TASKS, count - first)))
            level += [task.task_id for task in tasks]
            yield Batch((), tasks, kept=frozenset(task.task_id for task in tasks))
        while len(level) > 1:
            above = []
            for first in range(0, len(level), fan_in):
                task = self._call("graph.reduce", tuple(level[first : first + fan_in]))
                above.append(task.task_id)
                kept = frozenset({task.task_id}) if len(level) > fan_in else frozenset()
                yield Batch((), (task,), kept=kept, dropped=task.depends)
            level = above

    # --- one task ---

    def _task(self, kind: Kind, files: list[FileSpec]) -> TaskSpec:
        task_id = TaskId(self._number())
        inputs: tuple[Mount, ...] = ()
        if kind.own_input:
            own = self.inputs[task_id] = self._file_id()
            data = str(own).encode().ljust(_INPUT_BYTES, b".")
            files.append(FileSpec(own, FileKind.BUFFER, CacheLevel.WORKFLOW, "buffer", data=data))
            inputs = (Mount(own, "in.json"),)
        return TaskSpec(
            task_id,
            TaskKind.COMMAND if kind.command else TaskKind.CALL,
            command=kind.label if kind.command else "",
            function=None if kind.command else self._functions[kind.label],
            payload=b"" if kind.command else _payload(task_id),
            inputs=inputs,
            environment=self._environment if kind.environment else None,
            request=Request(cores=kind.cores),
            label=kind.label,
        )

    def _call(self, label: str, depends: tuple[TaskId, ...]) -> TaskSpec:
        task_id = TaskId(self._number())
        function = self._functions[KINDS[0].label]
        return TaskSpec(
            task_id, TaskKind.CALL, function=function, payload=_payload(task_id), depends=depends,
            request=Request(cores=1.0), label=label,
        )  # fmt: skip

    def _number(self) -> int:
        self._numbers += 1
        return numbered(0, self._numbers)

    def _file_id(self) -> FileId:
        return FileId(self._number())


def _payload(task_id: TaskId) -> bytes:
    return str(task_id).encode().ljust(_PAYLOAD_BYTES, b".")


def archive_manifest() -> Manifest:
    """A packed environment of the paper's size."""
    part = manifest_of_bytes(b"environment").hashes
    chunk_bytes = 1 << 20
    chunks = -(-_ARCHIVE_BYTES // chunk_bytes)
    return Manifest(1, _ARCHIVE_BYTES, chunk_bytes, part * chunks)
