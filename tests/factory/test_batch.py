"""Does the batch system's thread do what it is told in order, notice ends, and leave nothing behind?"""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from typing import TypeVar

import pytest

from tests.factory.made import names
from tests.waiting import GIVE_UP_S
from vine import config
from vine.names import WorkerId
from vine_factory import batch
from vine_factory.batch import BatchThread, Broken, Listed, Refused, Submitted, Unanswered
from vine_factory.fleet import JobState
from vine_factory.launchers.interface import LaunchFailed

E = TypeVar("E", bound=batch.Event)
RUNNING = JobState.RUNNING


class ScriptedLauncher:
    """A batch system as a dictionary. It is told from the test's thread, between calls that the test waits for."""

    def __init__(self) -> None:
        self.jobs: dict[WorkerId, JobState] = {}
        self.refusal: str | None = None
        self.silent: str | None = None
        self.deaf = 0  # so many times it ends nothing
        self.cancelled: list[list[WorkerId]] = []
        self.closed = False

    def prepare(self, worker_ids: Sequence[WorkerId]) -> list[str]:
        return []

    def submit(self, worker_ids: Sequence[WorkerId]) -> None:
        if self.refusal is not None:
            raise LaunchFailed(self.refusal)
        self.jobs |= dict.fromkeys(worker_ids, RUNNING)

    def query(self) -> dict[WorkerId, JobState]:
        if self.silent is not None:
            raise LaunchFailed(self.silent)
        return dict(self.jobs)

    def cancel(self, worker_ids: Sequence[WorkerId]) -> None:
        self.cancelled.append(list(worker_ids))
        if self.deaf:
            self.deaf -= 1
            raise LaunchFailed("it is deaf")
        for worker_id in worker_ids:
            self.jobs.pop(worker_id, None)

    def last_words(self, worker_id: WorkerId) -> str:
        return f"farewell of {worker_id}"

    def close(self) -> None:
        self.closed = True


class Talk:
    def __init__(self, launcher: ScriptedLauncher) -> None:
        self.launcher = launcher
        self.events: queue.SimpleQueue[batch.Event] = queue.SimpleQueue()
        self.thread = BatchThread(launcher, 3600.0, self.events.put)

    def hear(self, kind: type[E]) -> E:
        while True:
            event = self.events.get(timeout=GIVE_UP_S)
            if isinstance(event, kind):
                return event


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Talk]:
    monkeypatch.setattr(config, "batch_look_first_s", 0.001)
    monkeypatch.setattr(config, "batch_release_look_s", 0.001)
    talk = Talk(ScriptedLauncher())
    yield talk
    if not talk.launcher.closed:
        talk.launcher.silent = None
        talk.thread.close()


def test_the_first_that_it_does_is_to_look(talk: Talk) -> None:
    assert talk.hear(Listed) == Listed({}, {})


def test_what_was_submitted_is_told_and_who_is_gone_after_it_is_told_with_its_last_words(talk: Talk) -> None:
    talk.hear(Listed)
    talk.thread.submit(names(1, 2))
    assert talk.hear(Submitted).worker_ids == names(1, 2)
    assert set(talk.hear(Listed).jobs) == set(names(1, 2))
    del talk.launcher.jobs[names(1)[0]]
    talk.thread.look()
    ended = {}
    while not ended:
        ended = dict(talk.hear(Listed).ended)
    assert ended == {names(1)[0]: "farewell of local-1"}


def test_a_refusal_is_told_and_looked_into_at_once(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    talk.hear(Listed)
    monkeypatch.setattr(config, "batch_look_first_s", 3600.0)
    talk.launcher.refusal = "no such partition"
    talk.launcher.jobs[names(1)[0]] = RUNNING  # It was taken all the same.
    talk.thread.submit(names(1))
    assert talk.hear(Refused) == Refused(names(1), "no such partition")
    assert set(talk.hear(Listed).jobs) == set(names(1))


def test_who_is_to_end_and_does_not_is_told_again(talk: Talk) -> None:
    talk.thread.submit(names(1, 2))
    talk.hear(Submitted)
    talk.launcher.deaf = 2
    talk.thread.cancel(names(1))
    assert talk.hear(Unanswered).message == "it is deaf"
    while names(1)[0] in talk.hear(Listed).jobs:
        pass
    assert talk.launcher.cancelled == [[names(1)[0]]] * 3
    assert set(talk.launcher.jobs) == set(names(2))


def test_a_batch_system_that_does_not_answer_is_told_and_ends_nobody(talk: Talk) -> None:
    talk.thread.submit(names(1))
    talk.hear(Submitted)
    talk.launcher.silent = "the controller is away"
    talk.thread.look()
    assert talk.hear(Unanswered).message == "the controller is away"
    talk.launcher.silent = None
    talk.thread.look()
    assert not talk.hear(Listed).ended


def test_a_mistake_of_ours_is_told_and_jobs_are_ended_all_the_same(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    talk.thread.submit(names(1))
    talk.hear(Submitted)
    monkeypatch.setattr(talk.launcher, "submit", lambda worker_ids: 1 / 0)
    talk.thread.submit(names(2))
    assert isinstance(talk.hear(Broken).mistake, ZeroDivisionError)
    assert talk.thread.close() == set()
    assert talk.launcher.jobs == {}


def test_close_ends_all_jobs_those_of_an_earlier_factory_too(talk: Talk) -> None:
    talk.thread.submit(names(1, 2))
    talk.launcher.jobs[WorkerId("earlier")] = JobState.PENDING
    talk.launcher.deaf = 3
    assert talk.thread.close() == set()
    assert talk.launcher.jobs == {} and talk.launcher.closed


def test_close_asks_until_there_is_an_answer(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a factory that has begun anew, and a batch system that answers at the second time only
    talk.launcher.jobs[WorkerId("earlier")] = JobState.PENDING
    answers = [talk.launcher.query]

    def query() -> dict[WorkerId, JobState]:
        if answers and not talk.launcher.cancelled:
            answers.pop()
            raise LaunchFailed("the controller is away")
        return dict(talk.launcher.jobs)

    monkeypatch.setattr(talk.launcher, "query", query)
    # then it ends with its jobs
    assert talk.thread.close() == set()
    assert talk.launcher.jobs == {}


def test_close_names_those_that_are_not_gone_in_time(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "batch_release_max_s", 0.0)
    talk.thread.submit(names(1))
    talk.launcher.deaf = 10**6
    assert talk.thread.close() == set(names(1))
