"""Which files does an app's call bring and leave: Parsl's `File`s and streams, as files of the run."""

from __future__ import annotations

import copy
import itertools
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from parsl.data_provider.files import File

from vine.client.files import File as VineFile
from vine.client.manager import Manager
from vine.parsl.names import AtWorker, Names
from vine.parsl.streams import Stream, appended
from vine.wire.parts import Mount, When

STREAMS = ("stdout", "stderr")
_STREAM_MODE = "a+"  # in which Parsl opens one that is named without a mode

Signature = tuple[int, ...]
Mounted = dict[str, tuple[Mount, Any]]  # by the full path here, with the place as the worker names it


@dataclass(frozen=True, slots=True)
class Left:
    """An output on its way."""

    path: str  # where it comes to, here
    before: Signature | None  # what was there when the call was submitted
    file: VineFile


@dataclass(slots=True)
class Staged:
    """One call's files: what it is called with instead, how its sandbox is made, and what is done when it has ended."""

    staging: FileStaging
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[Mount, ...] = ()
    outputs: tuple[Mount, ...] = ()
    left: list[Left] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)

    def arrived(self) -> None:
        """What the call has left is here: streams go where they belong. BadStdStreamFile if one cannot."""
        self.staging.take(self)

    def given_up(self) -> None:
        """Nothing has come."""
        self.staging.drop(self)


def places(shared_fs: bool | None, workers_are_here: bool) -> Callable[[str], bool]:
    """Which files' paths workers can use as they are; see `ManagerConfig.shared_fs`."""
    if shared_fs is None and workers_are_here:
        return os.path.isabs
    return lambda path: bool(shared_fs)


class FileStaging:
    """The files of one run's apps. What is brought twice is declared once, as long as it has not changed since."""

    def __init__(
        self, manager: Manager, spool: str, in_place: Callable[[str], bool], peer_transfers: bool = True
    ) -> None:
        """`spool` is a folder of ours for streams on their way; `in_place` says which paths workers can use as ours."""
        self.in_place = in_place
        self._manager = manager
        self._spool = spool
        self._peer_transfers = peer_transfers
        self._known: dict[str, tuple[Signature, VineFile]] = {}
        self._lock = threading.Lock()  # Calls are submitted on one thread, and end on another.

    def stage(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Staged | None:
        """The call with its files; None for one that has none."""
        if not any(map(_is_staged, args)) and not (kwargs and any(itertools.starmap(_has_files, kwargs.items()))):
            return None
        plan = _Plan(self)
        args, kwargs = plan.call(args, kwargs)
        return Staged(self, args, kwargs, *plan.mounts(), plan.left, plan.streams)

    def declared(self, path: str) -> VineFile:
        """What lies at the path now, as a file of the run."""
        full = os.path.abspath(path)
        signature = _signature(full)
        with self._lock:
            known = self._known.get(full)
            if known is not None and known[0] == signature:
                return known[1]
            file = self._manager.declare_file(full, peer_transfer=self._peer_transfers)
            self._replace(full, signature, file)
            return file

    def output(self, path: str) -> Left:
        """A file that comes to be at the path when the call ends."""
        file = self._manager.declare_output(path, peer_transfer=self._peer_transfers)
        return Left(path, _signature_if_any(path), file)

    def stream(self, target: str, mode: str) -> Stream:
        """One on its way: it is of no use to other calls, and kept nowhere."""
        spooled = os.path.join(self._spool, f"{self._manager.session.number_file():x}")
        file = self._manager.declare_output(spooled, cache="task", peer_transfer=False)
        return Stream(file, spooled, target, mode)

    def take(self, staged: Staged) -> None:
        for left in staged.left:
            self._came(left)
        for stream in staged.streams:
            self._manager.undeclare_file(stream.file)
        for stream in staged.streams:
            appended(stream)

    def drop(self, staged: Staged) -> None:
        for left in staged.left:
            self._manager.undeclare_file(left.file)
        for stream in staged.streams:
            self._manager.undeclare_file(stream.file)

    def _came(self, left: Left) -> None:
        """Calls that take what has come to this path have it from the worker that made it."""
        signature = _signature_if_any(left.path)
        if signature is None or signature == left.before:
            self._manager.undeclare_file(left.file)  # The app did not make it.
            return
        with self._lock:
            self._replace(left.path, signature, left.file)

    def _replace(self, path: str, signature: Signature, file: VineFile) -> None:
        known = self._known.get(path)
        self._known[path] = signature, file
        if known is not None:
            self._manager.undeclare_file(known[1])


class _Plan:
    """One call's: what is staged is linked into its sandbox, or taken out of it; the rest is named by its full path."""

    def __init__(self, staging: FileStaging) -> None:
        self._staging = staging
        self._names = Names()
        self._inputs: Mounted = {}
        self._outputs: Mounted = {}
        self.left: list[Left] = []
        self.streams: list[Stream] = []

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The call with its files named as the worker knows them."""
        named = {name: self._kwarg(name, value) for name, value in kwargs.items()}
        return tuple(self._input(value) if _is_staged(value) else value for value in args), named

    def mounts(self) -> tuple[tuple[Mount, ...], tuple[Mount, ...]]:
        """Inputs and outputs."""
        return tuple(mount for mount, _ in self._inputs.values()), tuple(mount for mount, _ in self._outputs.values())

    def _kwarg(self, name: str, value: Any) -> Any:
        if name in STREAMS:
            return None if value is None else self._stream(value)
        if name in ("inputs", "outputs") and isinstance(value, (list, tuple)):
            return _each(value, self._input if name == "inputs" else self._output)
        return self._input(value) if _is_staged(value) else value

    def _input(self, file: File) -> File:
        return self._placed(file, self._inputs, self._put_in)

    def _output(self, file: File) -> File:
        return self._placed(file, self._outputs, self._put_out)

    def _placed(self, file: File, mounted: Mounted, put: Callable[[str, str], None]) -> File:
        path = file.filepath
        full = os.path.abspath(path)
        if self._staging.in_place(path):
            return _named(file, full)
        if full not in mounted:
            put(full, path)
        return _named(file, mounted[full][1]) if full in mounted else file

    def _put_in(self, full: str, path: str) -> None:
        if os.path.exists(full):  # Else it is the worker's, or the app finds that there is none.
            name, place = self._names.give(path)
            self._inputs[full] = Mount(self._staging.declared(full).file_id, name), place

    def _put_out(self, full: str, path: str) -> None:
        left = self._staging.output(full)
        self.left.append(left)
        self._mount_out(full, path, left.file)

    def _stream(self, given: Any) -> Any:
        if _is_staged(given):
            return _named(given, self._place_of_stream(given.filepath, "w"))
        path, mode = given if isinstance(given, tuple) and len(given) == 2 else (given, _STREAM_MODE)
        if not isinstance(path, (str, os.PathLike)) or not isinstance(mode, str):
            return given  # The app tells its user, as it does everywhere.
        place = self._place_of_stream(os.fsdecode(path), mode)
        return (place, mode) if isinstance(given, tuple) else place

    def _place_of_stream(self, path: str, mode: str) -> Any:
        full = os.path.abspath(path)
        if self._staging.in_place(path):
            return full
        if full not in self._outputs:
            stream = self._staging.stream(full, mode)
            self.streams.append(stream)
            self._mount_out(full, path, stream.file)
        return self._outputs[full][1]

    def _mount_out(self, full: str, path: str, file: VineFile) -> None:
        name, place = self._names.give(path)
        # Also of apps that fail, and of those whose process died: what they wrote tells why.
        self._outputs[full] = Mount(file.file_id, name, When.ALWAYS, optional=True), place


def _is_staged(value: Any) -> bool:
    return isinstance(value, File)


def _has_files(name: str, value: Any) -> bool:
    if name in STREAMS:
        return value is not None
    if name in ("inputs", "outputs") and isinstance(value, (list, tuple)):
        return any(map(_is_staged, value))
    return _is_staged(value)


def _each(values: list[Any] | tuple[Any, ...], name: Callable[[File], File]) -> list[Any] | tuple[Any, ...]:
    named = [name(value) if _is_staged(value) else value for value in values]
    return named if isinstance(values, list) else tuple(named)


def _named(file: File, place: str | AtWorker) -> File:
    """The same file, with another path for the app."""
    if place == file.filepath:
        return file
    named = copy.copy(file)
    named.local_path = place
    return named


def _signature(path: str) -> Signature:
    """What tells that a file, or a file in a folder, is another one now."""
    signature = version(os.stat(path))
    if os.path.isdir(path):
        for folder, folders, files in os.walk(path):
            folders.sort()
            for name in sorted(files):
                signature += version(os.lstat(os.path.join(folder, name)))
    return signature


def version(status: os.stat_result) -> Signature:
    """What tells that another file is there now, or that it was written anew."""
    return status.st_ino, status.st_size, status.st_mtime_ns


def _signature_if_any(path: str) -> Signature | None:
    try:
        return _signature(path)
    except FileNotFoundError:
        return None
