"""Is a function call told to the run as a task, and its result kept where its user wants it?"""

from __future__ import annotations

from typing import Any

import pytest

from tests.client.scripted import ScriptedManager
from vine import errors
from vine.client.manager import Manager
from vine.client.python_tasks import PythonTask, name_of
from vine.names import TaskId
from vine.wire.parts import FileKind, Mount, Outcome, TaskResult
from vine_function_host.payload import LEFT, RESULT_FILE


def test_a_result_that_stays_is_an_output_under_a_temporary_file(scripted: ScriptedManager, manager: Manager) -> None:
    scripted.held.add("max")
    task = PythonTask(max, 1, 2)
    task.enable_temp_output()
    task.set_output_cache("worker")
    assert task.output_file is None
    manager.submit(task)
    file = task.output_file
    assert file is not None and file.kind is FileKind.TEMP
    scripted.until(lambda: scripted.tasks)
    (spec,) = scripted.tasks.values()
    assert spec.outputs == (Mount(file.file_id, RESULT_FILE),) and spec.payload[:1] == LEFT
    assert scripted.files[file.file_id].cache.value == "worker"


def test_a_result_that_comes_back_needs_no_file(scripted: ScriptedManager, manager: Manager) -> None:
    task = PythonTask(max, 1, 2)
    task.enable_temp_output()
    task.disable_temp_output()
    manager.submit(task)
    assert manager.wait(30) is task and (task.output, task.output_file) == (2, None)


def test_of_a_result_that_stays_the_output_says_where_it_is_and_of_a_failure_why() -> None:
    session: Any = None
    task = PythonTask(max, 1, 2)
    task._output_file = session or object()  # type: ignore[assignment]
    task.ended_as = TaskResult(TaskId(1), Outcome.SUCCESS)
    with pytest.raises(errors.UsageError, match=r"fetch_file\(task.output_file\)"):
        _ = task.output
    task.error = ValueError("why")
    assert task.output is task.error


@pytest.mark.parametrize("cache", ["always", 5])
def test_a_cache_level_that_there_is_not_is_refused(cache: Any) -> None:
    with pytest.raises(errors.UsageError, match="is no cache level"):
        PythonTask(max).set_output_cache(cache)


def test_a_wrapper_is_called_what_it_wraps() -> None:
    def wrapper() -> None: ...

    assert name_of(wrapper).endswith(".<locals>.wrapper")
    wrapper.__name__ = "words"  # As `functools.wraps` leaves it where the wrapped has no qualified name, a partial.
    assert name_of(wrapper) == "words"


def test_what_cannot_be_called_is_no_function() -> None:
    number: Any = 5
    with pytest.raises(errors.UsageError, match="needs a function, not 5"):
        PythonTask(number)


def test_it_may_have_outputs_besides(manager: Manager, scripted: ScriptedManager) -> None:
    scripted.held.add("max")
    task, other = PythonTask(max, 1, 2), manager.declare_temp()
    task.add_output(other, "other")
    task.enable_temp_output()
    manager.submit(task)
    scripted.until(lambda: scripted.tasks)
    (spec,) = scripted.tasks.values()
    assert spec.outputs[0] == Mount(other.file_id, "other") and len(spec.outputs) == 2
