"""How do values become bytes and bytes values in a function host: pickle where it can, dill where it must."""

from __future__ import annotations

import io
import pickle
import sys
from typing import TYPE_CHECKING, Any

from vine_function_host.buffers import BUFFERS, parts_of_file
from vine_function_host.frames import SHARED
from vine_function_host.payload import DILL, MANY, PICKLE, apart
from vine_function_host.registered import LOADED, Registered, UnsendableError
from vine_function_host.values import SharedValues, content_of, parted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vine_function_host.frames import Blob

    Content = bytes | memoryview
    Standins = dict[tuple[str, str], Callable[..., Any]]  # what functions that pickles name are here

RESULT_AT = ("vine.client.links", "result_at")  # the function that stands in arguments for another task's result
SHARED_AT = ("vine.client.links", "shared_at")  # ... and for a value that calls share
PROTOCOL = min(5, pickle.HIGHEST_PROTOCOL)
REGISTERED_MAX = 16  # Sets of serialisers that are remembered: each further one follows a registration.


class Loaded:
    """A function, and how the values of its calls travel."""

    __slots__ = ("function", "registered")

    def __init__(self, function: Any, registered: Registered | None) -> None:
        self.function = function
        self.registered = registered


class Serialiser:
    """Pickle where it can, dill where it must; dill comes from the environment, else from beside the worker."""

    def __init__(self, dill_folder: str | None) -> None:
        self._dill_folder = dill_folder
        self._dill: Any = None
        self._readers: dict[bytes, Any] = {}
        self._registered: dict[bytes, Registered] = {}
        self._shared = SharedValues()

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

    # --- bytes become values ---

    def function(self, content: bytes) -> Loaded:
        """What a function's file holds."""
        entries, content = apart(content)
        if not entries:
            return Loaded(self.load(content), None)
        registered = self._registered.get(entries)
        if registered is None:
            if len(self._registered) >= REGISTERED_MAX:
                self._registered.clear()
            registered = self._registered[entries] = Registered(entries, self.load)
        return Loaded(self.load(content, registered), registered)

    def arguments(
        self, blobs: Sequence[Blob], registered: Registered | None = None
    ) -> tuple[bool, Sequence[Any], dict[str, Any]]:
        """Whether they are of many calls, positional ones, named ones; with other values in their places."""
        payload, buffers = parted(content_of(blobs[0]))
        many = payload[:1] == MANY
        payload = payload[1:] if many else payload
        standins: Standins = {}
        if len(blobs) > 1:
            shared = [path for where, path in blobs if where == SHARED]
            results = blobs[1 : len(blobs) - len(shared)]
            standins = self._places(results, shared, registered)
        args, kwargs = self.load(payload, registered, standins, buffers)
        return many, args, kwargs

    def _places(self, results: Sequence[Blob], shared: Sequence[bytes], registered: Registered | None) -> Standins:
        loaded: dict[object, Any] = {}  # a value that is named twice is one object, as it was at the client

        def load(content: Content, buffers: Sequence[memoryview] = ()) -> Any:
            return self.load(content, registered, None, buffers)

        def result_at(place: int) -> Any:
            if place not in loaded:
                loaded[place] = load(content_of(results[place]))
            return loaded[place]

        def shared_at(place: int, keep: bool) -> Any:
            path = shared[place]
            if path not in loaded:
                loaded[path] = self._shared.value(path, load, keep)
            return loaded[path]

        return {RESULT_AT: result_at, SHARED_AT: shared_at}

    def keep_shared(self, blobs: Sequence[Blob], registered: Registered | None) -> None:
        """Loads what calls share; for forks, of which each may do to it what it likes."""

        def load(content: Content, buffers: Sequence[memoryview]) -> Any:
            return self.load(content, registered, None, buffers)

        for where, path in blobs:
            if where == SHARED:
                self._shared.value(path, load, keep=True)

    def load(
        self,
        content: Content,
        registered: Registered | None = None,
        standins: Standins | None = None,
        buffers: Sequence[memoryview] = (),
    ) -> Any:
        """What was serialised; `standins` are called in place of the functions that it names."""
        if content[:1] == BUFFERS:
            content, buffers = parted(content)
        by_pickle, body = content[:1] == PICKLE, memoryview(content)[1:]
        if registered is not None:
            standins = {**(standins or {}), **dict.fromkeys(LOADED, registered.loaded)}
        if not standins:
            return (pickle if by_pickle else self.dill()).loads(body, buffers=buffers)
        reader = self._reader(by_pickle)(io.BytesIO(body), buffers=buffers)
        reader.standins = standins
        return reader.load()

    def _reader(self, by_pickle: bool) -> Any:
        mark = PICKLE if by_pickle else DILL
        if mark not in self._readers:
            base: Any = pickle.Unpickler if by_pickle else self.dill().Unpickler

            def find_class(reader: Any, module: str, name: str) -> Any:
                standin = reader.standins.get((module, name))
                return base.find_class(reader, module, name) if standin is None else standin

            self._readers[mark] = type("Reader", (base,), {"find_class": find_class})
        return self._readers[mark]

    # --- values become bytes ---

    def dump(self, value: Any, registered: Registered | None = None, apart_from: int | None = None) -> list[Content]:
        """The parts of what is to be written; buffers of more than `apart_from` bytes are parts as they lie."""
        buffers: list[memoryview] = []

        def taken(buffer: pickle.PickleBuffer) -> bool:
            """Whether it goes into the pickle like everything else."""
            view = buffer.raw()
            if apart_from is None or view.nbytes <= apart_from:
                return True
            buffers.append(view)
            return False

        try:
            head = PICKLE + self._by_pickle(value, registered, taken)
        except UnsendableError:
            raise
        except Exception as why:  # noqa: BLE001 - reducers are the user's code and raise what they like
            buffers.clear()
            try:
                head = DILL + self._by_dill(value, registered, taken)
            except ImportError:
                raise why from None
        return list(parts_of_file(head, buffers)) if buffers else [head]

    @staticmethod
    def _by_pickle(value: Any, registered: Registered | None, taken: Callable[..., bool]) -> bytes:
        if registered is None:
            return pickle.dumps(value, PROTOCOL, buffer_callback=taken)
        stream = io.BytesIO()
        pickler = type("Pickler", (pickle.Pickler,), {"reducer_override": staticmethod(registered.reduce)})
        pickler(stream, PROTOCOL, buffer_callback=taken).dump(value)
        return stream.getvalue()

    def _by_dill(self, value: Any, registered: Registered | None, taken: Callable[..., bool]) -> bytes:
        def reduce(value: Any) -> Any:
            reduced = NotImplemented if registered is None else registered.reduce(value)
            return refuse_open_files(value) if reduced is NotImplemented else reduced

        stream = io.BytesIO()
        pickler = self.dill().Pickler(stream, PROTOCOL, buffer_callback=taken)
        pickler.reducer_override = reduce
        pickler.dump(value)
        return stream.getvalue()


def refuse_open_files(value: Any) -> Any:
    """A pickler's `reducer_override`: dill would have the client open a file of that name, or its own descriptor."""
    files = (io.TextIOWrapper, io.BufferedReader, io.BufferedWriter, io.BufferedRandom, io.FileIO)
    if isinstance(value, files) and getattr(value, "name", None) not in ("<stdin>", "<stdout>", "<stderr>"):
        raise TypeError("an open file stays where it was opened; return its content, or write to an output")
    return NotImplemented
