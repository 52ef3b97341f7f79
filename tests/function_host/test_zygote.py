"""Does a zygote fork when it is asked to, tell of each end, and leave nothing behind?"""

from __future__ import annotations

import array
import json
import os
import pickle
import select
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dill
import pytest

from tests.function_host.running import DILL_FOLDER, value_of
from vine_function_host import frames
from vine_function_host.payload import DILL, in_one
from vine_worker import process
from vine_worker.functions.channel import HostChannel

pytestmark = pytest.mark.live


class RunningZygote:
    """A zygote, seen from the worker's end of its socket."""

    def __init__(self, folder: Path, functions: dict[str, Any], context: Any = None, fork: bool = False) -> None:
        self.folder = folder
        library = folder / "library"
        library.write_bytes(in_one((b"[]", DILL + dill.dumps((functions, context), recurse=True))))
        self.control, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        *program, _, options = process.host_arguments(
            None, DILL_FOLDER, folder, fork=fork, library=library, zygote=True
        )
        arguments = [*program, str(far.fileno()), options]
        with far, (folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                arguments, pass_fds=[far.fileno()], cwd=folder, stdout=log, stderr=log, start_new_session=True
            )
        self.channels: dict[int, HostChannel] = {}

    def said(self) -> dict[str, Any]:
        assert select.select([self.control], [], [], 20)[0], "it says nothing"
        head, _, _content = self.control.recv(1 << 20).partition(b"\n")
        said: dict[str, Any] = json.loads(head)
        return said

    def fork(self, number: int) -> int:
        """The pid of the new host."""
        channel = self.channels[number] = HostChannel(self.folder)
        request = {"fork": number, "folder": str(self.folder), "spill": str(channel.folder)}
        attached = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", channel.far_descriptors))]
        self.control.sendmsg([json.dumps(request).encode()], attached)
        said = self.said()
        assert said["forked"] == number
        pid: int = said["pid"]
        return pid

    def kill(self, number: int, signal_number: int) -> None:
        self.control.send(json.dumps({"kill": number, "signal": signal_number}).encode())

    def call(self, host: int, name: str, *args: Any) -> None:
        self.channels[host].send(
            1, frames.common_part(name.encode(), b""), [(frames.INLINE, b"P" + pickle.dumps((args, {})))]
        )
        self.channels[host].flush()

    def result(self, host: int, name: str, *args: Any) -> Any:
        channel = self.channels[host]
        self.call(host, name, *args)
        while True:
            assert select.select([channel], [], [], 20)[0], "the host does not answer"
            for answer in channel.receive():
                if answer.brings != frames.READY:
                    return value_of(answer)

    def close(self) -> None:
        self.control.close()
        self.process.wait(20)
        for channel in self.channels.values():
            channel.close()


FUNCTIONS = {"who": lambda: (os.getpid(), os.getppid(), os.getsid(0)), "draw": lambda: __import__("random").random()}


@pytest.fixture
def zygote(tmp_path: Path) -> Iterator[RunningZygote]:
    running = RunningZygote(tmp_path, FUNCTIONS)
    assert running.said() == {"loaded": True, "why": ""}
    yield running
    running.close()


def test_each_fork_is_a_process_of_its_own_session(zygote: RunningZygote) -> None:
    pids = [zygote.fork(number) for number in (4, 9)]
    seen = [zygote.result(number, "who") for number in (4, 9)]
    assert seen == [(pid, zygote.process.pid, pid) for pid in pids]


def test_the_end_of_a_fork_is_told_with_what_it_has_used(zygote: RunningZygote) -> None:
    zygote.fork(4)
    zygote.result(4, "who")
    zygote.kill(4, signal.SIGTERM)
    ended = zygote.said()
    assert (ended["ended"], ended["code"]) == (4, -signal.SIGTERM)
    assert ended["memory_kb"] > 1000
    zygote.kill(4, signal.SIGKILL)  # One that has ended already is no trouble.
    zygote.fork(5)


def test_forks_do_not_draw_the_same_random_numbers(zygote: RunningZygote) -> None:
    draws = []
    for number in (1, 2):
        zygote.fork(number)
        draws.append(zygote.result(number, "draw"))
    assert draws[0] != draws[1]


def test_what_a_fork_has_started_ends_with_it(zygote: RunningZygote, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    zygote.close()
    functions = {"start": lambda path: os.system(f"(sleep 600 > {path}) &"), "leave": lambda: os._exit(3)}
    starter = RunningZygote(tmp_path, functions)
    starter.said()
    starter.fork(1)
    assert starter.result(1, "start", str(pipe)) == 0
    with pipe.open("rb") as held:
        starter.call(1, "leave")
        ended = starter.said()
        assert (ended["ended"], ended["code"]) == (1, 3)
        assert held.read() == b"", "it lives on"
    starter.close()


def test_with_forks_each_call_has_a_process_of_its_own(tmp_path: Path) -> None:
    running = RunningZygote(tmp_path, FUNCTIONS, fork=True)
    running.said()
    host = running.fork(1)
    first, second = running.result(1, "who"), running.result(1, "who")
    assert (first[1], second[1]) == (host, host)
    assert first[0] != second[0]
    running.close()


def test_it_ends_when_its_worker_is_gone(zygote: RunningZygote) -> None:
    zygote.control.close()
    assert zygote.process.wait(20) == 0
