"""What does the factory process do: hear the manager's demand, and launch and release as the policy says."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import zmq

from vine import config
from vine.names import WorkerId
from vine.wire import messages as wire
from vine.wire.keys import load_connection
from vine.wire.link import Link
from vine.wire.parts import Request, Role
from vine.wire.sockets import make_context
from vine_factory.launchers.interface import LaunchFailed
from vine_factory.launchers.local import LocalLauncher, measure_machine, share_of_machine
from vine_factory.policy import Action, FleetLimits, FleetPolicy, Launch, Release

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says."""

    connection: Path
    batch_type: str
    min_workers: int
    max_workers: int
    size: Request  # of each worker
    features: tuple[str, ...]  # ... and what it offers besides
    idle_timeout_s: float
    workspace: Path | None
    parent_fd: int | None


class Factory:
    """One factory; `run` returns when the run is over and no worker of ours is left."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        connection = load_connection(settings.connection, Role.FACTORY)
        machine = measure_machine(settings.workspace or Path(tempfile.gettempdir()))
        self._size = share_of_machine(machine, settings.max_workers, settings.size)
        self._name = f"{_plain(os.uname().nodename)}-{os.getpid()}"
        limits = FleetLimits(settings.min_workers, settings.max_workers, self._size, settings.idle_timeout_s)
        self._policy = FleetPolicy(limits, self._name)
        # The same files as the workers' own logs: whatever went wrong stands in one place.
        self._launcher = LocalLauncher(connection.run_dir / "logs", settings.parent_fd, settings.size.gpus or 0.0)
        self._ending: str | None = None
        self._now = time.monotonic()
        self._trouble = ""
        self._told: wire.FactoryStatus | None = None
        self._context = make_context()
        self._link = Link(self._context, connection, wire.ToFactory, self._hello, self._now)
        self._on_message: dict[type[Any], Callable[[Any], None]] = {
            wire.FactoryWelcome: lambda message: log.info("admitted to run %s", message.run_id),
            wire.FleetDemand: lambda message: self._do(self._policy.demand(message, self._now)),
            wire.EndFactory: lambda message: self._end(message.reason),
        }
        self._do_action: dict[type[Action], Callable[[Any], None]] = {Launch: self._launch, Release: self._release}

    def run(self) -> None:
        """Keeps the fleet until somebody says that it is the end; VineError where that is not as it should be."""
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s vine-factory: %(message)s")
        wake_fd, signal_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._listen_to_signals(signal_fd)
        try:
            self._loop(wake_fd)
            log.info("ending: %s", self._ending)
        finally:
            self._launcher.close()
            self._link.close()
            self._context.term()
            signal.set_wakeup_fd(-1)
            os.close(wake_fd)
            os.close(signal_fd)

    def _loop(self, wake_fd: int) -> None:
        poller = zmq.Poller()
        for readable in (*self._link.sockets, wake_fd):
            poller.register(readable, zmq.POLLIN)
        if self._settings.parent_fd is not None:
            poller.register(self._settings.parent_fd, zmq.POLLIN)
        self._do(self._policy.tick(self._now))
        while self._ending is None:
            ready = dict(poller.poll(self._patience_ms()))
            if wake_fd in ready:
                _drain(wake_fd)
            if self._settings.parent_fd in ready:
                self._end("the program that started it is gone")
            self._now = time.monotonic()
            self._turn()

    def _patience_ms(self) -> int:
        """How long nothing need be done."""
        deadline = self._link.deadline()
        ours = self._policy.next_deadline()
        left_s = (deadline if ours is None else min(deadline, ours)) - time.monotonic()
        return max(0, int(left_s * 1000) + 1)

    def _turn(self) -> None:
        """Takes in all that has come, does what is due, tells the manager."""
        now = self._now
        for message in self._link.receive(now):
            self._on_message[type(message)](message)
        for ended in self._launcher.query(now):
            log.info("%s", ended.message)
            self._trouble = ended.message
            self._do(self._policy.ended(ended.worker_id, now))
        self._do(self._policy.tick(now))
        self._report()
        self._link.flush(now)
        self._link.check(now)

    # --- actions ---

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            self._do_action[type(action)](action)

    def _launch(self, action: Launch) -> None:
        try:
            self._launcher.submit(action.worker_id, self._command(action.worker_id))
        except LaunchFailed as why:
            log.warning("%s", why)
            self._trouble = str(why)
            self._do(self._policy.ended(action.worker_id, self._now))
        else:
            log.info("launched %s", action.worker_id)

    def _release(self, action: Release) -> None:
        log.info("releasing %s: %s", action.worker_id, action.reason)
        self._launcher.cancel(action.worker_id, self._now)

    def _command(self, worker_id: WorkerId) -> list[str]:
        size = self._size
        command = [sys.executable, "-m", "vine_worker.main", "--worker-id", worker_id]
        command += ["--connection", str(self._settings.connection.absolute())]
        command += ["--cores", str(size.cores), "--memory", str(size.memory_mb)]
        command += ["--disk", str(size.disk_mb), "--gpus", str(size.gpus)]
        for feature in self._settings.features:
            command += ["--feature", feature]
        if self._settings.workspace is not None:
            command += ["--workspace", str(self._settings.workspace)]
        return command

    # --- what we say ---

    def _hello(self) -> wire.FactoryHello:
        self._told = None  # A manager that greets us anew knows nothing of our fleet.
        settings = self._settings
        return wire.FactoryHello(
            self._name, settings.batch_type, settings.min_workers, settings.max_workers, self._size, settings.features
        )

    def _report(self) -> None:
        """Tell the manager how the fleet stands, if that has changed; the link itself says that we live."""
        message = self._trouble[: config.text_chars_max] if self._policy.backing_off else ""
        status = wire.FactoryStatus(self._policy.starting, self._policy.running, message)
        if status != self._told:
            self._told = status
            self._link.send(status)

    # --- the end ---

    def _end(self, reason: str) -> None:
        self._ending = self._ending or reason

    def _listen_to_signals(self, signal_fd: int) -> None:
        # The bytes that Python writes there wake the poll; SIGCHLD needs a handler to count as a signal at all.
        signal.set_wakeup_fd(signal_fd, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup vine-factory &` outlives its terminal.
                signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._end(f"it was told to by {signal.Signals(number).name}")


def _drain(descriptor: int) -> None:
    """Empty the pipe that signals fill."""
    while True:
        try:
            if not os.read(descriptor, 4096):
                return
        except BlockingIOError:
            return


def _plain(hostname: str) -> str:
    """A host's name as workers may bear it, and as it can stand in a file's name."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", hostname)[:60].lstrip("-._") or "host"
