"""What can a task be given or make: files, as their users hold them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from vine import errors
from vine.client.session import Session
from vine.content.whole import write_whole
from vine.names import FileId
from vine.wire.parts import CacheLevel, FileKind, FileSpec

CACHE_LEVELS: dict[str | bool, CacheLevel] = {
    False: CacheLevel.TASK,
    True: CacheLevel.WORKFLOW,
    **{level.value: level for level in CacheLevel},
}


def cache_level(cache: str | bool) -> CacheLevel:
    try:
        return CACHE_LEVELS[cache]
    except (KeyError, TypeError):
        names = ", ".join(repr(level.value) for level in CacheLevel)
        raise errors.UsageError(f"cache={cache!r} is no cache level: use one of {names}") from None


class File:
    """A declared file: give it to tasks as an input or an output. Made by `Manager.declare_...` only."""

    def __init__(self, session: Session, spec: FileSpec, local: str | None = None) -> None:
        self._session = session
        self._spec = spec
        self._local = local  # where a small buffer's content is put, should anybody ask for a path

    @property
    def file_id(self) -> FileId:
        """Its number in the run."""
        return self._spec.file_id

    @property
    def kind(self) -> FileKind:
        return self._spec.kind

    @property
    def label(self) -> str:
        """What messages call it."""
        return self._spec.label

    @property
    def local_path(self) -> str | None:
        """Where it was declared to be here."""
        return self._spec.path if self._spec.exists else None

    @property
    def is_folder(self) -> bool:
        """Whether it was declared as one that is here."""
        return self._spec.exists and self._spec.path is not None and os.path.isdir(self._spec.path)

    def belongs_to(self, session: Session) -> bool:
        return self._session is session

    def path(self, timeout: float | None = None) -> Path:
        """Where its content lies for this process to read, brought from a worker if need be."""
        if self._spec.data is not None and self._local is not None:
            here = Path(self._local)
            if not here.exists():  # The manager has it in an envelope, and no file of it.
                write_whole(here, self._spec.data)
            return here
        brought = self._session.bring(self.file_id, timeout)
        if brought.path is None:
            raise errors.TaskFailed(brought.message or f"{self.label} cannot be had: no task has made it")
        return Path(brought.path)

    def source(self) -> str | None:
        """The path or URL that it was declared with; None for buffers and temporary files."""
        return self._spec.path if self.kind is FileKind.LOCAL else self._spec.url

    def type(self) -> str:
        """What it was declared as: 'local', 'buffer', 'temp', 'untar', 'url' or 'minitask'."""
        return self.kind.value

    def contents(self, unserializer: Callable[[bytes], Any] | None = None, timeout: float | None = None) -> Any:
        """Its bytes, or what `unserializer` makes of them, brought from a worker if need be.

        TimeoutError after `timeout` seconds; TaskFailed if no task has made it, or that failed.
        """
        data = self._spec.data
        if data is None:
            path = self.path(timeout)
            if path.is_dir():
                raise errors.UsageError(f"{self.label} is a directory: use its path(), which is {path}")
            data = path.read_bytes()
        return data if unserializer is None else unserializer(data)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a vine.File is no argument: name it in inputs={name: file} or add_input, and pass that name")

    def __repr__(self) -> str:
        return f"<vine.File {self.kind.value} {self.label!r}>"
