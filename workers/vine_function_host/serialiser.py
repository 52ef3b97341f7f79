"""How do values become bytes and bytes values in a function host: pickle where it can, dill where it must."""

from __future__ import annotations

import io
import pickle
import sys
from typing import TYPE_CHECKING, Any

from vine_function_host.frames import read_blob

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vine_function_host.frames import Blob

PICKLE, DILL = b"P", b"D"  # the first byte of everything serialised
MANY = b"M"  # before the arguments of a chunk of calls, and before its results, each of which has its LENGTH before it
RESULT_AT = ("vine.client.serialise", "result_at")  # the function that stands in arguments for another task's result
PROTOCOL = min(5, pickle.HIGHEST_PROTOCOL)


class Serialiser:
    """Pickle where it can, dill where it must; dill comes from the environment, else from beside the worker."""

    def __init__(self, dill_folder: str | None) -> None:
        self._dill_folder = dill_folder
        self._dill: Any = None

    def dill(self) -> Any:
        if self._dill is None:
            try:
                import dill
            except ImportError:
                if self._dill_folder is None:
                    raise
                sys.path.append(self._dill_folder)
                import dill
            self._dill = dill
        return self._dill

    def load(self, data: bytes, result_at: Callable[[int], Any] | None = None) -> Any:
        """What was serialised; references to other tasks' results are asked of `result_at`."""
        content = memoryview(data)[1:]
        if result_at is None:
            return (pickle if data[:1] == PICKLE else self.dill()).loads(content)
        base: Any = pickle.Unpickler if data[:1] == PICKLE else self.dill().Unpickler

        def find_class(reader: Any, module: str, name: str) -> Any:
            return result_at if (module, name) == RESULT_AT else base.find_class(reader, module, name)

        reader = type("Reader", (base,), {"find_class": find_class})
        return reader(io.BytesIO(content)).load()

    def arguments(self, blobs: Sequence[Blob]) -> tuple[bool, Sequence[Any], dict[str, Any]]:
        """Whether they are of many calls, positional ones, named ones; with other tasks' values in their places."""
        payload = read_blob(blobs[0])
        many = payload[:1] == MANY
        payload = payload[1:] if many else payload
        if len(blobs) == 1:
            args, kwargs = self.load(payload)
            return many, args, kwargs
        loaded: dict[int, Any] = {}  # a value that is named twice is one object, as it was at the client

        def result_at(place: int) -> Any:
            if place not in loaded:
                loaded[place] = self.load(read_blob(blobs[1 + place]))
            return loaded[place]

        args, kwargs = self.load(payload, result_at)
        return many, args, kwargs

    def dump(self, value: Any) -> bytes:
        try:
            return PICKLE + pickle.dumps(value, PROTOCOL)
        except Exception as why:  # noqa: BLE001 - reducers are the user's code and raise what they like
            try:
                stream = io.BytesIO()
                pickler = self.dill().Pickler(stream, PROTOCOL)
                pickler.reducer_override = refuse_open_files
                pickler.dump(value)
                return DILL + stream.getvalue()
            except ImportError:
                raise why from None


class UnsendableError(Exception):
    """A result that stays where it is; the words are for its author."""


def refuse_open_files(value: Any) -> Any:
    """A pickler's `reducer_override`: dill would have the client open a file of that name, or its own descriptor."""
    files = (io.TextIOWrapper, io.BufferedReader, io.BufferedWriter, io.BufferedRandom, io.FileIO)
    if isinstance(value, files) and getattr(value, "name", None) not in ("<stdin>", "<stdout>", "<stderr>"):
        raise TypeError("an open file stays where it was opened; return its content, or write to an output")
    return NotImplemented
