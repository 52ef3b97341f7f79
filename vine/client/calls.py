"""How does a function with its arguments become a task: each function serialised and declared once."""

from __future__ import annotations

import hashlib
import threading
import types
import weakref
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import msgspec

from vine import config, errors
from vine.client import serialise
from vine.client.bindings import Bindings, goes_by_value
from vine.client.files import Declarer
from vine.client.futures import VineFuture
from vine.client.session import Session
from vine.client.tasks import name_of
from vine.names import FileId, TaskId
from vine.wire.messages import ForgetFiles
from vine.wire.parts import TaskSpec

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

    __slots__ = ("bindings", "function")

    def __init__(self, function: Function, bindings: Bindings | None) -> None:
        self.function = function
        self.bindings = bindings if bindings else None


class Calls:
    def __init__(self, session: Session, declarer: Declarer) -> None:
        self._session = session
        self._declarer = declarer
        self._by_object: weakref.WeakKeyDictionary[Any, Known] = weakref.WeakKeyDictionary()
        self._by_content: OrderedDict[bytes, Function] = OrderedDict()
        self._leaving: list[FileId] = []
        self._lock = threading.Lock()

    def function(self, function: Callable[..., Any]) -> Function:
        if type(function) not in _UNCHANGING:
            return self._declared(function)
        known = self._by_object.get(function)
        if known is None or not known.function.kept or (known.bindings is not None and not known.bindings.unchanged()):
            bindings = Bindings(function) if goes_by_value(function) else None  # Before it is read by the serialiser.
            known = self._by_object[function] = Known(self._declared(function), bindings)
        return known.function

    def task_of(self, future: Future[Any]) -> TaskId | None:
        """The task of a future of this run; its place in the arguments is filled in on the worker."""
        if isinstance(future, VineFuture) and future.session is self._session:
            return future.task_id
        return None

    def dump(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], label: str
    ) -> tuple[bytes, tuple[TaskId, ...], list[Future[Any]]]:
        """The payload, the tasks whose results it takes, and futures from elsewhere to wait for first."""
        payload, links = serialise.dump_call(args, kwargs, label, self.task_of)
        return (payload, (), []) if links is None else (payload, links.depends, links.awaited or [])

    def submit(self, spec: TaskSpec) -> None:
        """Send the task; arguments that are too long for an envelope go by a staged file."""
        if len(spec.payload) <= config.inline_bytes_max:
            self._session.submit(spec)
            return

        def submit_with(file_id: FileId) -> None:
            self._session.submit(msgspec.structs.replace(spec, payload=b"", payload_file=file_id))

        self._declarer.payload(spec.payload, f"arguments of '{spec.label}'", submit_with)

    def _declared(self, function: Callable[..., Any]) -> Function:
        if not callable(function):
            raise errors.UsageError(f"{function!r} cannot be called: submit() takes a function and its arguments")
        self._session.check()  # In a forked child, what follows may be locked.
        label = name_of(function)
        data = serialise.dump_function(function, label)
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
