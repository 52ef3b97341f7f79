"""How does a worker run: one poll loop that feeds the core and does what it asks for."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import queue
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import Any

import zmq

from vine import config
from vine.errors import UsageError, VineError
from vine.garbage import collect_rarely
from vine.transfer.events import Fetched, FetchFailed, NodeFailed, SlowSource
from vine.transfer.node import TransferNode
from vine.wire.keys import Connection, load_connection
from vine.wire.link import Link
from vine.wire.parts import Role
from vine.wire.sockets import Gate, allow_many_files, make_context
from vine.wire.worker_messages import DownloadEnded, ToWorker, WorkerBye, WorkerHello, WorkerStatus
from vine_worker import actions as act
from vine_worker import machine
from vine_worker.bodies import Bodies
from vine_worker.core import WorkerCore
from vine_worker.downloads import Downloads
from vine_worker.functions.calls import CallWriter
from vine_worker.functions.hosts import Hosts
from vine_worker.functions.zygotes import Zygotes
from vine_worker.growth import Growth
from vine_worker.places import Places, log_folder, start_logging
from vine_worker.programs import Programs
from vine_worker.reports import message_of
from vine_worker.settings import Settings
from vine_worker.unpacking import Unpacking
from vine_worker.usage import Usage
from vine_worker.verifying import Verifying

log = logging.getLogger("vine.worker")


class Worker:
    """Everything that one worker has; `run` returns when the worker has ended and cleaned up."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ending: str | None = None
        self._started_s = time.monotonic()
        self._status_due_s = 0.0
        self._events: deque[Any] = deque()
        self._feeding = False
        self._posted: queue.SimpleQueue[Any] = queue.SimpleQueue()  # from other threads
        self._woken, self._wakes = socket.socketpair()
        self._woken.setblocking(False)
        self._wakes.setblocking(False)
        self._closers: list[Callable[[], None]] = []
        connection = load_connection(settings.connection, Role.WORKER)
        self._listen_to_signals()  # From before there is anything that would be left behind.
        try:
            self._build(connection)
        except BaseException:
            self._clean_up()
            raise

    # --- building ---

    def _build(self, connection: Connection) -> None:
        settings = self._settings
        self.capacity = settings.capacity()
        self._places = places = Places(
            settings.workspace, settings.worker_id, log_folder(connection.run_dir), self.capacity, settings.host_name
        )
        self._closers.append(places.remove)
        start_logging(places.log)
        # Before any thread or ZeroMQ context: the spawner is a process that must stay small and simple.
        self._programs = programs = Programs(places.store.objects, settings.protect)
        self._closers.append(programs.close)
        if settings.protect == "mount" and not programs.protected:
            raise UsageError(f"inputs cannot be mounted read-only here ({programs.reason}); use --protect auto")
        log.info("inputs are %s", "mounted read-only" if programs.protected else f"checked ({programs.reason})")
        if programs.protected:
            places.store.call_harmless()
        writer = CallWriter(places.holdings)
        self._bodies = Bodies(places, programs, writer, self._post)
        self._closers.append(self._bodies.close)
        self._zygotes = Zygotes(places, programs, self._feed)
        self._closers.append(self._zygotes.close)
        self._hosts = Hosts(places, programs, self._zygotes, writer, self._feed)
        self._closers.append(self._hosts.close)
        self._usage = Usage(programs, self._bodies, self._hosts, places, self._post)
        self._closers.append(self._usage.close)
        self._growth = Growth(places.sandbox, self._post)
        self._closers.append(self._growth.close)
        self._unpacking = Unpacking(places.holdings, self._post)
        self._closers.append(self._unpacking.close)
        self._verifying = Verifying(places.store, self._post)
        self._closers.append(self._verifying.close)
        self._downloads = Downloads(places.holdings, self._post)
        self._closers.append(self._downloads.close)
        self.core = WorkerCore(self.capacity, programs.protected, places.store.held())
        places.store.on_evicted = self._wake
        places.holdings.on_begun = lambda key: self._post(act.Arriving(key))
        self._connect(connection)
        self._do: dict[type[Any], Callable[[Any], None]] = {
            act.Send: lambda action: self._link.send(action.message),
            act.Admitted: self._admitted,
            act.StartFetch: lambda action: self._node.fetch(action.order),
            act.ChangeFetch: lambda action: self._node.change_sources(action.change),
            act.StopFetch: lambda action: self._node.abandon(action.transfer_id),
            act.KeepObject: self._keep,
            act.StartUnpack: self._unpacking.start,
            act.StartDownload: lambda action: self._downloads.start(action.order),
            act.StopDownload: lambda action: self._downloads.stop(action.download_id),
            act.ArchiveCame: self._unpacking.archive_came,
            act.StopUnpack: self._unpacking.stop,
            act.Unpin: lambda action: places.store.unpin_often(action.times),
            act.Rate: self._rate,
            act.Verify: self._verifying.start,
            act.RemoveObjects: self._remove,
            act.StartBody: self._bodies.start,
            act.TakeBackBody: self._bodies.take_back,
            act.KillBody: self._bodies.kill,
            act.MeasureUse: self._usage.measure,
            act.LookAtOutputs: self._growth.look,
            act.Collect: self._collect,
            act.StartHost: self._hosts.start,
            act.StartLibrary: self._zygotes.start,
            act.EndLibrary: self._zygotes.end,
            act.RunCall: self._hosts.run,
            act.TakeBack: self._hosts.take_back,
            act.EndHost: self._hosts.end,
            act.End: lambda action: self._end(action.reason),
        }

    def _connect(self, connection: Connection) -> None:
        address = self._settings.address or machine.address_towards(connection.endpoint)
        allow_many_files()  # Ours, not those of tasks: the spawner has started before.
        self._context = make_context(config.data_io_threads)
        self._closers.append(self._context.term)
        gate = Gate(self._context, connection)
        self._closers.append(gate.close)
        self._node = TransferNode(
            self._context,
            connection,
            Role.WORKER,
            address,
            None,
            self._places.holdings,
            self._post,
            curve=connection.data_encryption,
        )
        self._closers.append(self._node.close)
        self._link = Link(self._context, connection, ToWorker, self._hello, time.monotonic(), config.lease_s)
        self._closers.append(lambda: self._link.close(config.stop_grace_s))

    def _hello(self) -> WorkerHello:
        settings, ends_s = self._settings, self._wall_end_s()
        return WorkerHello(
            worker_id=settings.worker_id,
            host_id=machine.host_of(self._places.store.root, settings.host_name),
            hostname=machine.hostname(),
            pid=os.getpid(),
            capacity=self.capacity,
            features=settings.offers(self.capacity.gpus),
            python=".".join(map(str, sys.version_info[:3])),
            requests_endpoint=self._node.requests_endpoint,
            chunks_endpoint=self._node.chunks_endpoint,
            log_path=str(self._places.log),
            wall_time_s=settings.wall_time_s,
            time_left_s=None if ends_s is None else max(0.0, ends_s - time.monotonic()),
            epoch=self.core.epoch,
        )

    # --- the loop ---

    def run(self) -> None:
        """Works until somebody says that it is the end; VineError where that is not as it should be."""
        reason = "the worker failed"
        try:
            self._loop()
            reason = self._ending or reason
        except VineError as why:
            reason = str(why)
            raise
        finally:
            log.info("ending: %s", reason)
            self._say_goodbye(reason)
            self._clean_up()

    def _loop(self) -> None:
        self._renew_pollers()
        collect_rarely()
        while self._ending is None:
            ready = self._wait()
            now = time.monotonic()
            self._turn(ready, now)
            if self._hosts.changed or self._zygotes.changed:
                self._renew_pollers()

    def _renew_pollers(self) -> None:
        self._poller, self._resting = zmq.Poller(), zmq.Poller()
        readable = [*self._link.sockets, self._programs, self._woken, *self._zygotes.by_descriptor]
        if self._settings.parent_fd is not None:
            readable.append(self._settings.parent_fd)
        for each in readable:
            self._poller.register(each, zmq.POLLIN)
            self._resting.register(each, zmq.POLLIN)
        for descriptor in self._hosts.by_descriptor:
            self._poller.register(descriptor, zmq.POLLIN)
        self._hosts.changed = self._zygotes.changed = False

    def _wait(self) -> dict[Any, int]:
        """Until there is something to take in, or to do."""
        rests_until = self.core.rests_until()
        if rests_until <= time.monotonic():
            return dict(self._poller.poll(self._patience_ms()))
        ready = dict(self._resting.poll(self._patience_ms(rests_until)))
        return {**ready, **dict.fromkeys(self._hosts.by_descriptor, zmq.POLLIN)}

    def _patience_ms(self, *also: float) -> int:
        """How long nothing need be done."""
        due = [self._link.deadline(), self._status_due_s, self._idle_end_s(), self._wall_end_s(), *also]
        due += [self.core.next_deadline(), self.core.news_due()]
        if self._programs.has_reports:
            return 0
        left_s = min(time_s for time_s in due if time_s is not None) - time.monotonic()
        return max(0, int(left_s * 1000) + 1)

    def _turn(self, ready: dict[Any, int], now: float) -> None:
        """Takes in all that has come, does what is due, tells the manager."""
        for readable in ready:
            host = self._hosts.by_descriptor.get(readable)
            if host is not None:
                self._hosts.hear(host)
            elif readable in self._zygotes.by_descriptor:
                self._zygotes.hear(self._zygotes.by_descriptor[readable])
        if self._programs.fileno() in ready or self._programs.has_reports:
            for ended in self._programs.receive():
                event = self._bodies.program_ended(ended)
                if event is not None:
                    self._feed(event)
                elif not self._zygotes.program_ended(ended):
                    self._hosts.program_ended(ended)
        if self._woken.fileno() in ready:
            self._take_posted()
        if self._settings.parent_fd in ready and not os.read(self._settings.parent_fd or 0, 1):
            self._end("the program that started it is gone")
        self._tell_evicted()
        for message in self._link.receive(now):
            self._feed(message)
            self._hosts.flush()  # They begin while the next message is taken in.
        self._execute(self.core.tick(now))
        news_due = self.core.news_due()
        if news_due is not None and news_due <= now:
            self._execute(self.core.flush())
        self._hosts.flush()
        self._check_times(now)
        self._link.flush(now)
        self._link.check(now)

    def _take_posted(self) -> None:
        try:
            while self._woken.recv(4096):
                pass
        except BlockingIOError:
            pass
        while not self._posted.empty():
            self._take_in(self._posted.get())

    def _take_in(self, event: object) -> None:
        """An event of another thread."""
        if isinstance(event, BaseException):
            raise event
        if isinstance(event, NodeFailed):
            raise VineError(event.message)
        if isinstance(event, Fetched | FetchFailed | SlowSource):
            event = message_of(event)
        elif isinstance(event, act.Collected):
            for output in event.outputs:
                self._node.object_complete(output.object_id)
            if event.value_object is not None:
                self._node.object_complete(event.value_object)
        elif isinstance(event, act.Verified) and not event.good:
            self._node.forget(event.object_id)
            self._places.store.quarantine(event.object_id)
            self._places.holdings.evicted(event.object_id)
        elif isinstance(event, DownloadEnded) and event.object_id is not None:
            self._node.object_complete(event.object_id)
        self._feed(event)
        if isinstance(event, act.Collected):
            self._places.store.unpin(*(output.object_id for output in event.outputs))
        elif isinstance(event, DownloadEnded) and event.object_id is not None:
            self._places.store.unpin(event.object_id)

    def _post(self, event: object) -> None:
        """Hands an event to the loop; for any thread."""
        self._posted.put(event)
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # Enough wake-ups are on their way.
            self._wakes.send(b"\0")

    def _feed(self, event: Any) -> None:
        """Gives an event to the core and does what it asks for; events that come of that wait for their turn."""
        self._events.append(event)
        if self._feeding:
            return
        self._feeding = True
        try:
            while self._events:
                event = self._events.popleft()
                claims = self.core.claims(event)
                if claims:
                    self._places.store.pin_often(claims)
                self._tell_evicted()  # After the pins: of what the core takes for being here now, nothing goes.
                self._execute(self.core.handle(event, time.monotonic()))
        finally:
            self._feeding = False

    def _tell_evicted(self) -> None:
        evicted = self._places.store.take_evicted()
        if evicted:
            for key in evicted:
                self._node.forget(key)
                self._places.holdings.evicted(key)
            self._execute(self.core.handle(act.Evicted(evicted), time.monotonic()))

    def _execute(self, actions: list[act.Action]) -> None:
        for action in actions:
            self._do[type(action)](action)

    # --- actions ---

    def _admitted(self, action: act.Admitted) -> None:
        self._places.admitted = True
        self._node.set_source_key(action.source_key)
        self._node.set_transfers_max(action.transfers_max)
        log.info("admitted by the manager")

    def _keep(self, action: act.KeepObject) -> None:
        self._feed(self._places.holdings.keep(action.item))
        self._node.object_complete(action.item.object_id)

    def _rate(self, action: act.Rate) -> None:
        for key in action.object_ids:
            self._places.store.rate(key, action.spare, action.forever)

    def _remove(self, action: act.RemoveObjects) -> None:
        for key in action.object_ids:
            self._node.forget(key)
            self._places.holdings.remove(key)

    def _collect(self, action: act.Collect) -> None:
        collected = self._bodies.collect(action)
        if collected is not None:
            self._feed(collected)

    def _end(self, reason: str) -> None:
        self._ending = self._ending or reason

    # --- what is due ---

    def _check_times(self, now: float) -> None:
        if now >= self._status_due_s:
            self._status_due_s = now + config.heartbeat_interval_s
            self._feed(act.Lost(self._places.store.look()))
            self._link.send(self._status())
            self._usage.trim_logs()
        idle_end_s, wall_end_s = self._idle_end_s(), self._wall_end_s()
        if wall_end_s is not None and now >= wall_end_s:
            self._end("its wall time is over")
        elif idle_end_s is not None and now >= idle_end_s:
            self._end("it had nothing to do for its idle time")

    def _status(self) -> WorkerStatus:
        stats, store = self._node.stats(), self._places.store
        return WorkerStatus(
            store_bytes=store.used_bytes,
            free_disk_bytes=store.free_bytes(),
            sent_bytes=stats.sent_bytes,
            received_bytes=stats.received_bytes,
            flows_out=stats.flows_out,
            flows_out_max=stats.flows_out_max,
            malformed=self._link.malformed.total() + stats.malformed + stats.unauthorised,
        )

    def _idle_end_s(self) -> float | None:
        if self._settings.idle_timeout_s is None or not self.core.idle:
            return None
        return max(self._started_s, self.core.idle_since_s) + self._settings.idle_timeout_s

    def _wall_end_s(self) -> float | None:
        return None if self._settings.wall_time_s is None else self._started_s + self._settings.wall_time_s

    def _listen_to_signals(self) -> None:
        signal.set_wakeup_fd(self._wakes.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._end(f"it was told to by {signal.Signals(number).name}")

    # --- the end ---

    def _say_goodbye(self, reason: str) -> None:
        """What ran here is stopped first, so that the manager can trust the word."""
        self._programs.close()
        try:
            self._execute(self.core.flush())
            self._link.send(WorkerBye(reason))
            self._link.flush(time.monotonic())
        except VineError as why:  # The link may be what has failed; its end must not stop the cleaning up.
            log.warning("no goodbye: %s", why)

    def _clean_up(self) -> None:
        while self._closers:
            close = self._closers.pop()
            try:
                close()
            except (OSError, zmq.ZMQError) as why:  # One thing that cannot be closed must not keep the others open.
                if why.errno != errno.EBADF:
                    log.warning("cleaning up: %s", why)
