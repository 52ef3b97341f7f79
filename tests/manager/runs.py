"""A real manager process, and a client, workers and a factory that the test plays itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import zmq

from vine.host import host_id
from vine.names import ClientId, FileId, TaskId, WorkerId
from vine.wire import messages as m
from vine.wire.keys import load_connection
from vine.wire.link import Link
from vine.wire.parts import CacheLevel, FileKind, FileSpec, Resources, Role, TaskKind, TaskSpec
from vine.wire.sockets import Context, make_context
from vine.wire.worker_messages import ToWorker, WorkerHello

GIVE_UP_S = 30.0  # A guard against hangs, never a measure.

M = TypeVar("M", bound=m.Message)


class Manager:
    """A `vine-manager` that ends with the pipe that the test holds."""

    def __init__(self, run_dir: Path, *arguments: str) -> None:
        parent_fd, self._lifeline = os.pipe()
        command = [sys.executable, "-m", "vine.manager.main", "--run-dir", str(run_dir), "--parent-fd", str(parent_fd)]
        self.process = subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(parent_fd,), text=True
        )
        os.close(parent_fd)
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline()
        self.run_dir = run_dir

    def cut_lifeline(self) -> None:
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    def end(self) -> tuple[int, str]:
        """Exit code and stderr."""
        self.cut_lifeline()
        _, complaints = self.process.communicate(timeout=GIVE_UP_S)
        return self.process.returncode, complaints


@contextmanager
def manager(run_dir: Path, *arguments: str) -> Iterator[Manager]:
    started = Manager(run_dir, *arguments)
    try:
        yield started
    finally:
        started.end()


class Player:
    """One end of a session, moved on whenever it is asked for something."""

    def __init__(self, context: Context, run_dir: Path, role: Role, hello: m.Message, union: Any) -> None:
        self.link = Link(context, load_connection(run_dir, role), union, lambda: hello, time.monotonic())
        self.heard: list[m.Message] = []

    def say(self, *messages: m.Message) -> None:
        for message in messages:
            self.link.send(message)
        self.link.flush(time.monotonic())

    def hear(self, kind: type[M], which: Callable[[M], bool] = lambda message: True) -> M:
        """The next message of this kind; others are kept."""
        found: list[M] = []

        def is_here() -> bool:
            found.extend(message for message in self.heard if isinstance(message, kind) and which(message))
            return bool(found)

        self.until(is_here)
        self.heard.remove(found[0])
        return found[0]

    def until(self, condition: Callable[[], bool]) -> None:
        """Let the session go on until this holds."""
        give_up_at = time.monotonic() + GIVE_UP_S
        while not condition():
            now = time.monotonic()
            assert now < give_up_at, f"it has not come about; heard {self.heard}"
            self.link.check(now)
            self.link.flush(now)
            self.link.socket.poll(min(50, max(0, int((self.link.deadline() - now) * 1000))), zmq.POLLIN)
            self.heard += self.link.receive(time.monotonic())

    def close(self) -> None:
        self.link.close()


def client(context: Context, run_dir: Path) -> Player:
    hello = m.ClientHello(ClientId("c"), host_id(run_dir), "3.11")
    return Player(context, run_dir, Role.CLIENT, hello, m.ToClient)


def worker(
    context: Context, run_dir: Path, name: str = "w1", endpoints: tuple[str, str] = ("tcp://127.0.0.1:9",) * 2
) -> Player:
    hello = WorkerHello(
        WorkerId(name), host_id(run_dir), "node7", os.getpid(), Resources(2, 1000, 1000, 0), (), "3.11",
        *endpoints, log_path="/logs/w1",
    )  # fmt: skip
    return Player(context, run_dir, Role.WORKER, hello, ToWorker)


def factory(context: Context, run_dir: Path) -> Player:
    hello = m.FactoryHello("f", "local", 0, 4, Resources(2, 1000, 1000, 0))
    return Player(context, run_dir, Role.FACTORY, hello, m.ToFactory)


def call(number: int, **fields: Any) -> TaskSpec:
    return TaskSpec(TaskId(number), TaskKind.CALL, payload=b"Pargs", label="inc", **fields)


def buffer(number: int, data: bytes) -> FileSpec:
    return FileSpec(FileId(number), FileKind.BUFFER, CacheLevel.WORKFLOW, "buffer", data=data)


@contextmanager
def a_context() -> Iterator[Context]:
    context = make_context()
    try:
        yield context
    finally:
        context.destroy(linger=0)
