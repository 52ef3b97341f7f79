"""Does every open task end exactly once, whoever ends it?"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import until
from vine import errors
from vine.client import session as session_module
from vine.client.session import Session
from vine.names import FileId, HostId, RunId, TaskId, client_index_of
from vine.wire.messages import BringFile, ClientWelcome, FileBrought, TasksEnded
from vine.wire.parts import Outcome, TaskResult


class FakePump:
    """A manager that says only what the test has it say."""

    def __init__(self, connection: Any, hello: Any, outbox: Any, listener: Session) -> None:
        self.listener = listener

    def start(self) -> None:
        self.listener.heard(ClientWelcome(RunId("run"), 1, 6, "/run", "/run/staging", True))

    def fail(self, cause: errors.VineError) -> None:
        self.listener.lost(cause)

    def close(self) -> None:
        """Nothing to let go."""


class Recorder:
    """A task that writes down how it ended."""

    def __init__(self) -> None:
        self.ends: list[object] = []

    def ended(self, result: TaskResult, value: bytes | None) -> None:
        self.ends.append((result.outcome, value))

    def broken(self, error: BaseException) -> None:
        self.ends.append(error)

    def abandoned(self) -> None:
        self.ends.append("abandoned")


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(session_module, "Pump", FakePump)
    connection: Any = None
    session = Session(connection, HostId("here"))
    session.open()
    return session


def ended(number: int, **more: Any) -> TaskResult:
    return TaskResult(TaskId(number), Outcome.SUCCESS, **more)


def test_numbers_carry_the_index_that_the_manager_gave(session: Session) -> None:
    numbers = [session.number_task(), session.number_task(), session.number_file()]
    assert len(set(numbers[:2])) == 2
    assert {client_index_of(number) for number in numbers} == {6}
    session.heard(ClientWelcome(RunId("run"), 2, 9, "/run", "/run/staging", True))
    assert client_index_of(session.number_task()) == 6  # It stays as it was.
    session.close()


def test_an_end_is_told_once_and_late_words_are_dropped(session: Session) -> None:
    task = Recorder()
    session.expect(TaskId(1), task)
    session.heard(TasksEnded((ended(1, value=b"first"), ended(1, value=b"second"), ended(2))))
    session.close()
    assert task.ends == [(Outcome.SUCCESS, b"first")]


def test_a_long_value_is_read_and_its_file_removed_even_if_nobody_waits(session: Session, tmp_path: Path) -> None:
    task = Recorder()
    session.expect(TaskId(1), task)
    for name in ("wanted", "unwanted"):
        (tmp_path / name).write_bytes(b"long")
    results = ended(1, value_path=str(tmp_path / "wanted")), ended(2, value_path=str(tmp_path / "unwanted"))
    session.heard(TasksEnded(results))
    session.close()
    assert task.ends == [(Outcome.SUCCESS, b"long")]
    assert list(tmp_path.iterdir()) == []


def test_a_value_that_cannot_be_read_fails_its_task(session: Session, tmp_path: Path) -> None:
    task = Recorder()
    session.expect(TaskId(1), task)
    session.heard(TasksEnded((ended(1, value_path=str(tmp_path / "gone")),)))
    session.close()
    (error,) = task.ends
    assert isinstance(error, errors.TaskFailed)
    assert "gone" in str(error)


def test_one_task_that_cannot_take_its_end_does_not_stop_the_others(session: Session) -> None:
    class Failing(Recorder):
        def ended(self, result: TaskResult, value: bytes | None) -> None:
            raise RuntimeError("resolved by somebody else")

    task = Recorder()
    session.expect(TaskId(1), Failing())
    session.expect(TaskId(2), task)
    session.heard(TasksEnded((ended(1), ended(2))))
    session.close()
    assert task.ends == [(Outcome.SUCCESS, None)]


@pytest.mark.parametrize("way", ["ended", "broken", "abandoned"])
def test_a_callback_that_calls_exit_does_not_keep_others_from_their_end(session: Session, way: str) -> None:
    class Leaving(Recorder):
        def ended(self, result: TaskResult, value: bytes | None) -> None:
            raise SystemExit

        def broken(self, error: BaseException) -> None:
            raise SystemExit

        def abandoned(self) -> None:
            raise SystemExit

    task = Recorder()
    session.expect(TaskId(1), Leaving())
    session.expect(TaskId(2), task)
    if way == "ended":
        session.heard(TasksEnded((ended(1), ended(2))))
    elif way == "broken":
        session.fail(errors.ManagerLost("gone"))
    session.close()
    assert len(task.ends) == 1
    assert session.error is not None


class Askers:
    """Threads that ask for file 7 until it is brought, each with what it got."""

    def __init__(self, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        self._session = session
        self._threads: list[threading.Thread] = []
        self.waiting = 0
        self.got: list[FileBrought] = []
        wait = session.await_news

        def count_and_wait(seen: Any, timeout: float | None) -> bool:
            self.waiting += 1
            return wait(seen, timeout)

        monkeypatch.setattr(session, "await_news", count_and_wait)

    def ask(self) -> None:
        """Returns when it waits."""
        before = self.waiting
        self._threads.append(threading.Thread(target=self._bring, daemon=True))
        self._threads[-1].start()
        until(lambda: self.waiting > before, "somebody waits for the file")

    def _bring(self) -> None:
        self.got.append(self._session.bring(FileId(7), None))

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive(), "it still waits for an answer"


def brought(path: str | None) -> FileBrought:
    return FileBrought(FileId(7), path, "" if path else "no task has made it")


def test_all_who_ask_for_a_file_share_the_one_answer(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    askers = Askers(session, monkeypatch)
    for _ in range(3):
        askers.ask()
    assert session.outbox.take() == [BringFile(FileId(7))]
    session.heard(brought("/there"))
    askers.join()
    assert askers.got == [brought("/there")] * 3
    session.close()


def test_an_answer_that_nobody_has_asked_for_is_not_taken_for_a_later_ones(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    askers = Askers(session, monkeypatch)
    session.heard(brought("/of a manager's life before"))
    askers.ask()
    session.heard(brought("/now"))
    askers.join()
    assert askers.got == [brought("/now")]
    session.close()


def test_a_no_that_was_asked_for_before_does_not_answer_a_later_question(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TimeoutError):
        session.bring(FileId(7), 0)
    assert session.reopened()[1:] == [BringFile(FileId(7))]
    askers = Askers(session, monkeypatch)
    askers.ask()  # A task has been submitted meanwhile.
    session.outbox.take()
    session.heard(brought(None))
    until(lambda: session.outbox.take() == [BringFile(FileId(7))], "it is asked again")
    session.heard(brought("/made"))
    askers.join()
    assert askers.got == [brought("/made")]
    session.close()


def test_the_end_of_the_manager_ends_what_is_open_and_refuses_what_comes(session: Session) -> None:
    task, late = Recorder(), Recorder()
    session.expect(TaskId(1), task)
    cause = errors.ManagerLost("gone")
    session.fail(cause)
    with pytest.raises(errors.ManagerLost, match="gone"):
        session.expect(TaskId(2), late)
    session.close()
    (error,) = task.ends
    assert (type(error), str(error)) == (errors.ManagerLost, "gone")
    assert error is not cause  # Raising one must not lengthen the traceback of another.
    assert late.ends == []
    assert session.open_tasks() == []


def test_closing_abandons_what_is_open_and_has_it_cancelled(session: Session) -> None:
    task = Recorder()
    session.expect(TaskId(1), task)
    session.close()
    session.close()
    assert task.ends == ["abandoned"]
    assert session.outbox.take()[0].task_ids == (1,)  # type: ignore[union-attr]
