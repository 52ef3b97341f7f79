"""Under which names are a call's files in its sandbox, and how does the app hear of them?"""

from __future__ import annotations

import os
import posixpath
from typing import Any

_FURTHER = "vine-files"  # The folder for those that cannot have their own names.


class AtWorker:
    """A path in the sandbox that is a full one for the app: it becomes text where it is unpickled."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> Any:
        return os.path.abspath, (self.name,)


class Names:
    """The names of one sandbox, of which none lies within another."""

    def __init__(self) -> None:
        self._given: set[str] = set()
        self._folders: set[str] = set()  # in which names lie

    def give(self, path: str) -> tuple[str, str | AtWorker]:
        """The file's name in the sandbox, and its path for the app: the same relative path if it can be."""
        plain = posixpath.normpath(path)
        if posixpath.isabs(path) or plain.startswith("..") or not self._is_free(plain):
            name = f"{_FURTHER}/{len(self._given)}/{_last_part(plain)}"
            self._take(name)
            return name, AtWorker(name)
        self._take(plain)
        return plain, path

    def _is_free(self, plain: str) -> bool:
        parents = set(_parents(plain))
        return plain not in self._given | self._folders | {".", _FURTHER} and not parents & {*self._given, _FURTHER}

    def _take(self, name: str) -> None:
        self._given.add(name)
        self._folders.update(_parents(name))


def _parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]


def _last_part(plain: str) -> str:
    last = posixpath.basename(plain)
    return "folder" if last in ("", ".", "..") else last
