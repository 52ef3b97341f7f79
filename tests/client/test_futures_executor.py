"""Is the executor under TaskVine's name ours, made as theirs is, with calls that are prepared?"""

from __future__ import annotations

from typing import Any

import pytest

from tests.client.scripted import ScriptedManager
from vine import errors
from vine.client import pool
from vine.client.futures_executor import FuturesExecutor
from vine.client.manager import Manager
from vine.wire.parts import Request


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The options of factories that would have been started."""
    options: list[dict[str, Any]] = []
    monkeypatch.setattr(pool.Pool, "start_factory", lambda _, given: options.append(given))
    return options


def test_it_runs_calls_as_any_executor_does(manager: Manager) -> None:
    with FuturesExecutor(manager=manager, factory=False) as executor:
        first = executor.submit(pow, 2, 3)
        assert (executor.submit(pow, first, 2).result(30), list(executor.map(abs, [-1]))) == (64, [1])
    assert not manager.closed


def test_a_prepared_call_has_what_was_set_of_it(scripted: ScriptedManager, manager: Manager) -> None:
    scripted.held.add("pow")
    executor = FuturesExecutor(manager=manager, factory=False)
    call = executor.future_task(pow, 2, exp=3)
    call.set_cores(2)
    call.set_memory(500)
    call.set_disk(20)
    call.set_priority(5)
    call.set_retries(1)
    call.set_time_max(60)
    call.set_category("fits")
    future = executor.submit(call)
    scripted.until(lambda: scripted.tasks)
    (spec,) = scripted.tasks.values()
    assert spec.request == Request(2.0, 500.0, 20.0)
    assert (spec.priority, spec.retries, spec.time_limit_s) == (5, 1, 60)
    assert spec.policy is not None and spec.policy.category == "fits"
    scripted.release("pow")
    assert future.result(30) == 8


def test_a_prepared_call_has_its_arguments(manager: Manager) -> None:
    executor = FuturesExecutor(manager=manager, factory=False)
    with pytest.raises(errors.UsageError, match="give future_task"):
        executor.submit(executor.future_task(pow, 2), 3)


def test_the_factory_gets_its_options_by_taskvines_names(started: list[dict[str, Any]], manager: Manager) -> None:
    FuturesExecutor(manager=manager, opts={"min-workers": 2, "max-workers": 4, "cores": 1, "timeout": 30})
    FuturesExecutor(manager=manager)
    assert started == [
        {"batch_type": "local", "min_workers": 2, "max_workers": 4, "cores": 1, "idle_timeout": 30},
        {"batch_type": "local", "min_workers": 1, "max_workers": 1},
    ]


def test_an_option_that_there_is_not_is_answered_with_those_that_there_are(manager: Manager) -> None:
    wrong: Any = {"autosize": True}
    with pytest.raises(errors.UsageError, match="opts has 'autosize': there are 'min-workers'"):
        FuturesExecutor(manager=manager, opts=wrong)
