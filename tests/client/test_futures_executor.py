"""Is the executor under TaskVine's name ours, made as theirs is, with calls that are prepared?"""

from __future__ import annotations

from typing import Any

import pytest

from tests.client.scripted import ScriptedManager
from vine import errors
from vine.client import pool
from vine.client.factory import Factory
from vine.client.futures import VineFuture
from vine.client.futures_executor import FuturePythonTask, FuturesExecutor
from vine.client.manager import Manager
from vine.wire.parts import Mount, Request, TaskKind


def helper(x: int) -> int:
    return x + 1


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


def test_a_prepared_call_is_a_task_like_any_other_but_runs_warm_on_one_core(
    scripted: ScriptedManager, manager: Manager
) -> None:
    scripted.held.add("abs")
    executor = FuturesExecutor(manager=manager, factory=False)
    file = manager.declare_buffer(b"content")
    call = FuturePythonTask(manager, abs, -1)
    call.add_input(file, "table")
    call.set_env_var("NAME", "value")
    call.add_feature("big")
    call.enable_temp_output()  # As TaskVine's have, in whose programs it may stand.
    executor.submit(call)
    scripted.until(lambda: scripted.tasks)
    (spec,) = scripted.tasks.values()
    assert (spec.kind, spec.request, spec.features) == (TaskKind.CALL, Request(1.0), ("big",))
    assert (spec.inputs, spec.outputs) == ((Mount(file.file_id, "table"),), ())
    assert spec.variables == {"NAME": "value"}
    assert manager.empty(), "who waits for tasks gets no futures"


def test_a_call_of_a_librarys_function_is_a_future_too(scripted: ScriptedManager, manager: Manager) -> None:
    scripted.held.add("lib.helper")
    executor = FuturesExecutor(manager=manager, factory=False)
    executor.install_library(executor.create_library_from_functions("lib", helper, slots=2))
    future = executor.submit(executor.future_funcall("lib", "helper", 1))
    assert not future.done() and isinstance(future, VineFuture)
    scripted.until(lambda: scripted.tasks)
    (spec,) = scripted.tasks.values()
    assert (spec.kind, spec.command) == (TaskKind.LIBRARY, "helper")
    assert future.cancel()


def test_a_prepared_call_has_its_arguments_and_its_manager_and_is_submitted_once(manager: Manager) -> None:
    executor = FuturesExecutor(manager=manager, factory=False)
    prepared = executor.future_task(pow, 2, 3)
    with pytest.raises(errors.UsageError, match="give them when it is made"):
        executor.submit(prepared, 3)
    executor.submit(prepared)
    with pytest.raises(errors.UsageError, match="submitted before"):
        executor.submit(prepared)
    elsewhere: Any = object()
    with pytest.raises(errors.UsageError, match="prepared for another manager"):
        executor.submit(FuturePythonTask(elsewhere, pow, 2, 3))
    executor.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(executor.future_task(pow, 2, 3))


def test_the_factory_gets_its_options_by_taskvines_names(started: list[dict[str, Any]], manager: Manager) -> None:
    FuturesExecutor(manager=manager, opts={"min-workers": 2, "max-workers": 4, "cores": 1, "timeout": 30})
    theirs = {
        "max_workers": 3,
        "batch-options": ("--partition=main",),
        "condor_requirements": "OpSys",
        "capacity": True,
    }
    FuturesExecutor(batch_type="htcondor", manager=manager, manager_host_port="localhost:9123", opts=theirs)
    FuturesExecutor(manager=manager)
    requirements = {"requirements": "OpSys", "batch_option": ("--partition=main",), "capacity": True}
    assert started == [
        {"batch_type": "local", "min_workers": 2, "max_workers": 4, "cores": 1, "idle_timeout": 30},
        {"batch_type": "htcondor", "min_workers": 0, "max_workers": 3, **requirements},
        {"batch_type": "local", "min_workers": 1, "max_workers": 1},
    ]


def test_an_option_that_there_is_not_is_answered_with_those_that_there_are(manager: Manager) -> None:
    wrong: Any = {"autosize": True}
    with pytest.raises(errors.UsageError, match="opts has 'autosize': there are 'min-workers'"):
        FuturesExecutor(manager=manager, opts=wrong)


def test_the_factory_is_told_more_while_it_runs_by_either_name(manager: Manager) -> None:
    executor = FuturesExecutor(manager=manager, factory=False)
    executor.set("min-workers", 3)
    assert executor.get("min-workers") is None, "there is none"
    executor._pool.factory = Factory(manager=manager)
    executor.set("max-workers", 5)
    executor.set("timeout", 30)
    assert (executor.get("max_workers"), executor.get("idle-timeout")) == (5, 30)
    assert (executor.factory, executor.port) == (executor._pool.factory, manager.port)
    with pytest.raises(errors.UsageError, match="there are 'min-workers'"):
        executor.set("autosize", True)
