"""What is an executor that can run nothing any more: a BrokenExecutor, as `concurrent.futures` calls it."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor
from typing import Any

import pytest

from tests.client.scripted import ScriptedManager
from vine import errors
from vine.client.executor import Executor
from vine.client.manager import Manager

pytestmark = pytest.mark.live


def held() -> str:
    return "held"


@pytest.mark.parametrize("kind", [errors.ManagerLost, errors.FactoryLost])
def test_what_leaves_nobody_to_run_calls_is_a_broken_executor(kind: type[Exception]) -> None:
    """Derived from RuntimeError; raised when an executor is broken, and cannot be used to submit or execute."""
    assert issubclass(kind, BrokenExecutor)
    assert issubclass(kind, RuntimeError)


def test_open_calls_and_later_ones_of_a_broken_executor_fail_with_its_cause(
    executor: Executor, manager: Manager, scripted: ScriptedManager
) -> None:
    scripted.held.add("held")
    futures = [executor.submit(held) for _ in range(3)]
    results = executor.map(len, ["abc"])
    assert list(results) == [3]
    manager.session.fail(errors.ManagerLost("the manager has ended (signal 9)"))
    for future in futures:
        assert isinstance(future.exception(30), BrokenExecutor)
    said = {id(future.exception()): str(future.exception()) for future in futures}
    assert list(said.values()) == ["the manager has ended (signal 9)"] * 3, "each has an error of its own"
    submissions: list[Any] = [lambda: executor.submit(held), lambda: executor.map(len, ["abc"])]
    for submission in submissions:
        with pytest.raises(BrokenExecutor, match="the manager has ended"):
            submission()
    executor.shutdown()  # Returns all the same.


def test_an_executor_of_a_closed_manager_takes_no_calls(manager: Manager) -> None:
    executor = Executor(manager)
    manager.close()
    with pytest.raises(RuntimeError, match="closed"):
        executor.submit(held)
