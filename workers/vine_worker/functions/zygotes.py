"""How do libraries live as processes: loaded once, asked to fork hosts, heard, ended?"""

from __future__ import annotations

import array
import contextlib
import json
import logging
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec

from vine import config
from vine.content.folders import remove
from vine.wire.codec import UNDECODABLE
from vine.wire.parts import Count, Seconds
from vine_worker import actions as act
from vine_worker import process
from vine_worker.functions.channel import HostChannel
from vine_worker.functions.logs import last_line
from vine_worker.places import Places
from vine_worker.programs import ProgramEnded, Programs, open_null

log = logging.getLogger("vine.worker")

_PACKET_BYTES_MAX = 2 * config.inline_bytes_max  # An exception up to the inline limit, and words about it.


@dataclass(slots=True)
class Zygote:
    """A library's process. One that cannot be forked has ended, and what it stands for goes on without it."""

    instance: int
    name: str
    content: Path  # the file that holds the library
    log: Path
    control: socket.socket
    program: int = 0
    loaded: bool = False
    forkable: bool = True
    told_to_end: bool = False
    over: bool = False
    failed: str = ""  # what was raised while it loaded, in words
    raised: bytes | None = None  # ... and serialised
    forks: dict[int, None] = field(default_factory=dict)  # hosts that live, as the numbers of programs


class Zygotes:
    """The libraries of this worker, as processes; which one is loaded when is the core's choice."""

    def __init__(self, places: Places, programs: Programs, feed: Callable[[object], None]) -> None:
        self._places = places
        self._programs = programs
        self._feed = feed  # gives an event to the core and does what it asks for
        self.host_ended: Callable[[ProgramEnded, str], bool] = lambda ended, by_library: False
        self._null = open_null()
        self._zygotes: dict[int, Zygote] = {}
        self._by_program: dict[int, Zygote] = {}
        self.by_descriptor: dict[int, Zygote] = {}
        self.changed = False  # the set of descriptors to poll

    # --- starting ---

    def start(self, action: act.StartLibrary) -> None:
        try:
            near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with far:
                zygote = self._launch(action, near, far)
        except OSError as why:
            self._feed(act.LibraryGone(action.instance, f"no interpreter could be started: {why}"))
            return
        self._zygotes[action.instance] = self._by_program[zygote.program] = zygote
        self.by_descriptor[near.fileno()] = zygote
        self.changed = True

    def _launch(self, action: act.StartLibrary, near: socket.socket, far: socket.socket) -> Zygote:
        places, kind = self._places, action.kind
        said = places.library_log(action.order)
        zygote = Zygote(action.instance, action.order.name, places.store.path(action.content), said, near)
        try:
            environment = places.environment(kind.environment)
            variables = process.interpreter_variables(
                environment, kind.threads, kind.devices, places.capacity, self._programs.protected
            )
            arguments = process.host_arguments(
                environment, places.dill, places.spill, fork=kind.forks, library=zygote.content, zygote=True
            )
            home = self._home(action.instance)
            home.mkdir()
            with said.open("ab") as file:
                streams = (self._null, file.fileno(), file.fileno(), far.fileno())
                zygote.program = self._programs.start(arguments, home, variables, streams)
        except BaseException:
            near.close()
            raise
        return zygote

    def _home(self, instance: int) -> Path:
        return self._places.hosts / f"library-{instance}"

    # --- its hosts ---

    def log_of(self, instance: int) -> Path:
        return self._living(instance).log

    def logs(self) -> frozenset[Path]:
        return frozenset(zygote.log for zygote in self._zygotes.values())

    def content_of(self, instance: int) -> Path:
        return self._living(instance).content

    def _living(self, instance: int) -> Zygote:
        if instance not in self._zygotes:
            raise ProcessLookupError("its library has ended")  # The core is about to hear of it.
        return self._zygotes[instance]

    def forks(self, instance: int) -> bool:
        """Whether hosts are forked from it; else each loads the library for itself."""
        zygote = self._zygotes.get(instance)
        return zygote is not None and zygote.forkable

    def fork(self, instance: int, home: Path, channel: HostChannel) -> int:
        """Has it fork a host at the far end of a channel; returns its number as a program. OSError if it is gone."""
        zygote, number = self._living(instance), self._programs.new_number()
        attached = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", channel.far_descriptors))]
        request = json.dumps({"fork": number, "folder": str(home), "spill": str(channel.folder)}).encode()
        zygote.control.sendmsg([request], attached, socket.MSG_DONTWAIT)
        zygote.forks[number] = None
        return number

    def kill(self, instance: int, number: int, force: bool) -> None:
        """Asks a host and its whole group to end, or makes them."""
        zygote = self._zygotes.get(instance)
        if zygote is not None:
            request = {"kill": number, "signal": int(signal.SIGKILL if force else signal.SIGTERM)}
            with contextlib.suppress(OSError):  # It is gone, and the host with it.
                zygote.control.send(json.dumps(request).encode(), socket.MSG_DONTWAIT)

    # --- hearing ---

    def hear(self, zygote: Zygote) -> None:
        """Takes in what it has said."""
        while True:
            try:
                packet = zygote.control.recv(_PACKET_BYTES_MAX, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                if self.by_descriptor.pop(zygote.control.fileno(), None) is not None:
                    self.changed = True  # Its end is about to be told; until then there is nothing to hear.
                return
            head, _, content = packet.partition(b"\n")
            said = parsed(head)
            if said is None:
                self._programs.kill(zygote.program, force=True)
            else:
                self._take(zygote, said, content)

    def _take(self, zygote: Zygote, said: Said, content: bytes) -> None:
        if said.loaded is not None:
            if not zygote.loaded:
                self._loaded(zygote, said.why)
        elif said.failed is not None:
            zygote.failed, zygote.raised = said.failed, content
        elif said.forked in zygote.forks and said.pid is not None:
            self._programs.pids[said.forked] = said.pid
        elif said.ended in zygote.forks:
            del zygote.forks[said.ended]
            self._programs.pids.pop(said.ended, None)
            self.host_ended(ProgramEnded(said.ended, said.code, said.message, said.cpu_s, said.memory_kb), "")

    def _loaded(self, zygote: Zygote, why_not_forked: str) -> None:
        zygote.loaded = True
        if why_not_forked:
            log.info("the library '%s' is loaded by each slot for itself: %s", zygote.name, why_not_forked)
            zygote.forkable = False
            self._programs.kill(zygote.program, force=True)  # What it has loaded is of no use to anybody.
        self._feed(act.LibraryReady(zygote.instance, zygote.forkable))

    # --- ending ---

    def end(self, action: act.EndLibrary) -> None:
        zygote = self._zygotes.get(action.instance)
        if zygote is None:
            return
        zygote.told_to_end = True
        if zygote.over:
            self._forget(zygote, "it was ended")
        elif zygote.forkable:
            self._programs.kill(zygote.program, action.force)

    def program_ended(self, ended: ProgramEnded) -> bool:
        """Whether the program was a library's process; then its end is told, and that of the hosts forked from it."""
        zygote = self._by_program.pop(ended.number, None)
        if zygote is None:
            return False
        self.hear(zygote)
        zygote.over = True
        if zygote.forkable or zygote.told_to_end:
            self._forget(zygote, self._words_of_end(zygote, ended))
        return True

    def _words_of_end(self, zygote: Zygote, ended: ProgramEnded) -> str:
        what = "its process" if zygote.loaded else "the process that was to load it"
        ending = process.ending_of_exit(ended.code, ended.message, what)
        said = zygote.failed or ending.message or f"{what} ended with exit code 0"
        if not zygote.loaded and not zygote.failed and ended.code is not None and ended.code >= 0:
            said = last_line(zygote.log) or said
        return f"{said} (log: {zygote.log})"

    def _forget(self, zygote: Zygote, message: str) -> None:
        del self._zygotes[zygote.instance]
        forks, zygote.forks = zygote.forks, {}
        self._let_go(zygote)
        self._feed(act.LibraryGone(zygote.instance, message, zygote.raised))
        for number in forks:
            self._programs.pids.pop(number, None)
            why = f"its library '{zygote.name}' has ended: {message}"
            self.host_ended(ProgramEnded(number, -signal.SIGKILL), why)

    def _let_go(self, zygote: Zygote) -> None:
        if self.by_descriptor.pop(zygote.control.fileno(), None) is not None:
            self.changed = True
        zygote.control.close()
        with contextlib.suppress(OSError):  # The workspace goes at the worker's end, whatever is in it.
            remove(self._home(zygote.instance))

    def close(self) -> None:
        for zygote in self._zygotes.values():
            self._let_go(zygote)
        os.close(self._null)


_Pid = Annotated[int, msgspec.Meta(gt=1, lt=1 << 31)]


class Said(msgspec.Struct, frozen=True):
    """One packet of a library's process, whatever it is about."""

    loaded: bool | None = None
    why: str = ""
    failed: str | None = None
    forked: Count | None = None
    pid: _Pid | None = None
    ended: Count | None = None
    code: Annotated[int, msgspec.Meta(ge=-(1 << 31), lt=1 << 31)] | None = None
    message: str = ""
    cpu_s: Seconds = 0.0
    memory_kb: Count = 0


_decode = msgspec.json.Decoder(Said).decode


def parsed(head: bytes) -> Said | None:
    """What a library's process has said; None if something else writes to its end: the user's code."""
    try:
        said = _decode(head)
    except UNDECODABLE:
        return None
    if said.forked is not None:
        return None if said.pid is None else said
    return None if said.loaded is None and said.failed is None and said.ended is None else said
