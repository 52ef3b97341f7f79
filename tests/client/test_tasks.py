"""Is a task told to the run as its user described it, and is nonsense refused?"""

from __future__ import annotations

from typing import Any

import pytest

from vine import errors
from vine.client.calls import Calls
from vine.client.files import File, cache_level
from vine.client.python_tasks import PythonTask, name_of
from vine.client.tasks import Task
from vine.names import FileId, TaskId
from vine.wire.parts import CacheLevel, FileKind, FileSpec, Mount, Policy, Request, TaskKind, When


class FakeManager:
    default_environment = None
    enforce_resources = True

    def check_own(self, file: File) -> None:
        """All files are its own."""

    nothing: Any = None
    calls = Calls(nothing, nothing)

    def declare_function(self, function: object) -> FileId:
        return FileId(77)


def file(number: int) -> File:
    session: Any = None
    return File(session, FileSpec(FileId(number), FileKind.TEMP, CacheLevel.WORKFLOW, "temp"))


def spec_of(task: Task) -> Any:
    manager: Any = FakeManager()
    return task.submitted(manager, TaskId(1))


def test_everything_that_was_set_is_told() -> None:
    task = Task("run $X")
    task.add_input(file(2), "in/a")
    task.add_output(file(3), "out")
    task.set_cores(2)
    task.set_memory(100)
    task.set_disk(200)
    task.set_gpus(1)
    task.set_env_var("X", "1")
    task.set_environment(file(4))
    task.set_tag("t")
    task.set_retries(3)
    task.set_time_max(60)
    task.set_priority(2.5)
    task.add_feature("fast")
    spec = spec_of(task)
    assert (spec.kind, spec.command, spec.label) == (TaskKind.COMMAND, "run $X", "run $X")
    assert spec.inputs == (Mount(FileId(2), "in/a"),)
    assert spec.outputs == (Mount(FileId(3), "out"),)
    assert spec.request == Request(2.0, 100.0, 200.0, 1.0)
    assert (spec.variables, spec.environment, spec.tag) == ({"X": "1"}, 4, "t")
    assert (spec.retries, spec.time_limit_s, spec.priority, spec.features) == (3, 60, 2.5, ("fast",))


def test_a_python_task_is_a_function_with_its_arguments() -> None:
    spec = spec_of(PythonTask(max, 1, 2))
    assert (spec.kind, spec.function, spec.label, spec.command) == (TaskKind.PYTHON, 77, "max", "")
    assert spec.payload[:1] == b"P"


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (lambda task: task.set_cores(-1), "cores=-1 is no amount"),
        (lambda task: task.set_memory("1 GB"), "is no amount"),
        (lambda task: task.set_gpus(True), "is no amount"),
        (lambda task: task.set_env_var("A=B", "x"), "cannot be an environment variable"),
        (lambda task: task.add_input("path", "name"), "is no declared file"),
        (lambda task: task.exit_code, "has not ended"),
        (lambda task: task.set_time_min(-1), "seconds=-1 is no amount"),
        (lambda task: task.set_time_max("long"), "seconds='long' is no amount"),
        (lambda task: task.set_retries(-1), "-1 is no number of more tries: give 0 or more"),
        (lambda task: task.set_retries(2**70), "is no number of more tries"),
        (lambda task: task.set_retries(True), "True is no number of more tries"),
        (lambda task: task.set_max_forsaken(1.5), "1.5 is no number of times"),
        (lambda task: task.set_category(5), "5 is no name of a category"),
        (lambda task: task.set_time_end(float("nan")), "nan is no time: give seconds since the epoch"),
        (lambda task: task.set_priority("high"), "priority='high' is none: give a number"),
        (lambda task: task.set_tag(5), "5 is no tag: give text"),
        (lambda task: task.add_feature(""), "'' is no name of a feature: give text"),
    ],
)
def test_nonsense_is_refused_when_it_is_said(wrong: Any, match: str) -> None:
    with pytest.raises(errors.UsageError, match=match):
        wrong(Task("true"))


@pytest.mark.parametrize(
    "break_it",
    [
        lambda task: task.set_tag("\udc80"),
        lambda task: task.set_env_var("BIG", "x" * 10_000),
    ],
)
def test_what_the_wire_does_not_admit_is_refused_before_it_is_sent(break_it: Any) -> None:
    task = Task("true")
    break_it(task)
    with pytest.raises(errors.UsageError, match="cannot be submitted as it is"):
        spec_of(task)
    assert task.id is None


def test_two_inputs_of_one_name_are_refused() -> None:
    task = Task("true")
    task.add_input(file(1), "x")
    task.add_input(file(2), "./x")
    with pytest.raises(errors.UsageError, match="two files of one task have the name 'x'"):
        spec_of(task)


@pytest.mark.parametrize("command", ["", "  ", None, b"true"])
def test_a_command_is_text(command: Any) -> None:
    with pytest.raises(errors.UsageError, match="needs a shell command"):
        Task(command)


def test_cache_levels_have_taskvines_names_too() -> None:
    assert [cache_level(name) for name in (False, True, "task", "workflow", "worker", "forever")] == [
        CacheLevel.TASK,
        CacheLevel.WORKFLOW,
        CacheLevel.TASK,
        CacheLevel.WORKFLOW,
        CacheLevel.WORKER,
        CacheLevel.FOREVER,
    ]
    with pytest.raises(errors.UsageError, match="cache='always' is no cache level"):
        cache_level("always")


def test_any_callable_has_a_name() -> None:
    class Model:
        def __call__(self) -> None:
            """Nothing."""

    assert name_of(len) == "len"
    assert name_of(Model()).endswith("Model")


def test_a_variable_that_is_not_text_is_refused_with_its_name() -> None:
    number: Any = 5
    with pytest.raises(errors.UsageError, match="'A' is set to 5: both must be text"):
        Task("true").set_env_var("A", number)


def test_what_the_wire_does_not_admit_is_named() -> None:
    task = Task("x" * 2_000_000)
    with pytest.raises(errors.UsageError, match="in `command`"):
        spec_of(task)


@pytest.mark.parametrize("gpus", [1.5, 2.25])
def test_gpus_are_a_share_of_one_device_or_whole_ones(gpus: float) -> None:
    with pytest.raises(errors.UsageError, match="neither a share of one device nor whole ones"):
        Task("train").set_gpus(gpus)


def test_start_and_end_are_seconds_as_the_clock_tells_them_or_microseconds() -> None:
    task = Task("true")
    task.set_time_start(1_900_000_000)
    task.set_time_end(1_900_000_060_500_000)
    policy = spec_of(task).policy
    assert (policy.starts_at_s, policy.ends_at_s) == (1_900_000_000, 1_900_000_060.5)
    with pytest.raises(errors.UsageError, match="seconds since the epoch"):
        Task("true").set_time_end("tomorrow")  # type: ignore[arg-type]


def test_how_long_its_worker_must_live_and_how_often_it_may_be_given_back_are_told() -> None:
    task = Task("true")
    task.set_time_min(600)
    task.set_max_forsaken(2)
    assert spec_of(task).policy == Policy(time_min_s=600, forsaken_max=2)
    task = Task("true")
    task.set_max_forsaken(-1)
    assert spec_of(task).policy is None


def test_a_task_that_says_nothing_of_it_has_no_policy_to_send() -> None:
    assert spec_of(Task("true")).policy is None


def test_a_strict_input_is_an_input_that_must_be_there_before() -> None:
    task = Task("cat a")
    task.add_input(file(2), "a", strict_input=True)
    task.add_input(file(3), "b")
    spec = spec_of(task)
    assert [mount.file_id for mount in spec.inputs] == [2, 3]
    assert spec.policy.strict == (2,)


def test_settings_may_be_given_with_the_command() -> None:
    task = Task(
        "run",
        tag="t",
        category="c",
        cores=2,
        retries=1,
        time_max=60,
        features=["a", "b"],
        inputs={file(2): "in", file(3): {"remote_name": "there", "strict_input": True}},
        outputs={file(4): {"remote_name": "log", "failure_only": True}},
        env={"X": "1", "Y": None},
    )
    spec = spec_of(task)
    assert (spec.tag, spec.request.cores, spec.retries, spec.time_limit_s) == ("t", 2, 1, 60)
    assert (spec.features, spec.variables) == (("a", "b"), {"X": "1", "Y": None})
    assert spec.inputs == (Mount(FileId(2), "in"), Mount(FileId(3), "there"))
    assert spec.policy == Policy(category="c", strict=(FileId(3),))
    assert spec.outputs == (Mount(FileId(4), "log", When.FAILURE),)


def test_a_setting_that_there_is_not_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(errors.UsageError, match="no monitor_output, scheduler to be set: give some of category"):
        Task("run", scheduler="files", monitor_output="x")
    with pytest.raises(errors.UsageError, match="is no mapping"):
        Task("run", inputs=[file(1)])


@pytest.mark.parametrize(
    ("options", "when"),
    [
        ({}, When.SUCCESS),
        ({"success_only": True}, When.SUCCESS),
        ({"failure_only": True}, When.FAILURE),
        ({"success_only": False}, When.ALWAYS),
    ],
)
def test_an_output_is_taken_after_the_ends_that_were_named(options: dict[str, bool], when: When) -> None:
    task = Task("run")
    task.add_output(file(1), "out", **options)  # type: ignore[arg-type]
    assert spec_of(task).outputs == (Mount(FileId(1), "out", when),)


def test_an_output_cannot_be_for_failures_only_and_successes_only() -> None:
    with pytest.raises(errors.UsageError, match="leave one out"):
        Task("run").add_output(file(1), "out", failure_only=True, success_only=True)


@pytest.mark.parametrize("first", [{}, {"success_only": False}, {"failure_only": True}])
def test_a_file_cannot_be_two_outputs_that_one_end_takes(first: dict[str, bool]) -> None:
    task, made = Task("run"), file(1)
    task.add_output(made, "first", **first)  # type: ignore[arg-type]
    with pytest.raises(
        errors.UsageError, match="temp cannot be the output 'second' and the output 'first' of one task"
    ):
        task.add_output(made, "second", success_only=False)


def test_a_file_may_be_one_output_for_success_and_another_for_failure() -> None:
    task, made = Task("run"), file(1)
    task.add_output(made, "result")
    task.add_output(made, "log", failure_only=True)
    assert [mount.name for _, mount in task._outputs] == ["result", "log"]


def test_only_a_file_here_can_be_watched() -> None:
    session: Any = None
    local = File(session, FileSpec(FileId(1), FileKind.LOCAL, CacheLevel.TASK, "log", path="/log"))
    task = Task("run")
    task.add_output(local, "log", watch=True)
    assert spec_of(task).outputs == (Mount(FileId(1), "log", watched=True),)
    with pytest.raises(errors.UsageError, match=r"declare_file\(\) one for 'log'"):
        Task("run").add_output(file(1), "log", watch=True)


def test_an_environment_has_taskvines_names_too_and_there_is_one() -> None:
    for name in ("add_environment", "add_poncho_package", "add_execution_context"):
        task = Task("run")
        getattr(task, name)(file(4))
        assert spec_of(task).environment == 4
        with pytest.raises(errors.UsageError, match="has an environment"):
            Task.add_environment(task, file(5))


def test_a_command_may_be_set_anew() -> None:
    task = Task("first")
    task.set_command("second")
    assert spec_of(task).command == "second"
