"""How is a manager put together and taken apart: sockets, threads, journal, scheduler, and their order."""

from __future__ import annotations

import dataclasses
import logging
import os
import secrets
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextlib import closing as closed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vine import config
from vine.content.folders import remove
from vine.errors import CannotBind, UsageError
from vine.garbage import collect_rarely
from vine.host import host_id
from vine.manager.chores import Chores
from vine.manager.journal import Journal, file_name
from vine.manager.loop import Loop, World
from vine.manager.objects import ServedFiles
from vine.manager.place import RunPlace
from vine.manager.takeover import Past, lock, read_past
from vine.manager.watched import WatchedOutputs
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
from vine.wire.sockets import Context, Gate, allow_many_files, make_context

if TYPE_CHECKING:
    from vine.manager.main import Options

_log = logging.getLogger(__name__)


def run(options: Options, make_place: Callable[[], RunPlace]) -> None:
    """Be the manager of a new run, from its directory to its end. What was opened is closed in reverse order."""
    with ExitStack() as closing:
        keys, host = new_run_keys(), options.host or "127.0.0.1"
        context, gate, hub = _listen(keys, host, options.ports, closing)
        place = make_place()  # Only now, so that a port in use leaves no directory behind.
        closing.callback(os.close, lock(place.run_dir))
        _serve(options, Site(place, host, context, keys, gate, hub), None, closing)


def go_on(options: Options, run_dir: Path) -> None:
    """Be the manager of a run whose manager has died, at the same address and with the same keys."""
    collect_rarely()  # A million objects are made at once, and none of them is garbage.
    with ExitStack() as closing:
        closing.callback(os.close, lock(run_dir))
        past = read_past(run_dir, options.accept_losses)
        if not _is_at(options, past):
            raise UsageError(
                f"the run in {run_dir} is known at {past.host}:{past.port}: leave --bind out to go on there"
            )
        options = dataclasses.replace(options, data_encryption=past.data_encryption)
        context, gate, hub = _listen(past.keys, past.host, range(past.port, past.port + 1), closing)
        place = RunPlace(run_dir, run_dir / "staging", past.run.run_id)
        place.staging_dir.mkdir(mode=0o700, exist_ok=True)
        _serve(options, Site(place, past.host, context, past.keys, gate, hub), past, closing)


@dataclass(frozen=True, slots=True)
class Site:
    """Where a manager is, and how it is reached."""

    place: RunPlace
    host: str
    context: Context
    keys: RunKeys
    gate: Gate
    hub: Hub


def _is_at(options: Options, past: Past) -> bool:
    """Whether the user asks for the address where the run's peers look for it, or for none."""
    return options.host is None or (options.host == past.host and not {past.port, 0}.isdisjoint(options.ports))


def _listen(keys: RunKeys, host: str, ports: range, closing: ExitStack) -> tuple[Context, Gate, Hub]:
    allow_many_files()
    context = make_context(config.data_io_threads)
    closing.callback(context.term)
    gate = Gate(context, keys)
    closing.callback(gate.close)
    hub = _listening(context, keys, host, ports)
    closing.callback(hub.close, config.linger_s)
    return context, gate, hub


def _serve(options: Options, site: Site, past: Past | None, closing: ExitStack) -> None:
    place = site.place
    collect_rarely()
    closing.enter_context(_log_in(place.run_dir / "manager.log"))
    ending = _Ending(Journal(place.run_dir / file_name, place.run_id), place.staging_dir)
    closing.callback(ending.write)
    loop, scheduler = _make_loop(options, site, ending.journal, past is not None and past.lost_commits > 0, closing)
    if past is not None:
        _log.info("the run goes on in epoch %s, %s group commits are lost", ending.journal.epoch, past.lost_commits)
        loop.begin(scheduler.restore(past.run, _staged(place.staging_dir), time.monotonic()))
    endpoint = _endpoint(site.host, site.hub.port)
    connection_file = write_run_files(site.keys, place.run_dir, place.run_id, endpoint, options.data_encryption)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: loop.stop(f"the manager got {signal.Signals(number).name}"))
    try:
        # Whoever started us waits for this line. What `print` cannot write stays in a buffer and fails at the exit.
        os.write(sys.stdout.fileno(), f"ready {connection_file}\n".encode())
    except BrokenPipeError:
        loop.stop("nobody waits for it any more")
    try:
        ending.reason = loop.run()
    except Exception:
        _log.exception("the manager has failed")
        raise


@dataclass(slots=True)
class _Ending:
    """What is left of the run: all of it, for another manager, unless there is a reason why it has ended."""

    journal: Journal
    staging_dir: Path
    reason: str | None = None

    def write(self) -> None:
        self.journal.close(self.reason)
        if self.reason is not None:
            remove(self.staging_dir)  # What lies there was on its way to those who are gone by now.


def _staged(staging_dir: Path) -> set[str]:
    """The files of the staging folder; what was on its way into it or out of it when the manager died goes."""
    found = {entry.path for entry in os.scandir(staging_dir)}
    unfinished = {path for path in found if os.path.basename(path).startswith(".") or path.endswith(".new")}
    for path in unfinished:
        remove(Path(path))
    return found - unfinished


def _make_loop(
    options: Options, site: Site, journal: Journal, lossy: bool, closing: ExitStack
) -> tuple[Loop, Scheduler]:
    place = site.place
    secret = secrets.token_bytes(32)
    files = ServedFiles()
    mailbox = closing.enter_context(closed(Mailbox()))
    events: deque[NodeEvent] = deque()
    node = TransferNode(
        site.context,
        site.keys,
        Role.SERVER,
        site.host,
        source_key(secret, MANAGER),
        files,
        lambda event: mailbox.post(events.append, event),
        config.source_transfers_max,
        options.data_encryption,
    )
    closing.callback(node.close)
    chores = closing.enter_context(closed(Chores(place.staging_dir)))
    watched = closing.enter_context(closed(WatchedOutputs(mailbox.post)))
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
        lossy=lossy,
        wall_clock_ahead_s=time.time() - time.monotonic(),
    )
    world = World(site.gate, site.hub, journal, files, node, events, mailbox, chores, watched, options.parent_fd)
    scheduler = Scheduler(settings)
    return Loop(world, scheduler), scheduler


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


def _listening(context: Context, keys: RunKeys, host: str, ports: range) -> Hub:
    """At the first port that is free."""
    for port in ports[:-1]:
        with suppress(CannotBind):
            return Hub(context, keys, host, port, time.monotonic())
    try:
        return Hub(context, keys, host, ports[-1], time.monotonic())
    except CannotBind as error:
        if len(ports) == 1:
            raise
        raise CannotBind(f"no port from {ports[0]} to {ports[-1]} is free on {host}: {error}") from None


def _endpoint(host: str, port: int) -> str:
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
