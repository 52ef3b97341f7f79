"""How is a manager put together and taken apart: sockets, threads, journal, scheduler, and their order."""

from __future__ import annotations

import logging
import os
import resource
import secrets
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vine import config
from vine.content.folders import remove
from vine.errors import CannotBind
from vine.garbage import collect_rarely
from vine.host import host_id
from vine.manager.chores import Chores
from vine.manager.journal import Journal, file_name
from vine.manager.loop import Loop, World
from vine.manager.objects import ServedFiles
from vine.names import MANAGER
from vine.scheduler.core import Scheduler
from vine.scheduler.settings import Settings, Spread
from vine.transfer.events import NodeEvent
from vine.transfer.mailbox import Mailbox
from vine.transfer.node import TransferNode
from vine.transfer.tokens import source_key
from vine.wire.hub import Hub
from vine.wire.keys import RunKeys, new_run_keys, write_run_files
from vine.wire.parts import Role
from vine.wire.sockets import Context, Gate, make_context

if TYPE_CHECKING:
    from vine.manager.main import Options, RunPlace

_log = logging.getLogger(__name__)


def run(options: Options, make_place: Callable[[], RunPlace]) -> None:
    """Be the manager of one run, from its directory to its end. What was opened is closed in reverse order."""
    with ExitStack() as closing:
        keys = new_run_keys()
        _allow_many_files()
        context = make_context(config.data_io_threads)
        closing.callback(context.term)
        closing.callback(Gate(context, keys).close)
        hub = _listening(context, keys, options)
        closing.callback(hub.close, config.linger_s)
        place = make_place()  # Only now, so that a port in use leaves no directory behind.
        closing.callback(remove, place.staging_dir)  # What lies there was on its way to those who are gone by then.
        closing.enter_context(_log_in(place.run_dir / "manager.log"))
        ending = _Ending(Journal(place.run_dir / file_name, place.run_id))
        closing.callback(ending.write)
        loop = _make_loop(options, place, context, keys, hub, ending.journal, closing)
        endpoint = _endpoint(options.host, hub.port)
        connection_file = write_run_files(keys, place.run_dir, place.run_id, endpoint, options.data_encryption)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, frame: loop.stop(f"the manager got {signal.Signals(number).name}"))
        try:
            # Whoever started us waits for this line. What `print` cannot write stays in a buffer and fails at the exit.
            os.write(sys.stdout.fileno(), f"ready {connection_file}\n".encode())
        except BrokenPipeError:
            loop.stop("nobody waits for it any more")
        collect_rarely()
        try:
            ending.reason = loop.run()
        except Exception:
            _log.exception("the manager has failed")
            raise


@dataclass(slots=True)
class _Ending:
    """What the journal tells of the run's end."""

    journal: Journal
    reason: str = "the manager has failed"

    def write(self) -> None:
        self.journal.close(self.reason)


def _make_loop(
    options: Options,
    place: RunPlace,
    context: Context,
    keys: RunKeys,
    hub: Hub,
    journal: Journal,
    closing: ExitStack,
) -> Loop:
    secret = secrets.token_bytes(32)
    files = ServedFiles()
    mailbox = Mailbox()
    closing.callback(mailbox.close)
    events: deque[NodeEvent] = deque()
    node = TransferNode(
        context,
        keys,
        Role.SERVER,
        options.host,
        source_key(secret, MANAGER),
        files,
        lambda event: mailbox.post(events.append, event),
        config.source_transfers_max,
        options.data_encryption,
    )
    closing.callback(node.close)
    chores = Chores(place.staging_dir)
    closing.callback(chores.close)
    settings = Settings(
        run_id=place.run_id,
        epoch=journal.epoch,
        run_dir=str(place.run_dir),
        staging_dir=str(place.staging_dir),
        host_id=host_id(place.run_dir),
        run_secret=secret,
        requests_endpoint=node.requests_endpoint,
        chunks_endpoint=node.chunks_endpoint,
        spread=Spread(options.spread),
        wall_clock_ahead_s=time.time() - time.monotonic(),
    )
    world = World(hub, journal, files, node, events, mailbox, chores, options.parent_fd)
    return Loop(world, Scheduler(settings))


def _allow_many_files() -> None:
    """Each worker is an open file, and the usual limit of 1,024 is a soft one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def _log_in(path: Path) -> Iterator[None]:
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    ours = logging.getLogger("vine")
    ours.setLevel(logging.INFO)
    ours.addHandler(handler)
    try:
        yield
    finally:
        ours.removeHandler(handler)
        handler.close()


def _listening(context: Context, keys: RunKeys, options: Options) -> Hub:
    """At the first port that is free."""
    for port in options.ports[:-1]:
        with suppress(CannotBind):
            return Hub(context, keys, options.host, port, time.monotonic())
    try:
        return Hub(context, keys, options.host, options.ports[-1], time.monotonic())
    except CannotBind as error:
        if len(options.ports) == 1:
            raise
        low, high = options.ports[0], options.ports[-1]
        raise CannotBind(f"no port from {low} to {high} is free on {options.host}: {error}") from None


def _endpoint(host: str, port: int) -> str:
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
