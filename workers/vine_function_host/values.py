"""Which memory do values lie in that come by files: maps, of which the values that many calls share are kept.

What a call alone is given is mapped privately: it may write there, and nobody else sees it. What calls share is
mapped for reading. A shared value that cannot change is loaded once and kept. So is an array whose memory is the map:
each call has a view of its own, for it might change what lies where in it. Any other value is loaded anew for each
call, and that costs little where arrays make it large.
"""

from __future__ import annotations

import mmap
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from vine_function_host.buffers import BUFFERS, opened
from vine_function_host.frames import AT_PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vine_function_host.frames import Blob

    Content = bytes | memoryview

MAPPED_FROM = 64 << 10  # Bytes of a file: below, a map costs more than a copy.
KEPT_MAPS_MAX = 256  # Of shared values; they cost addresses and no memory.
KEPT_BYTES_MAX = 512 << 20  # Of the files of values that are kept loaded; the latest is, however large.


def content_of(blob: Blob) -> Content:
    """The bytes, or a view of them that may be written to and is nobody else's."""
    where, content = blob
    return mapped(content, mmap.ACCESS_COPY) if where == AT_PATH else content


def mapped(path: bytes, access: int) -> Content:
    """The content of a file; small ones are read."""
    with open(path, "rb") as file:
        if file.seek(0, 2) >= MAPPED_FROM:
            return memoryview(mmap.mmap(file.fileno(), 0, access=access))
        file.seek(0)
        return file.read()


def parted(content: Content) -> tuple[Content, Sequence[memoryview]]:
    """What was serialised, and the buffers beside it."""
    return opened(memoryview(content)) if content[:1] == BUFFERS else (content, ())


class _Map:
    """A file that calls share."""

    __slots__ = ("array", "buffers", "content")

    def __init__(self, content: Content, buffers: Sequence[memoryview]) -> None:
        self.content = content
        self.buffers = buffers
        self.array: Any = None  # that it is, if it is just that


class SharedValues:
    """The values that calls share, by the paths of their files: a path stands for one content for ever."""

    def __init__(self) -> None:
        self._maps: OrderedDict[bytes, _Map] = OrderedDict()
        self._kept: OrderedDict[bytes, tuple[Any, int]] = OrderedDict()  # with the bytes of their files
        self._kept_bytes = 0
        # What was asked for last, if it is kept: most calls share what the one before has had, and name it by the same
        # object.
        self._last_path = b""
        self._last: Any = None
        self._last_is_array = False

    def value(self, path: bytes, load: Callable[..., Any], keep: bool) -> Any:
        """What the file holds, as `load(content, buffers=)` makes it; kept for later calls if `keep` is true.

        That says that nobody can change it, or that nobody else would see it.
        """
        if path is self._last_path:
            return self._last.view() if self._last_is_array else self._last
        self._last_path, self._last = b"", None
        kept = self._kept.get(path)
        if kept is not None:
            self._kept.move_to_end(path)
            return self._seen(path, kept[0])
        lies = self._map(path)
        if lies.array is None:
            value = load(lies.content, buffers=lies.buffers)
            if keep:
                self._keep(path, value, len(lies.content) + sum(map(len, lies.buffers)))
                return self._seen(path, value)
            if not is_fixed_array(value):
                return value
            lies.array = value
        return self._seen(path, lies.array, is_array=True).view()

    def _seen(self, path: bytes, value: Any, is_array: bool = False) -> Any:
        """Finds it at once if it is asked for again before any other: it is the last that would go."""
        self._last_path, self._last, self._last_is_array = path, value, is_array
        return value

    def _keep(self, path: bytes, value: Any, size: int) -> None:
        self._kept[path] = (value, size)
        self._kept_bytes += size
        while self._kept_bytes > KEPT_BYTES_MAX and len(self._kept) > 1:
            self._kept_bytes -= self._kept.popitem(last=False)[1][1]

    def _map(self, path: bytes) -> _Map:
        lies = self._maps.get(path)
        if lies is None:
            lies = self._maps[path] = _Map(*parted(mapped(path, mmap.ACCESS_READ)))
            if len(self._maps) > KEPT_MAPS_MAX:
                self._maps.popitem(last=False)
        else:
            self._maps.move_to_end(path)
        return lies


def is_fixed_array(value: Any) -> bool:
    """Whether it is an array of NumPy's whose elements nobody can change, and are named by nothing that can change."""
    kind = type(value)
    if kind.__name__ != "ndarray" or kind.__module__ != "numpy":
        return False
    return not value.flags.writeable and not value.dtype.hasobject and value.dtype.names is None
