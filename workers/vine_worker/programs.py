"""How does the worker have programs started, watched and killed: its end of the spawner."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vine import config
from vine.errors import VineError
from vine_worker import families, spawner

_SPAWNER_KILLED = "the worker's helper program was killed, and with it what ran here"


@dataclass(frozen=True, slots=True)
class ProgramEnded:
    """`code` is None where it was not started, negative where a signal ended it."""

    number: int
    code: int | None
    message: str = ""
    cpu_s: float = field(default=0.0, compare=False)
    memory_kb: int = field(default=0, compare=False)  # of its largest process
    alone: bool = field(default=False, compare=False)  # no process is left that it has started
    begun: bool = True  # it was not taken back before


class Programs:
    """The programs that run for this worker; all of them end when it does, however it ends."""

    def __init__(self, objects: Path, protect: str) -> None:
        spawner.Kernel().become_subreaper()  # Else what it has started would outlive a spawner that is killed.
        self._channel, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._variables = dict(os.environ)  # the spawner's, too, without what libraries may have set unknown to Python
        with far:
            self._spawner = subprocess.Popen(
                [sys.executable, "-I", "-S", spawner.__file__, str(far.fileno()), protect, str(objects)],
                stdin=subprocess.DEVNULL,
                env=self._variables,
                pass_fds=[far.fileno()],
            )
        self._received = bytearray()
        self._last_number = 0
        self.pids: dict[int, int] = {}  # of the programs that run, by number
        self._channel.settimeout(config.spawner_start_max_s)
        try:
            greeting = spawner.receive(self._channel)
        except TimeoutError:
            greeting = None
        if greeting is None:
            self.close()
            raise VineError(f"{sys.executable} could not run the worker's helper program: see the lines above")
        self._channel.settimeout(None)
        self.protected: bool = greeting[0]["protected"]
        self.reason: str = greeting[0]["reason"]  # why inputs are not protected

    @property
    def spawner_pid(self) -> int:
        return self._spawner.pid

    def fileno(self) -> int:
        return self._channel.fileno()

    @property
    def has_reports(self) -> bool:
        """Whether `receive` has something to tell though the descriptor is silent."""
        return bool(self._received)

    def start(
        self,
        argv: Sequence[str],
        folder: str | Path,
        variables: Mapping[str, str],
        descriptors: tuple[int, ...],
        after: int | None = None,
    ) -> int:
        """Starts a program with these standard streams (and more descriptors), once `after` has ended.

        Returns its number.
        """
        number = self.new_number()
        known = self._variables  # Most are ours, and need not be told each time.
        changed = dict(variables.items() - known.items())
        without = list(known.keys() - variables.keys())
        request = {"start": number, "argv": argv, "folder": str(folder), "variables": changed, "without": without}
        self._send({**request, "after": after}, descriptors)
        return number

    def new_number(self) -> int:
        """For a program that somebody else starts, and tells `pids` of."""
        self._last_number += 1
        return self._last_number

    def kill(self, number: int, force: bool) -> None:
        """Asks the program and its whole group to end, or makes them."""
        signal_number = signal.SIGKILL if force else signal.SIGTERM
        self._send({"kill": number, "signal": int(signal_number)})

    def take_back(self, number: int) -> None:
        """Has a program not started that waits for another one's end."""
        self._send({"take_back": number})

    def _send(self, request: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
        """Takes in reports while there is no room: the spawner may wait for us to read them before it reads on."""
        frame, attached = spawner.framed(request, descriptors)
        left = memoryview(frame)
        while left:
            try:
                sent = self._channel.sendmsg([left], attached, socket.MSG_DONTWAIT)
            except BlockingIOError:
                waiting = select.poll()
                waiting.register(self._channel, select.POLLIN | select.POLLOUT)
                waiting.poll()
                self._take_in()
            except BrokenPipeError:
                raise VineError(_SPAWNER_KILLED) from None
            else:
                left, attached = left[sent:], []

    def receive(self) -> list[ProgramEnded]:
        """Who has ended since; VineError if the spawner itself has."""
        self._take_in()
        return self._parse()

    def _take_in(self) -> None:
        try:
            while data := self._channel.recv(1 << 16, socket.MSG_DONTWAIT):
                self._received += data
        except BlockingIOError:
            return
        raise VineError(_SPAWNER_KILLED)

    def _parse(self) -> list[ProgramEnded]:
        ended = []
        while len(self._received) >= spawner.HEAD.size:
            length, _descriptors = spawner.HEAD.unpack_from(self._received)
            end = spawner.HEAD.size + length
            if len(self._received) < end:
                break
            report = spawner.loaded(self._received[spawner.HEAD.size : end])
            del self._received[:end]
            if "started" in report:
                self.pids[report["started"]] = report["pid"]
            elif "ended" in report:
                self.pids.pop(report["ended"], None)  # It may have ended before its start was told.
                use = {name: report[name] for name in ("cpu_s", "memory_kb", "alone")}
                ended.append(ProgramEnded(report["ended"], report["code"], **use))
            elif "returned" in report:
                ended.append(ProgramEnded(report["returned"], None, begun=False))
            elif "failed" in report:
                ended.append(ProgramEnded(report["failed"], None, report["message"]))
        return ended

    def close(self) -> None:
        """Ends everything that was started, and waits until it is gone."""
        self._channel.close()
        try:
            self._spawner.wait(config.stop_grace_s)
        except subprocess.TimeoutExpired:
            # It waits for something that cannot be killed, such as a process in a hung file system.
            self._spawner.kill()
            self._spawner.wait()
        if self._spawner.returncode:  # It was killed before it could end what it had started, which is ours now.
            families.kill_marked_children()


def open_null() -> int:
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
