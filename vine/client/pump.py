"""What goes between this process and the manager: the one thread that owns the socket and runs no user code."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Protocol

import zmq

from vine import config, errors
from vine.client.outbox import Outbox
from vine.wire import sockets
from vine.wire.keys import Connection
from vine.wire.link import Link
from vine.wire.messages import (
    BringFile,
    BringResult,
    ClientBye,
    ClientHello,
    ClientWelcome,
    FromClient,
    Journaled,
    Message,
    ReplicateFile,
    SpreadFile,
    ToClient,
)

ASKED_AGAIN = (BringFile, BringResult, SpreadFile, ReplicateFile)  # by whoever still waits for the answer


class Listener(Protocol):
    """Who hears what the manager says; called on the pump's thread, so it must not wait for anything."""

    def heard(self, message: Message) -> None: ...

    def reopened(self) -> list[FromClient]:
        """The manager was started again, and knows who we are: what else is to be said to it?"""

    def lost(self, error: errors.VineError) -> None: ...


class Pump:
    def __init__(self, connection: Connection, hello: Callable[[], ClientHello], outbox: Outbox, listener: Listener):
        self._connection = connection
        self._hello = hello
        self._outbox = outbox
        self._listener = listener
        self._end_at: float | None = None  # set by `close`: what is unsent then stays so
        self._cause: errors.VineError | None = None
        self._was_welcome = False
        self._thread = threading.Thread(target=self._run, name="vine-client-io", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Say goodbye, see it acknowledged or give up soon, and let the socket go."""
        if not self._thread.is_alive():
            return
        self._outbox.put(ClientBye())
        self._end_at = time.monotonic() + config.client_farewell_s
        self._outbox.wake()
        self._thread.join()

    def fail(self, cause: errors.VineError) -> None:
        """The manager is known to be gone, whatever the socket still believes."""
        self._cause = cause
        self._outbox.wake()

    def _run(self) -> None:
        context = sockets.make_context()
        link: Link | None = None
        try:
            link = Link(context, self._connection, ToClient, self._hello, time.monotonic())
            self._serve(link)
        except errors.VineError as error:
            self._listener.lost(error)
        except BaseException as error:  # Whatever it is: those who wait must not wait for ever.
            self._listener.lost(errors.ManagerLost(f"the client's own connection failed ({error!r}): report this"))
            raise
        finally:
            self._outbox.close()
            if link is not None:
                leaving = self._end_at is not None and self._cause is None
                link.close(config.client_farewell_s if leaving else 0.0)
            context.term()

    def _serve(self, link: Link) -> None:
        poller = zmq.Poller()
        for socket in link.sockets:
            poller.register(socket, zmq.POLLIN)
        poller.register(self._outbox.wake_fd, zmq.POLLIN)
        while True:
            now = time.monotonic()
            held_up = link.backlog_bytes > config.unread_bytes_max
            if not held_up:
                for message in self._outbox.take():
                    link.send_kept(message, again=not isinstance(message, ASKED_AGAIN))
            link.flush(now)
            for answer in link.receive(now):
                self._take(link, answer)
            self._check(link, now)
            if self._end_at is not None and (now >= self._end_at or self._all_said(link)):
                return
            may_sleep = self._outbox.may_sleep() or held_up
            wait_s = self._wait_s(link) if may_sleep else self._outbox.rest_s
            poller.poll(math.ceil(wait_s * 1000))
            self._outbox.awake()

    def _take(self, link: Link, answer: Message) -> None:
        if isinstance(answer, Journaled):
            link.journaled(answer.messages)
            return
        self._listener.heard(answer)
        if isinstance(answer, ClientWelcome):
            # Not before: what we say until then another manager may hear, when this one has died meanwhile.
            for message in self._listener.reopened() if self._was_welcome else ():
                link.send_kept(message, again=False)
            self._was_welcome = True

    def _check(self, link: Link, now: float) -> None:
        if self._cause is not None:
            raise self._cause
        link.check(now)

    def _all_said(self, link: Link) -> bool:
        return len(self._outbox) == 0 and link.backlog_bytes == 0

    def _wait_s(self, link: Link) -> float:
        due = link.deadline() if self._end_at is None else min(link.deadline(), self._end_at)
        return max(0.0, due - time.monotonic())
