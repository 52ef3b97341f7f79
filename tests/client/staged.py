"""A session that remembers what it was told, for tests of what declares and stages files."""

from __future__ import annotations

import threading
from typing import Any

from vine.names import FileId
from vine.wire.parts import FileSpec


class FakeSession:
    """Collects what is declared and said; `wait_for` returns when so much has been said."""

    def __init__(self) -> None:
        self.declared: list[FileSpec] = []
        self.said: list[Any] = []
        self._changed = threading.Condition()

    def number_file(self) -> FileId:
        return FileId(len(self.declared) + 1)

    def declare(self, spec: FileSpec) -> None:
        self.declared.append(spec)

    def say(self, message: Any) -> None:
        with self._changed:
            self.said.append(message)
            self._changed.notify_all()

    def wait_for(self, count: int) -> list[Any]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.said) >= count, 30)
        return self.said
