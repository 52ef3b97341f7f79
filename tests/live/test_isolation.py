"""However a call is isolated: does its end by force, its death or its exit harm that call alone?"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

import vine
from tests.live import bodies
from tests.live.helpers import a_site, check_message, lines_of
from tests.waiting import GIVE_UP_S, until
from vine import errors

pytestmark = pytest.mark.live

every_isolation = pytest.mark.parametrize("isolation", ["shared", "fork", "process"])


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[vine.Executor]:
    with (
        a_site(tmp_path_factory.mktemp("isolation") / "site", ["w0"]) as site,
        vine.Manager(connection=site.connection) as manager,
        vine.Executor(manager) as executor,
    ):
        yield executor


def remember(number: int) -> list[int]:
    """Leaves something in its interpreter; what others have left there."""
    left: list[int] = sys.__dict__.setdefault("left_by_calls", [])
    left.append(number)
    return left


@every_isolation
def test_what_a_call_leaves_in_its_interpreter_is_found_in_a_shared_one_only(
    executor: vine.Executor, isolation: str
) -> None:
    calls = [executor.options(isolation=isolation).submit(remember, number) for number in range(8)]
    seen = [call.result(GIVE_UP_S) for call in calls]
    assert any(len(left) > 1 for left in seen) == (isolation == "shared")


@every_isolation
def test_a_call_over_its_time_limit_is_killed_and_those_beside_it_are_not(
    executor: vine.Executor, isolation: str, tmp_path: Path
) -> None:
    isolated = executor.options(isolation=isolation)
    never = str(tmp_path / "never")
    late = isolated.options(time_limit=0.5).submit(bodies.note_and_wait, str(tmp_path / "notes"), never)
    others = [isolated.submit(bodies.length, "abc") for _ in range(10)]
    check_message(late.exception(GIVE_UP_S), errors.TimeLimitExceeded, "note_and_wait", "0.5 s")
    assert [other.result(GIVE_UP_S) for other in others] == [3] * 10


@every_isolation
def test_a_running_call_that_is_cancelled_ends_and_those_beside_it_go_on(
    executor: vine.Executor, isolation: str, tmp_path: Path
) -> None:
    isolated = executor.options(isolation=isolation)
    notes, never = tmp_path / "notes", str(tmp_path / "never")
    running = isolated.submit(bodies.note_and_wait, str(notes), never)
    others = [isolated.submit(bodies.length, "abc") for _ in range(10)]
    (process,) = until(lambda: lines_of(notes), "the call runs")
    assert running.cancel()
    until(lambda: not Path(f"/proc/{process}").exists(), "its process has ended")
    assert [other.result(GIVE_UP_S) for other in others] == [3] * 10


@every_isolation
def test_a_crash_or_an_exit_fails_that_call_alone(executor: vine.Executor, isolation: str) -> None:
    isolated = executor.options(isolation=isolation)
    calls: list[Future[int]] = [isolated.submit(bodies.length, "ab") for _ in range(5)]
    killed, left = isolated.submit(bodies.kill_myself), isolated.submit(bodies.leave, 3)
    calls += [isolated.submit(bodies.length, "ab") for _ in range(5)]
    check_message(killed.exception(GIVE_UP_S), errors.TaskFailed, "kill_myself", "SIGKILL")
    check_message(left.exception(GIVE_UP_S), errors.TaskFailed, "leave", "3")
    assert [call.result(GIVE_UP_S) for call in calls] == [2] * 10
