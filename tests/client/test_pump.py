"""Does the socket's thread notice when there is nobody to talk to any more?"""

from __future__ import annotations

import math
import time
from concurrent.futures import Future
from typing import Any

import pytest

from tests.client.scripted import ScriptedManager
from vine import config, errors
from vine.client.executor import Executor
from vine.client.manager import Manager
from vine.client.outbox import Outbox
from vine.client.pump import Pump
from vine.names import TaskId
from vine.wire.messages import (
    ClientHello,
    FileSpread,
    Message,
    Refused,
    ReplicateFile,
    SpreadFile,
    SubmitTasks,
    TasksAwaited,
)
from vine.wire.parts import TaskKind, TaskSpec

pytestmark = pytest.mark.live


def test_a_manager_that_knows_nothing_of_us_is_told_who_we_are_and_what_we_have_said(
    manager: Manager, scripted: ScriptedManager
) -> None:
    scripted.held.add("len")
    future: Future[int] = Executor(manager).submit(len, "abc")
    scripted.until(lambda: scripted.all(SubmitTasks))
    scripted.order(lambda: scripted._hub.forget(scripted._peer))
    scripted.until(lambda: scripted.all(TasksAwaited))
    first, again = scripted.all(ClientHello)
    assert (first.index, again.index, again.epoch) == (None, 3, 1)
    assert (again.client_id, again.key) == (first.client_id, first.key) and first.key is not None
    task, *others = submitted(scripted)
    assert others == [task], "what may not be written down is said again"
    assert scripted.all(TasksAwaited) == [TasksAwaited((task,))]
    scripted.release("len")
    assert future.result(30) == 3


def test_what_we_wait_for_is_told_to_who_has_welcomed_us_and_to_nobody_that_may_have_died_before(
    manager: Manager, scripted: ScriptedManager
) -> None:
    # given a manager that was started again, and has not welcomed us yet
    executor = Executor(manager)
    scripted.held.add("len")
    executor.submit(len, "abc")
    scripted.until(lambda: scripted.all(SubmitTasks))
    scripted.welcomes = False
    scripted.order(lambda: scripted._hub.forget(scripted._peer))
    # when something is submitted meanwhile
    executor.submit(len, "abcd")
    scripted.until(lambda: len(set(submitted(scripted))) == 2 and len(scripted.all(ClientHello)) == 2)
    assert not scripted.all(TasksAwaited), "another manager could hear this, and not of the second task"
    # then that is among what we wait for
    scripted.order(scripted.welcome)
    scripted.until(lambda: scripted.all(TasksAwaited))
    assert scripted.all(TasksAwaited) == [TasksAwaited(tuple(dict.fromkeys(submitted(scripted))))]


def submitted(scripted: ScriptedManager) -> list[int]:
    return [spec.task_id for message in scripted.all(SubmitTasks) for spec in message.tasks]


def test_what_has_not_been_answered_is_asked_again_and_what_has_is_not(
    manager: Manager, scripted: ScriptedManager
) -> None:
    file = manager.declare_temp()
    manager.broadcast(file)
    answered = manager.broadcast(file, 1)
    manager.replicate(file, 2)
    scripted.until(lambda: len(scripted.all(SpreadFile)) == 2 and scripted.all(ReplicateFile))
    first, second = scripted.all(SpreadFile)
    scripted.say(FileSpread(second.request, 1))
    assert answered.result(30) == 1
    scripted.order(lambda: scripted._hub.forget(scripted._peer))
    scripted.until(lambda: len(scripted.all(ReplicateFile)) == 2)
    assert scripted.all(SpreadFile) == [first, second, first]


def test_a_manager_that_has_given_us_up_is_lost(manager: Manager, scripted: ScriptedManager) -> None:
    scripted.held.add("len")
    future: Future[int] = Executor(manager).submit(len, "abc")
    scripted.until(lambda: scripted.all(SubmitTasks))
    scripted.order(lambda: scripted.say(Refused("this client was given up")))
    with pytest.raises(errors.ConnectionRefused, match="given up"):
        future.result(30)


def test_nothing_is_taken_from_the_queue_while_the_manager_reads_nothing(
    manager: Manager, scripted: ScriptedManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "unread_bytes_max", -1)
    executor = Executor(manager)
    future = executor.submit(len, "abc")
    manager.session.cancel_task(manager.session.number_task())  # Wakes the thread up once more.
    assert len(manager.session.outbox) > 0
    monkeypatch.undo()
    assert future.result(30) == 3


class Ended(Exception):  # noqa: N818 - the test's own way out of a loop that does not end
    """The IO thread has been watched for long enough."""


class QuietLink:
    """A manager that has nothing to say, and takes all that is said."""

    sockets = ()
    backlog_bytes = 0

    def __init__(self) -> None:
        self.said: list[Message] = []

    def send_kept(self, message: Message, again: bool) -> None:
        self.said.append(message)

    def receive(self, now: float) -> list[Message]:
        return []

    def flush(self, now: float) -> None:
        """There is no socket."""

    def check(self, now: float) -> None:
        """All is well."""

    def deadline(self) -> float:
        return time.monotonic() + 3600.0


def test_after_a_burst_the_io_thread_waits_a_moment_for_more_and_then_until_it_is_woken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given an outbox in which many tasks have gathered, and a poller that tells how long it was to wait
    waits_ms: list[int] = []

    class Poller:
        def register(self, *what: object) -> None:
            """Nothing ever comes."""

        def poll(self, timeout_ms: int) -> None:
            waits_ms.append(timeout_ms)
            if len(waits_ms) == 2:
                raise Ended

    monkeypatch.setattr("vine.client.pump.zmq.Poller", Poller)
    outbox, link = Outbox(), QuietLink()
    for number in range(config.burst_items):
        outbox.put_task(TaskSpec(TaskId(number), TaskKind.CALL))
    connection: Any = None
    hello: Any = None
    listener: Any = None
    pump = Pump(connection, hello, outbox, listener)
    # when the IO thread has sent them, and finds no more
    with pytest.raises(Ended):
        pump._serve(link)  # type: ignore[arg-type]
    # then it has first waited without a wish to be woken for each, and sleeps then
    assert len(link.said) == 1
    assert waits_ms[0] == math.ceil(config.burst_hold_s * 1000)
    assert waits_ms[1] > 1_000_000
