"""What does the factory process do: hear manager and batch system, and launch and release as the policy says."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import zmq

from vine import config
from vine.errors import UsageError
from vine.factory_options import FactoryOptions
from vine.names import WorkerId
from vine.wire import messages as wire
from vine.wire.keys import load_connection
from vine.wire.link import Link
from vine.wire.parts import Resources, Role
from vine.wire.sockets import make_context
from vine_factory import batch
from vine_factory.launchers.choice import launcher_for, plan_for
from vine_factory.place import FactoryPlace, first_free_place
from vine_factory.policy import Action, Cancel, Drain, FleetLimits, FleetPolicy, Keep, Launch
from vine_factory.settings import Settings, WatchedOptions

log = logging.getLogger(__name__)


def limits_of(options: FactoryOptions, size: Resources) -> FleetLimits:
    return FleetLimits(
        min_workers=options.min_workers,
        max_workers=options.most_workers,
        capacity=size,
        idle_timeout_s=options.idle_timeout,
        workers_per_cycle=options.workers_per_cycle,
        cycle_s=options.cycle,
        tasks_per_worker=options.tasks_per_worker,
        within_capacity=options.capacity,
    )


class Factory:
    """One factory; `run` returns when the run is over and no worker of ours is left."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._options = WatchedOptions(settings)
        options = self._options.current
        connection = load_connection(settings.connection, Role.FACTORY)
        name, run_dir = options.name, connection.run_dir
        self._place = first_free_place(run_dir, options.batch_type) if name is None else FactoryPlace(run_dir, name)
        self._name = self._place.name
        self._plan = plan_for(options, connection, self._name, self._place.folder)
        self._policy = FleetPolicy(limits_of(options, self._plan.size), f"{self._name}-{self._place.generation}")
        self._events: queue.SimpleQueue[batch.Event] = queue.SimpleQueue()
        self._woken_fd, self._wake_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._ending: str | None = None
        self._now = time.monotonic()
        self._options_due = self._now + config.heartbeat_interval_s
        self._silent_trouble = ""  # of a batch system that does not answer
        self._told: wire.FactoryStatus | None = None
        self._ready = False
        self._context = make_context()
        self._link = Link(self._context, connection, wire.ToFactory, self._hello, self._now)
        launcher = launcher_for(self._plan, connection.run_dir, settings.parent_fd)
        self._batch = batch.BatchThread(launcher, options.cycle, self._post)
        self._on_message: dict[type[Any], Callable[[Any], None]] = {
            wire.FactoryWelcome: self._welcomed,
            wire.FleetDemand: lambda message: self._do(self._policy.demand(message, self._now)),
            wire.EndFactory: lambda message: self._end(message.reason),
        }
        self._on_event: dict[type[batch.Event], Callable[[Any], None]] = {
            batch.Submitted: self._submitted,
            batch.Refused: self._refused,
            batch.Listed: self._listed,
            batch.Unanswered: self._unanswered,
            batch.Broken: self._broken,
        }
        self._do_action: dict[type[Action], Callable[[Any], None]] = {
            Launch: self._launch,
            Drain: lambda action: log.info("%s gets no more tasks: %s", action.worker_id, action.reason),
            Keep: lambda action: log.info("%s is needed again", action.worker_id),
            Cancel: self._cancel,
        }

    def run(self) -> None:
        """Keeps the fleet until somebody says that it is the end; VineError where that is not as it should be."""
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s vine-factory: %(message)s")
        self._listen_to_signals()
        try:
            self._loop()
            log.info("ending: %s", self._ending)
        finally:
            self._close()

    def _close(self) -> None:
        left = self._batch.close()
        if left:
            log.error("these may still be there: %s", ", ".join(sorted(left)))
        self._link.close()
        self._context.term()
        signal.set_wakeup_fd(-1)
        for descriptor in (self._woken_fd, self._wake_fd):
            os.close(descriptor)
        self._place.close()

    def _loop(self) -> None:
        poller = zmq.Poller()
        for readable in (*self._link.sockets, self._woken_fd):
            poller.register(readable, zmq.POLLIN)
        if self._settings.parent_fd is not None:
            poller.register(self._settings.parent_fd, zmq.POLLIN)
        while self._ending is None:
            ready = dict(poller.poll(self._patience_ms()))
            if self._woken_fd in ready:
                _drain(self._woken_fd)
            if self._settings.parent_fd in ready:
                self._end("the program that started it is gone")
            self._now = time.monotonic()
            self._turn()

    def _patience_ms(self) -> int:
        """How long nothing need be done."""
        due = [self._link.deadline(), self._policy.next_deadline(), self._options_due]
        left_s = min(time_s for time_s in due if time_s is not None) - time.monotonic()
        return max(0, int(left_s * 1000) + 1)

    def _turn(self) -> None:
        """Takes in all that has come, does what is due, tells the manager."""
        now = self._now
        for message in self._link.receive(now):
            self._on_message[type(message)](message)
        while not self._events.empty():
            event = self._events.get()
            self._on_event[type(event)](event)
        if now >= self._options_due:
            self._options_due = now + config.heartbeat_interval_s
            self._look_at_options()
        self._do(self._policy.tick(now))
        self._report()
        self._link.flush(now)
        self._link.check(now)

    # --- what the batch system says -----------------------------------------------------------------

    def _post(self, event: batch.Event) -> None:
        """For the batch system's thread."""
        self._events.put(event)
        with contextlib.suppress(BlockingIOError):  # Enough wake-ups are on their way.
            os.write(self._wake_fd, b"\0")

    def _submitted(self, event: batch.Submitted) -> None:
        log.info("submitted %s", _span(event.worker_ids))
        self._do(self._policy.submitted(event.worker_ids, self._now))

    def _refused(self, event: batch.Refused) -> None:
        log.warning("%s was not submitted: %s", _span(event.worker_ids), event.message)
        self._do(self._policy.refused(event.worker_ids, self._now, event.message))

    def _listed(self, event: batch.Listed) -> None:
        self._silent_trouble = ""
        for worker_id, words in event.ended.items():
            log.info("worker %s: %s", worker_id, words)
            self._do(self._policy.ended(worker_id, self._now, words))
        self._do(self._policy.listed(event.jobs, self._now))

    def _unanswered(self, event: batch.Unanswered) -> None:
        if event.message != self._silent_trouble:
            log.warning("%s", event.message)
        self._silent_trouble = event.message

    def _broken(self, event: batch.Broken) -> None:
        raise event.mistake

    # --- actions ------------------------------------------------------------------------------------

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            self._do_action[type(action)](action)

    def _launch(self, action: Launch) -> None:
        self._batch.submit(action.worker_ids)

    def _cancel(self, action: Cancel) -> None:
        log.info("cancelling %s: %s", ", ".join(action.worker_ids), action.reason)
        self._batch.cancel(action.worker_ids)

    # --- options ------------------------------------------------------------------------------------

    def _look_at_options(self) -> None:
        if not self._options.changed():
            return
        try:
            changes = self._options.read_again()
        except UsageError as why:
            log.warning("the options stay as they were: %s", why)
            return
        for change in changes:
            log.info("%s", change)
        self._batch.cycle_s = self._options.current.cycle
        self._do(self._policy.change(limits_of(self._options.current, self._plan.size), self._now))
        self._link.send(self._hello())  # The manager shows the limits.

    # --- what we say --------------------------------------------------------------------------------

    def _hello(self) -> wire.FactoryHello:
        self._told = None  # A manager that greets us anew knows nothing of our fleet.
        options = self._options.current
        return wire.FactoryHello(
            self._name,
            options.batch_type,
            options.min_workers,
            options.most_workers,
            self._plan.size,
            options.feature,
            options.wall_time,
        )

    def _welcomed(self, message: wire.FactoryWelcome) -> None:
        if not self._ready:
            log.info("admitted to run %s", message.run_id)
            self._ready = True
            sys.stdout.write(f"ready {self._name}\n")
            sys.stdout.flush()

    def _report(self) -> None:
        """Tell the manager how the fleet stands, if that has changed; the link itself says that we live."""
        policy = self._policy
        trouble = self._silent_trouble or policy.trouble
        status = wire.FactoryStatus(
            policy.starting, policy.running, trouble[: config.text_chars_max], policy.pending, policy.draining
        )
        if status != self._told:
            self._told = status
            self._link.send(status)

    # --- the end ------------------------------------------------------------------------------------

    def _end(self, reason: str) -> None:
        self._ending = self._ending or reason

    def _listen_to_signals(self) -> None:
        # The bytes that Python writes there wake the poll.
        signal.set_wakeup_fd(self._wake_fd, warn_on_full_buffer=False)
        if self._options.current.batch_type == "local":  # Other children are the batch system's own commands.
            signal.signal(signal.SIGCHLD, lambda number, frame: self._batch.look())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup vine-factory &` outlives its terminal.
                signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._end(f"it was told to by {signal.Signals(number).name}")


def _drain(descriptor: int) -> None:
    """Empty the pipe that signals and events fill."""
    while True:
        try:
            if not os.read(descriptor, 4096):
                return
        except BlockingIOError:
            return


def _span(worker_ids: tuple[WorkerId, ...]) -> str:
    """Consecutive names in few words."""
    return worker_ids[0] if len(worker_ids) == 1 else f"{worker_ids[0]} to {worker_ids[-1]}"
