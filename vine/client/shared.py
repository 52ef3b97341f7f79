"""What is a value that many calls are given: one file of it, as it was when it was shared.

The file lies in a run's staging folder from the start where there is a run, so that it is written once.
"""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict
from pathlib import Path
from typing import Any

from vine import config, errors
from vine.client import serialise
from vine.client.links import Alone, reduced_shared
from vine.client.session import staging_dirs
from vine.names import FileId
from vine_function_host import buffers

_UNCHANGING = frozenset({bool, bytes, complex, float, int, str, type(None), type(...), range})
_LOOKED_AT_MAX = 10_000  # members of a value that is looked through for what could change


class Shared:
    """A value that calls may be given in its own place, however many of them: what `share` returns.

    Where calls run it is the value itself. It goes from there when this object is gone and the calls have ended.
    """

    def __init__(self, value: object) -> None:
        links = Alone(apart=True)
        kind = type(value).__qualname__
        try:
            head = serialise.dump(_Raw(value) if type(value) is bytes else value, links)
        except errors.NotSerialisable:
            raise
        except Exception as why:
            said = f"{type(why).__name__}: {' '.join(str(why).split())[:300]}"
            message = f"a {kind} cannot be shared ({said}): share plain data, or what a call is given as arguments"
            raise errors.NotSerialisable(message) from why
        self.last_files: tuple[object, tuple[FileId, ...]] = None, ()  # its one in the run that was given it last
        self.immutable = is_immutable(value)  # A host loads it once for all calls.
        self.label = f"shared {kind}"
        descriptor, self.path = tempfile.mkstemp(prefix="shared-", dir=_folder())
        self._removal = weakref.finalize(self, _remove, self.path, os.getpid())
        with open(descriptor, "wb") as file:
            file.writelines(buffers.parts_of_file(head, links.memory or ()))
            self.size_bytes = file.tell()

    def put_into(self, folder: str, path: str) -> str:
        """Where the file lies in this folder: where it is, or under this path."""
        if os.path.dirname(self.path) == folder:
            self._removal.detach()  # The manager removes it when nothing needs it any more.
            return self.path
        try:
            try:
                os.link(self.path, path)
            except FileNotFoundError:
                raise
            except OSError:  # Another file system.
                shutil.copyfile(self.path, path)
        except FileNotFoundError as why:
            message = f"a {self.label} went with the run in which it was shared: share it again"
            raise errors.UsageError(message) from why
        return path

    def __reduce__(self) -> Any:
        return reduced_shared(self)

    def __repr__(self) -> str:
        return f"<vine.{self.label}, {self.size_bytes} bytes>"


def share(value: object) -> Any:
    """One object of a value as it is now, for any number of calls, anywhere among their arguments.

    It is serialised once. Workers pull it as they do files, and hosts map it: of arrays (all that pickle protocol 5
    takes as buffers) every call on a host sees the same memory, which cannot be written to. What cannot change
    (bytes, text, numbers, tuples and frozensets of these) is loaded once by each host and kept, within bounds; so is an
    array by itself, of which each call has a view of its own. Any other value is loaded anew from the map for each
    call, so that no call sees what another one has done to it.
    With the isolation "fork" that is loaded once, too: each call finds it as it was.

    Its file goes when the object that this returns is gone and the calls that were given it have ended.
    NotSerialisable is raised for what cannot travel, a future or another shared value among it.
    """
    return Shared(value)


class Unasked:
    """Large bytes and text that were arguments lately: one object each, for they cannot change.

    They are known by identity, and so held here: a few, and no more bytes of them than the limit, or one alone.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[bytes | str, Shared]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def shared(self, value: bytes | str) -> Shared:
        with self._lock:
            known = self._known.get(id(value))
            if known is not None:
                self._known.move_to_end(id(value))
                return known[1]
        shared = Shared(value)
        with self._lock:
            known = self._known.setdefault(id(value), (value, shared))
            if known[1] is shared:
                self._bytes += shared.size_bytes
            self._let_go()
        return known[1]

    def clear(self) -> None:
        with self._lock:
            self._known.clear()
            self._bytes = 0

    def _let_go(self) -> None:
        known = self._known
        while len(known) > 1 and (len(known) > config.shared_unasked_max or self._bytes > config.shared_unasked_bytes):
            self._bytes -= known.popitem(last=False)[1][1].size_bytes


def is_large(value: object) -> bool:
    """Whether an argument is shared unasked."""
    return type(value) in (bytes, str) and len(value) > config.shared_unasked_bytes_min  # type: ignore[arg-type]


def is_immutable(value: object) -> bool:
    """Whether it is known that nobody can change it."""
    left = [value]
    for _ in range(_LOOKED_AT_MAX):
        if not left:
            return True
        value = left.pop()
        kind = type(value)
        if (kind is tuple or kind is frozenset) and isinstance(value, tuple | frozenset):
            left.extend(value)
        elif kind not in _UNCHANGING:
            return False
    return False


class _Raw:
    """Bytes that are written from where they lie, and are bytes again where they are loaded."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __reduce__(self) -> Any:
        return bytes, (pickle.PickleBuffer(self._value),)  # type: ignore[arg-type]


def _folder() -> str | None:
    """Of the run that was begun last; None for the system's, where there is none."""
    return next(iter(staging_dirs()), None)


def _remove(path: str, owner: int) -> None:
    if os.getpid() == owner:  # And not a fork that ends.
        Path(path).unlink(missing_ok=True)
