"""Is a task that makes a file told to the run as the file's own, and what cannot be one refused?"""

from __future__ import annotations

from typing import Any

import pytest

from tests.client.scripted import ScriptedManager
from vine import errors
from vine.client.libraries import FunctionCall
from vine.client.manager import Manager
from vine.client.python_tasks import PythonTask
from vine.client.tasks import Task
from vine.wire.parts import FileKind, Mount, TaskKind


def test_a_file_is_declared_with_the_task_that_makes_it(scripted: ScriptedManager, manager: Manager) -> None:
    source = manager.declare_buffer(b"source")
    maker = Task("tar x", cores=2, inputs={source: "archive"})
    file = manager.declare_minitask(maker, "tree", cache="worker", peer_transfer=False)
    scripted.until(lambda: file.file_id in scripted.files)
    spec = scripted.files[file.file_id]
    assert (spec.kind, spec.cache.value, spec.peer_transfer) == (FileKind.MINITASK, "worker", False)
    assert spec.recipe is not None
    assert (spec.recipe.kind, spec.recipe.command, spec.recipe.request.cores) == (TaskKind.COMMAND, "tar x", 2)
    assert spec.recipe.inputs == (Mount(source.file_id, "archive"),)
    assert spec.recipe.outputs == (Mount(file.file_id, "tree"),)
    assert file.label == "tree of tar x"


def test_a_function_may_make_a_file_too(scripted: ScriptedManager, manager: Manager) -> None:
    file = manager.declare_minitask(PythonTask(print, "x"), "out")
    scripted.until(lambda: file.file_id in scripted.files)
    recipe = scripted.files[file.file_id].recipe
    assert recipe is not None and recipe.kind is TaskKind.PYTHON


def test_its_task_belongs_to_the_file_and_cannot_be_submitted(manager: Manager) -> None:
    maker = Task("make")
    manager.declare_minitask(maker, "made")
    with pytest.raises(errors.UsageError, match="submitted before"):
        manager.submit(maker)
    assert manager.empty()


def with_an_output(manager: Manager) -> Task:
    return Task("make", outputs={manager.declare_temp(): "other"})


def a_call(manager: Manager) -> Task:
    manager.install_library(manager.create_library_from_functions("lib", with_an_output))
    return FunctionCall("lib", "with_an_output", 1)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda manager: "make", "is no task: give a vine.Task"),
        (with_an_output, "has outputs"),
        (a_call, "is no mini-task"),
        (lambda manager: PythonTask(len, bytes(2 << 20)), "large values"),
        (lambda manager: PythonTask(len, [bytes(60_000)] * 2 + [bytes(10_000 + i) for i in range(9)]), "large values"),
    ],
)
def test_what_cannot_make_a_file_is_refused(manager: Manager, make: Any, match: str) -> None:
    with pytest.raises(errors.UsageError, match=match):
        manager.declare_minitask(make(manager), "made")


@pytest.mark.parametrize("source", ["", "/etc", "../up"])
def test_its_name_stays_in_the_sandbox(manager: Manager, source: str) -> None:
    with pytest.raises(errors.UsageError, match="is no name for a file"):
        manager.declare_minitask(Task("make"), source)
