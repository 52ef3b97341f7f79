"""Does the socket's thread notice when there is nobody to talk to any more?"""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from tests.client.scripted import ScriptedManager
from vine import config, errors
from vine.client.executor import Executor
from vine.client.manager import Manager
from vine.wire.messages import SubmitTasks

pytestmark = pytest.mark.live


def test_a_manager_that_has_forgotten_us_is_lost(manager: Manager, scripted: ScriptedManager) -> None:
    scripted.held.add("len")
    future: Future[int] = Executor(manager).submit(len, "abc")
    scripted.until(lambda: scripted.all(SubmitTasks))
    scripted.order(lambda: scripted._hub.forget(scripted._peer))
    with pytest.raises(errors.ManagerLost, match="does not know this client any more"):
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
