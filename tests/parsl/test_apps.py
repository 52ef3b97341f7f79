"""Does what became of an app's call come to Parsl as it should, with its files where they belong?"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from tests.client.scripted import ScriptedManager
from tests.waiting import until
from vine import errors
from vine.client.manager import Manager
from vine.parsl.apps import AppCall, Apps
from vine.wire.messages import ForgetResults
from vine.wire.parts import TaskResult


class Owner:
    """Says of each error that it was asked."""

    def explained(self, error: BaseException, ended: TaskResult | None) -> BaseException:
        return RuntimeError(f"explained: {error}")


class Files:
    """Of one call; notes whether they have come, and cannot be put in their place if `trouble` says so."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.trouble = trouble
        self.said: list[str] = []

    def arrived(self) -> None:
        self.said.append("arrived")
        if self.trouble is not None:
            raise self.trouble

    def given_up(self) -> None:
        self.said.append("given up")


@pytest.fixture
def apps(manager: Manager) -> Apps:
    return Apps(manager)


def submit(apps: Apps, function: Any, *args: Any, files: Any = None) -> AppCall:
    return apps.submit_app(functools.partial(AppCall, Owner(), files), function, args, {})


def double(x: int) -> int:
    return 2 * x


def fail() -> None:
    raise ValueError("mine")


def test_an_apps_files_are_in_place_before_its_result_is(apps: Apps) -> None:
    files = Files()
    call = submit(apps, double, 2, files=files)
    assert (call.result(30), files.said) == (4, ["arrived"])
    assert call.parsl_executor_task_id == call.task_id


def test_the_run_forgets_a_result_that_parsl_still_holds(apps: Apps, scripted: ScriptedManager) -> None:
    call = submit(apps, double, 2)
    assert call.result(30) == 4
    submit(apps, double, 3)  # What is forgotten goes out with whatever goes next.
    scripted.until(lambda: call.task_id in [i for told in scripted.all(ForgetResults) for i in told.task_ids])


def test_an_ended_call_refers_to_no_callback_which_refers_to_what_holds_the_call(
    apps: Apps, scripted: ScriptedManager
) -> None:
    class Callback:
        def __call__(self, ended: object) -> None: ...

    scripted.held.add("double")
    call, callback = submit(apps, double, 2), Callback()
    known = weakref.ref(callback)
    call.add_done_callback(callback)
    del callback
    assert known() is not None
    scripted.release("double")
    assert call.result(30) == 4
    until(lambda: known() is None, "the thread that has the results has forgotten the callback")


def test_what_stands_in_the_way_of_a_file_is_the_calls_result(apps: Apps) -> None:
    trouble = OSError("no such place")
    assert submit(apps, double, 2, files=Files(trouble)).exception(30) is trouble


def test_a_failure_counts_more_than_a_file_that_cannot_be_put_in_its_place(apps: Apps) -> None:
    error = submit(apps, fail, files=Files(OSError("no such place"))).exception(30)
    assert str(error) == "explained: mine"


def test_a_failed_calls_files_come_too_and_its_error_is_explained(apps: Apps) -> None:
    files = Files()
    error = submit(apps, fail, files=files).exception(30)
    assert (str(error), files.said) == ("explained: mine", ["arrived"])


def test_calls_that_are_open_at_the_end_fail_with_what_was_said(apps: Apps, scripted: ScriptedManager) -> None:
    scripted.held.add("double")
    call = submit(apps, double, 2)
    again: list[BaseException | None] = []
    call.add_done_callback(lambda ended: again.append(refused(lambda: submit(apps, double, 3))))
    apps.end(lambda: errors.TaskFailed("it is over"))
    assert str(call.exception(30)) == "explained: it is over"
    assert [type(error) for error in again] == [RuntimeError], "who tries again then is told at once"
    assert apps.manager.closed


def refused(do: Callable[[], object]) -> BaseException | None:
    try:
        do()
    except RuntimeError as error:
        return error
    return None


def test_nothing_is_submitted_after_the_end(apps: Apps) -> None:
    apps.end(RuntimeError)
    with pytest.raises(RuntimeError, match="after shutdown"):
        submit(apps, double, 2)
