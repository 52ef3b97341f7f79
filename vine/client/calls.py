"""How does a function with its arguments become a task: each function serialised and declared once."""

from __future__ import annotations

import hashlib
import threading
import types
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import msgspec

from vine import config, errors
from vine.client import serialise
from vine.client.bindings import Bindings, goes_by_value
from vine.client.declarer import Declarer
from vine.client.futures import VineFuture
from vine.client.links import Links
from vine.client.python_tasks import name_of
from vine.client.registered import registry
from vine.client.session import Session
from vine.client.shared import Shared, Unasked, is_large
from vine.names import FileId, TaskId
from vine.wire.messages import ForgetFiles
from vine.wire.parts import TaskSpec
from vine_function_host import buffers
from vine_function_host.payload import PLACED, PLACED_MAX

# Objects of these types do not change under our hands, except for what a function refers to: it is sent anew when
# that is bound anew. All other callables are serialised at every call, and declared by content.
_UNCHANGING = (types.FunctionType, types.BuiltinFunctionType, type)


class Function:
    """A serialised function, declared to the run."""

    __slots__ = ("file_id", "kept", "label")

    def __init__(self, file_id: FileId, label: str) -> None:
        self.file_id = file_id
        self.label = label
        self.kept = True  # among those that are declared


class Known:
    """What was sent of a function object, and what that depends on."""

    __slots__ = ("bindings", "function", "serialisers")

    def __init__(self, function: Function, bindings: Bindings | None, serialisers: bytes) -> None:
        self.function = function
        self.bindings = bindings if bindings else None
        self.serialisers = serialisers

    def holds(self) -> bool:
        """Whether it is what would be sent now."""
        current = self.function.kept and self.serialisers is registry.content
        return current and (self.bindings is None or self.bindings.unchanged())


class Calls:
    def __init__(self, session: Session, declarer: Declarer) -> None:
        self._session = session
        self._declarer = declarer
        self._by_object: weakref.WeakKeyDictionary[Any, Known] = weakref.WeakKeyDictionary()
        self._by_content: OrderedDict[bytes, Function] = OrderedDict()
        self._leaving: list[FileId] = []
        self._shared: weakref.WeakKeyDictionary[Shared, FileId] = weakref.WeakKeyDictionary()
        self._run = object()  # stands for the run where a reference would keep that
        self._unasked = Unasked()
        self._lock = threading.Lock()

    def function(self, function: Callable[..., Any]) -> Function:
        if type(function) not in _UNCHANGING:
            return self._declared(function)
        known = self._by_object.get(function)
        if known is None or not known.holds():
            bindings = Bindings(function) if goes_by_value(function) else None  # Before it is read by the serialiser.
            serialisers = registry.content
            known = self._by_object[function] = Known(self._declared(function), bindings, serialisers)
        return known.function

    def task_of(self, future: Future[Any]) -> TaskId | None:
        """The task of a future of this run; its place in the arguments is filled in on the worker."""
        if isinstance(future, VineFuture) and future.session is self._session:
            return future.task_id
        return None

    def dump(self, args: tuple[Any, ...], kwargs: dict[str, Any], label: str) -> tuple[bytes, Links | None]:
        """The payload, and what belongs to it; where that is futures from elsewhere, they are to be awaited first."""
        placed: Sequence[Shared] = ()
        head = b""
        for value in args:
            kind = type(value)
            is_long = (kind is bytes or kind is str) and len(value) > config.shared_unasked_bytes_min
            if is_long or kind is Shared or kind is tuple:
                args, placed, head = self._apart(args)
                break
        if kwargs:
            kwargs = {name: self._unasked.shared(value) if is_large(value) else value for name, value in kwargs.items()}
        return serialise.dump_call(args, kwargs, label, self.task_of, placed, head)

    def _apart(self, args: tuple[Any, ...]) -> tuple[tuple[Any, ...], Sequence[Shared], bytes]:
        """The other arguments, those that are shared values, each once, and what says where these are."""
        placed: list[Shared] = []
        places: list[int] = []
        others: list[Any] = []
        for position, value in enumerate(args):
            kind = type(value)
            if kind is tuple:
                value = self._with_shared(value)
            elif (kind is bytes or kind is str) and is_large(value):
                value, kind = self._unasked.shared(value), Shared
            if kind is Shared and position < PLACED_MAX and value not in placed:
                placed.append(value)
                places.append(position)
                places.append(value.immutable)
            else:
                others.append(value)
        return tuple(others), placed, PLACED + bytes((len(placed), *places)) if placed else b""

    def _with_shared(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The same, in which large bytes and text are shared; those of chunks of calls are in a tuple of their own."""
        if not any(type(value) is tuple or is_large(value) for value in args):
            return args
        return tuple(
            self._unasked.shared(value)
            if is_large(value)
            else (self._with_shared(value) if type(value) is tuple else value)
            for value in args
        )

    def submit(self, spec: TaskSpec, links: Links | None = None) -> None:
        """Send the task; arguments that are too long for an envelope go by a staged file."""
        memory = None if links is None else links.memory
        if memory is None and len(spec.payload) <= config.inline_bytes_max:
            self._session.submit(spec)
            return

        def submit_with(file_id: FileId) -> None:
            self._session.submit(msgspec.structs.replace(spec, payload=b"", payload_file=file_id))

        label = f"arguments of '{spec.label}'"
        if memory is None:
            self._declarer.payload(spec.payload, label, submit_with)
        else:
            self._declarer.payload_of_parts(buffers.parts_of_file(spec.payload, memory), label, submit_with)

    def shared_files(self, shared: list[Shared]) -> tuple[FileId, ...]:
        """The files of shared values in this run; whoever submits a task with them holds the values until then."""
        if len(shared) == 1:  # As mostly.
            run, files = shared[0].last_files
            return files if run is self._run else (self._file_here(shared[0]),)
        return tuple([self._file_here(each) for each in shared])

    def _file_here(self, shared: Shared) -> FileId:
        file_id = self._shared.get(shared)
        if file_id is None:
            with self._lock:
                file_id = self._shared.get(shared)
                if file_id is None:
                    file_id = self._shared[shared] = self._declarer.shared(shared)
                    weakref.finalize(shared, self._session.forget_file, file_id).atexit = False
        shared.last_files = self._run, (file_id,)
        return file_id

    def _declared(self, function: Callable[..., Any]) -> Function:
        if not callable(function):
            raise errors.UsageError(f"{function!r} cannot be called: submit() takes a function and its arguments")
        self._session.check()  # In a forked child, what follows may be locked.
        label = name_of(function)
        data = registry.before(serialise.dump_function(function, label))
        key = hashlib.blake2b(data, digest_size=32).digest()
        with self._lock:
            known = self._by_content.get(key)
            if known is not None:
                self._by_content.move_to_end(key)
                return known
            file = self._declarer.buffer(data, f"function '{label}'")
            known = self._by_content[key] = Function(file.file_id, label)
            if len(self._by_content) > config.functions_kept_max:
                self._let_go(self._by_content.popitem(last=False)[1])
            return known

    def _let_go(self, function: Function) -> None:
        function.kept = False
        # Another thread may be about to submit a task that names it: forget it a good while later.
        self._leaving.append(function.file_id)
        if len(self._leaving) > config.functions_kept_max:
            self._session.say(ForgetFiles((self._leaving.pop(0),)))
