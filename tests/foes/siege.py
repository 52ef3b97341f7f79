"""What do live tests of foes need: a manager and a worker, their client, and members who say what no program says."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

import vine
from tests.live import bodies
from tests.live.helpers import Site, done, on
from tests.waiting import GIVE_UP_S, until
from vine.views.reading import open_run
from vine.views.sections import status
from vine.wire.codec import Decoder, encode
from vine.wire.keys import Connection, load_connection
from vine.wire.messages import Message, ToClient, ToFactory
from vine.wire.parts import Role
from vine.wire.session import Header, pack_header
from vine.wire.sockets import Context, Socket, connect_control, make_context
from vine.wire.worker_messages import ToWorker

USUAL_FILES_MAX = 1024  # The soft limit with which most systems start programs.
GROWTH_BYTES_MAX = 64 << 20  # Of a process, by all that foes have said to it.
_TO: dict[Role, Decoder[Message]] = {
    Role.CLIENT: Decoder(ToClient),
    Role.WORKER: Decoder(ToWorker),
    Role.FACTORY: Decoder(ToFactory),
}


@contextmanager
def usual_limits() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (USUAL_FILES_MAX, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Besieged:
    """A site of one worker, and a client that is served whatever happens around it."""

    def __init__(self, site: Site, client: vine.Manager, folder: Path) -> None:
        self.site, self.client, self.folder = site, client, folder
        self.executor = vine.Executor(client)
        self.context: Context = make_context()
        self.programs = {"manager": site.manager, "worker": site.workers["w0"]}
        self.processes = {name: psutil.Process(program.pid) for name, program in self.programs.items()}
        self._files = 0
        self.serves()
        self.before = {name: self.vitals(name) for name in self.programs}

    def close(self) -> None:
        self.executor.shutdown()
        self.context.destroy(linger=0)

    def vitals(self, name: str) -> tuple[int, int]:
        """Open files, and bytes of memory."""
        process = self.processes[name]
        return process.num_fds(), process.memory_info().rss

    def serves(self) -> None:
        """A file that is new comes to the worker, and a call goes there and back."""
        self._files += 1
        path = self.folder / f"file-{self._files}"
        path.write_bytes(os.urandom(300_000))
        task = on("w0", vine.Task("wc -c < it"))
        task.add_input(self.client.declare_file(path), "it")
        done(self.client, task)
        assert task.successful() and task.std_output.split() == ["300000"], task.error
        assert self.executor.submit(bodies.add, 2, 3).result(GIVE_UP_S) == 5

    def stands(self) -> None:
        """Both processes are those that were started, serve, hold as many files as before, and are no larger."""
        self.serves()
        for name, program in self.programs.items():
            assert program.process.poll() is None, program.complaints()
            files, memory = self.before[name]
            until(lambda name=name, files=files: self.vitals(name)[0] <= files + 20, f"{name} closes what foes opened")  # type: ignore[misc]
            assert self.vitals(name)[1] <= memory + GROWTH_BYTES_MAX, f"{name} has grown"
            assert "Traceback" not in program.complaints()

    def ports(self, name: str) -> list[int]:
        found = self.processes[name].net_connections("tcp")
        return [each.laddr.port for each in found if each.status == psutil.CONN_LISTEN]

    def connection(self, role: Role) -> Connection:
        return load_connection(self.site.run_dir, role)

    def told(self) -> dict[str, Any]:
        with open_run(self.site.run_dir) as run:
            return status(run, 0.0)

    def counts(self, what: Callable[[dict[str, Any]], int], more: int, before: int) -> None:
        until(lambda: what(self.told()) >= before + more, f"{more} more are counted than {before}")


class Member:
    """Somebody with true keys of the run who says what no program of ours says."""

    def __init__(self, besieged: Besieged, role: Role) -> None:
        self.role = role
        self.session = os.urandom(16)
        self._said = 0
        self.socket: Socket
        self.socket, self._watch = connect_control(besieged.context, besieged.connection(role))

    def frames(self, *frames: bytes) -> None:
        self.socket.send_multipart(frames)

    def says(self, *messages: Message) -> None:
        self._said += 1
        self.frames(pack_header(Header(self.session, self._said, 0)), encode(messages))

    def hears(self, kind: type[Message]) -> Message:
        """The next message of this kind."""
        while True:
            assert self.socket.poll(1000 * GIVE_UP_S), "nothing was said"
            _, *payload = self.socket.recv_multipart()
            for message in _TO[self.role].decode(payload[0]) if payload else ():
                if isinstance(message, kind):
                    return message

    def close(self) -> None:
        self._watch.close()
        self.socket.close(linger=0)


def malformed(found: dict[str, Any]) -> int:
    return int(found["manager"]["malformed"])


def malformed_at_worker(found: dict[str, Any]) -> int:
    return sum(worker["malformed"] for worker in found["workers"] if worker["id"] == "w0")
