"""How do values become bytes and bytes values in a function host: pickle where it can, dill where it must."""

from __future__ import annotations

import io
import pickle
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from vine_function_host import standins
from vine_function_host.buffers import BUFFERS, parts_of_file
from vine_function_host.payload import DILL, PICKLE, PLACED, apart, body_of
from vine_function_host.registered import LOADED, Registered, UnsendableError
from vine_function_host.values import SharedValues, content_of, parted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vine_function_host.frames import Blob

    Content = bytes | memoryview

PROTOCOL = min(5, pickle.HIGHEST_PROTOCOL)
_UNMARKED = (PICKLE, DILL[:1], PLACED)
_PLAIN = frozenset((type(None), bool, int, float, str, bytes))  # Pickle asks nobody how these travel.
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
        self, blobs: Sequence[Blob], shared: Sequence[bytes] = (), registered: Registered | None = None
    ) -> tuple[bytes, Sequence[Any], dict[str, Any]]:
        """The mark before them, if any, positional ones, named ones; with other values in their places.

        `shared` are the paths of shared values.
        """
        payload, buffers = parted(content_of(blobs[0]))
        mark = b"" if payload[:1] in _UNMARKED else bytes(payload[:1])
        payload = payload[1:] if mark else payload
        if len(blobs) == 1 and not shared:  # As most.
            args, kwargs = self.load(payload, registered, buffers)
            return mark, args, kwargs
        load = self.load if registered is None else partial(self.load, registered=registered)
        placed_end = 2 + 2 * payload[1] if payload[:1] == PLACED else 0
        places, payload = payload[2:placed_end], payload[placed_end:]
        refers = len(blobs) > 1 or 2 * len(shared) > len(places)  # Else there is nothing that the pickle could name.
        filled = _Filled(blobs, shared, self._shared, load) if refers else None
        standins.places = filled or standins.NOWHERE
        try:
            args, kwargs = self.load(payload, registered, buffers)
        finally:
            standins.places = standins.NOWHERE
        value = self._shared.value if filled is None else filled.value
        return mark, _with_placed(args, places, shared, value, load), kwargs

    def keep_shared(self, shared: Sequence[bytes], registered: Registered | None) -> None:
        """Loads what calls share; for forks, of which each may do to it what it likes."""
        for path in shared:
            self._shared.value(path, partial(self.load, registered=registered), keep=True)

    def load(self, content: Content, registered: Registered | None = None, buffers: Sequence[memoryview] = ()) -> Any:
        """What was serialised."""
        if content[:1] == BUFFERS:
            content, buffers = parted(content)
        by_pickle = content[:1] == PICKLE
        body = content[1:] if by_pickle else body_of(content)
        if registered is None:
            return (pickle if by_pickle else self.dill()).loads(body, buffers=buffers)
        reader = self._reader(by_pickle)(io.BytesIO(body), buffers=buffers)
        reader.loaded = registered.loaded
        return reader.load()

    def _reader(self, by_pickle: bool) -> Any:
        mark = PICKLE if by_pickle else DILL
        if mark not in self._readers:
            base: Any = pickle.Unpickler if by_pickle else self.dill().Unpickler

            def find_class(reader: Any, module: str, name: str) -> Any:
                return reader.loaded if (module, name) in LOADED else base.find_class(reader, module, name)

            self._readers[mark] = type("Reader", (base,), {"find_class": find_class})
        return self._readers[mark]

    # --- values become bytes ---

    def dump(self, value: Any, registered: Registered | None = None, apart_from: int | None = None) -> list[Content]:
        """The parts of what is to be written; buffers of more than `apart_from` bytes are parts as they lie."""
        if type(value) in _PLAIN:
            return [PICKLE + pickle.dumps(value, PROTOCOL)]
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


class _Filled(standins.Places):
    """The values that one call refers to; one that is named twice is one object, as it was at the client."""

    __slots__ = ("_blobs", "_known", "_load", "_shared", "_values")

    def __init__(
        self, blobs: Sequence[Blob], shared: Sequence[bytes], values: SharedValues, load: Callable[..., Any]
    ) -> None:
        self._blobs = blobs  # the arguments, then results
        self._shared = shared  # the paths of shared values
        self._values = values
        self._load = load
        self._known: dict[object, Any] = {}

    def result(self, place: int) -> Any:
        if place not in self._known:
            self._known[place] = self._load(content_of(self._blobs[1 + place]))
        return self._known[place]

    def shared(self, place: int, keep: bool) -> Any:
        return self.value(self._shared[place], self._load, keep)

    def value(self, path: bytes, load: Callable[..., Any], keep: bool) -> Any:
        """As `SharedValues.value`, for this call."""
        if path not in self._known:
            self._known[path] = self._values.value(path, load, keep)
        return self._known[path]


def _with_placed(
    args: Sequence[Any], places: Content, shared: Sequence[bytes], value: Callable[..., Any], load: Callable[..., Any]
) -> Sequence[Any]:
    """The arguments, with shared values that each are one of them in their places."""
    if not places:
        return args
    every = list(args)
    for at in range(0, len(places), 2):
        every.insert(places[at], value(shared[at // 2], load, places[at + 1] == 1))
    return every


def refuse_open_files(value: Any) -> Any:
    """A pickler's `reducer_override`: dill would have the client open a file of that name, or its own descriptor."""
    files = (io.TextIOWrapper, io.BufferedReader, io.BufferedWriter, io.BufferedRandom, io.FileIO)
    if isinstance(value, files) and getattr(value, "name", None) not in ("<stdin>", "<stdout>", "<stderr>"):
        raise TypeError("an open file stays where it was opened; return its content, or write to an output")
    return NotImplemented
