"""Which files does a random program declare, and which of them does it still have?"""

from __future__ import annotations

import random
from collections.abc import Callable

from benchmarks.simulator.faults.asking import CHUNK, Asking
from benchmarks.simulator.faults.behaviours import Behaviour, Behaviours
from benchmarks.simulator.faults.client import FaultyClient
from vine.names import FileId
from vine.wire import messages as wire
from vine.wire.parts import CacheLevel, FileKind, FileSpec, Mount

_LEVELS = (CacheLevel.TASK, CacheLevel.WORKFLOW, CacheLevel.WORKFLOW, CacheLevel.WORKER, CacheLevel.FOREVER)


class Files:
    """The files of one client."""

    def __init__(
        self, client: FaultyClient, say: Callable[[wire.FromClient], None], asking: Asking, dice: random.Random,
        behaviours: Behaviours,
    ) -> None:  # fmt: skip
        self._client = client
        self._say = say
        self._asking = asking
        self._dice = dice
        self._behaviours = behaviours
        self.known: list[FileId] = []
        self.made: list[FileId] = []  # what tasks make
        self.folders: list[FileId] = []  # of the known ones those that were unpacked
        self.functions: list[FileId] = []  # small buffers that nobody forgets
        self._kinds: list[tuple[float, Callable[[CacheLevel], FileId]]] = [
            (2, self._buffer), (1, self._staged_buffer), (4, self._local), (0.3, self._unreadable), (1, self._url),
            (2, self._minitask), (2, self._unpacked), (1, self._unpacked_url),
        ]  # fmt: skip

    @property
    def all(self) -> list[FileId]:
        return self.known + self.made

    def declare(self) -> None:
        """One more."""
        (make,) = self._dice.choices([each for _, each in self._kinds], [weight for weight, _ in self._kinds])
        self.known.append(make(self._dice.choice(_LEVELS)))

    def output(self, at_path: bool) -> FileId:
        """What a task is to make: a temp, or a file at a path of the client."""
        if not at_path:
            return self._client.declare(FileKind.TEMP, cache=self._dice.choice(_LEVELS))
        path = f"/data/{self._client.name}-{self._client.counted}"
        return self._client.declare(FileKind.LOCAL, path=path, exists=False)

    def function(self) -> FileId:
        """Of a few."""
        if len(self.functions) < 2:
            self.functions.append(self._client.buffer(b"function %d" % len(self.functions)))
        return self._dice.choice(self.functions)

    def take_one(self) -> FileId | None:
        """One of the known ones, which is known no more."""
        if not self.known:
            return None
        file_id = self.known.pop(self._dice.randrange(len(self.known)))
        if file_id in self.folders:
            self.folders.remove(file_id)
        return file_id

    def take_all(self) -> tuple[FileId, ...]:
        taken = (*self.known, *self.made, *self.functions)
        self.known, self.made, self.folders, self.functions = [], [], [], []
        return taken

    # --- kinds ---

    def _buffer(self, level: CacheLevel) -> FileId:
        return self._client.declare(FileKind.BUFFER, data=b"data %d" % self._dice.randrange(4), cache=level)

    def _staged_buffer(self, level: CacheLevel) -> FileId:
        return self._client.staged_buffer(f"staged{self._dice.randrange(3)}", 2 * CHUNK, level)

    def _local(self, level: CacheLevel) -> FileId:
        name, chunks = f"file{self._dice.randrange(6)}", self._dice.choice([1, 2, 3, 6, 12])
        return self._client.local_file(f"{name}-{chunks}", chunks * CHUNK, cache=level)[0]

    def _unreadable(self, level: CacheLevel) -> FileId:
        file_id = self._client.declare(FileKind.LOCAL, path="/data/secret", cache=level)
        self._say(wire.FileUnreadable(file_id, "it may not be read"))
        return file_id

    def _url(self, level: CacheLevel) -> FileId:
        return self._client.declare(FileKind.URL, url=f"https://url{self._dice.randrange(3)}", cache=level)

    def _unpacked(self, level: CacheLevel) -> FileId:
        return self._folder(self._local(level), level)

    def _unpacked_url(self, level: CacheLevel) -> FileId:
        return self._folder(self._url(level), level)

    def _folder(self, archive: FileId, level: CacheLevel) -> FileId:
        self.known.append(archive)
        folder = self._client.declare(FileKind.UNTAR, source=archive, cache=level)
        self.folders.append(folder)
        return folder

    def _minitask(self, level: CacheLevel) -> FileId:
        """A file that is made by a task of its own when it is first needed."""
        file_id = FileId(self._client.number())
        inputs = tuple(Mount(taken, f"in{i}") for i, taken in enumerate(self._asking.choice_of(self.known, 2)))
        recipe = self._client.task(
            command=f"make {self._dice.randrange(3)}", inputs=inputs, outputs=(Mount(file_id, "out"),)
        )
        self._behaviours.of_task[recipe.task_id] = Behaviour(0.1, output_bytes=2 * CHUNK)
        self._client.recipes.add(recipe.task_id)
        self._say(wire.DeclareFiles((FileSpec(file_id, FileKind.MINITASK, level, "minitask", recipe=recipe),)))
        return file_id
