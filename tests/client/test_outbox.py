"""Is all that was said passed on, in an order that the manager understands?"""

from __future__ import annotations

import select
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vine import config
from vine.client.outbox import Outbox
from vine.names import FileId, TaskId
from vine.wire.messages import (
    AwaitWorkers,
    BringFile,
    CancelTasks,
    DeclareFiles,
    ForgetFiles,
    ForgetResults,
    SetCategory,
    SetHosts,
    SubmitTasks,
)
from vine.wire.parts import CacheLevel, CategorySpec, FileKind, FileSpec, HostStanding, TaskKind, TaskSpec


def task(number: int, payload: bytes = b"", function: int | None = None, depends: tuple[int, ...] = ()) -> TaskSpec:
    return TaskSpec(
        TaskId(number),
        TaskKind.CALL,
        payload=payload,
        function=None if function is None else FileId(function),
        depends=tuple(TaskId(n) for n in depends),
    )


def buffer(number: int) -> FileSpec:
    return FileSpec(FileId(number), FileKind.BUFFER, CacheLevel.TASK, "buffer", data=b"x")


def wakes(outbox: Outbox) -> bool:
    return bool(select.select([outbox.wake_fd], [], [], 0)[0])


def test_submissions_travel_in_batches_behind_the_files_that_they_name() -> None:
    outbox = Outbox()
    for number in range(3):
        outbox.put(buffer(number))
        outbox.put_task(task(number, function=number))
    files, tasks = outbox.take()
    assert files == DeclareFiles((buffer(0), buffer(1), buffer(2)))
    assert tasks == SubmitTasks(tuple(task(n, function=n) for n in range(3)))
    assert outbox.take() == []


def test_how_tasks_are_to_be_run_is_said_before_any_of_them() -> None:
    outbox = Outbox()
    category, hosts = SetCategory(CategorySpec("fit")), SetHosts(("node",), HostStanding.BLOCKED)
    awaited = AwaitWorkers(2)
    for item in (BringFile(FileId(1)), category, hosts, awaited):
        outbox.put(item)
    outbox.put_task(task(1))
    assert outbox.take() == [category, hosts, awaited, SubmitTasks((task(1),)), BringFile(FileId(1))]


def test_a_batch_is_closed_at_the_size_that_envelopes_aim_at() -> None:
    outbox = Outbox()
    payload = b"p" * (config.batch_bytes_target // 2)
    for number in range(3):
        outbox.put_task(task(number, payload))
    messages = outbox.take()
    assert [len(message.tasks) for message in messages if isinstance(message, SubmitTasks)] == [1, 1, 1]


def test_a_batch_is_closed_when_it_has_so_many_tasks_that_the_manager_should_begin() -> None:
    outbox, many = Outbox(), config.message_items_max
    for number in range(2 * many + 1):
        outbox.put_task(task(number))
    messages = outbox.take()
    assert [len(message.tasks) for message in messages if isinstance(message, SubmitTasks)] == [many, many, 1]


def test_words_that_something_is_needless_come_after_what_may_need_it() -> None:
    outbox = Outbox()
    outbox.put(ForgetFiles((FileId(1),)))
    outbox.cancel(TaskId(4))
    outbox.forget(TaskId(5))
    outbox.put_task(task(6, depends=(5,)))
    outbox.put(ForgetFiles((FileId(2),)))
    outbox.put(BringFile(FileId(3)))
    assert outbox.take() == [
        SubmitTasks((task(6, depends=(5,)),)),
        BringFile(FileId(3)),
        ForgetFiles((FileId(1), FileId(2))),
        CancelTasks((TaskId(4),)),
        ForgetResults((TaskId(5),)),
    ]


def test_the_io_thread_is_woken_only_when_it_sleeps() -> None:
    outbox = Outbox()
    outbox.put_task(task(1))
    assert not wakes(outbox)
    assert not outbox.may_sleep()  # There is something to say.
    outbox.take()
    assert outbox.may_sleep()
    outbox.put_task(task(2))
    outbox.put_task(task(3))
    assert wakes(outbox)
    outbox.awake()
    assert not wakes(outbox)
    outbox.put_task(task(4))
    assert not wakes(outbox)


def test_in_a_burst_the_io_thread_waits_a_moment_for_many_and_is_not_woken_for_each() -> None:
    # given an IO thread that has just found many tasks at once
    outbox, many = Outbox(), config.burst_items
    for number in range(many):
        outbox.put_task(task(number))
    outbox.take()
    # when it looks for more
    assert not outbox.may_sleep()
    assert outbox.rest_s == config.burst_hold_s
    # then it is woken when as many are there again, and not before
    for number in range(many):
        outbox.put_task(task(number))
    assert not wakes(outbox)
    outbox.put_task(task(many))
    assert wakes(outbox)
    outbox.awake()
    assert not outbox.may_sleep()
    assert outbox.rest_s == 0.0


def test_after_a_burst_the_io_thread_sleeps_until_a_lone_task_comes() -> None:
    outbox = Outbox()
    for number in range(config.burst_items):
        outbox.put_task(task(number))
    outbox.take()
    assert outbox.rest_s > 0.0
    assert outbox.take() == []
    assert outbox.may_sleep()
    outbox.put_task(task(1))
    assert wakes(outbox)


def test_a_dropped_future_wakes_nobody_and_goes_with_the_next_words() -> None:
    outbox = Outbox()
    assert outbox.may_sleep()
    outbox.forget(TaskId(1))
    assert not wakes(outbox)
    assert outbox.take() == [ForgetResults((TaskId(1),))]


def test_a_forgotten_file_wakes_nobody_and_goes_behind_the_tasks_that_name_it() -> None:
    outbox = Outbox()
    assert outbox.may_sleep()
    outbox.forget_file(FileId(1))
    assert not wakes(outbox)
    outbox.put_task(task(1, function=1))
    outbox.put(ForgetFiles((FileId(2),)))
    outbox.forget_file(FileId(3))
    assert len(outbox) == 4
    assert outbox.take() == [SubmitTasks((task(1, function=1),)), ForgetFiles((FileId(2), FileId(1), FileId(3)))]
    assert outbox.take() == []


def test_submitting_waits_while_too_much_is_unsent() -> None:
    outbox = Outbox()
    for number in range(1, config.queued_submissions_max + 1):
        outbox.put_task(task(number))
    submitted = threading.Event()

    def submit_one_more() -> None:
        outbox.put_task(task(0))
        submitted.set()

    thread = threading.Thread(target=submit_one_more)
    thread.start()
    assert not submitted.wait(0.05)
    while not submitted.is_set():
        outbox.take()
    thread.join()


@pytest.mark.parametrize("unsent", [config.burst_items, config.queued_submissions_max])
def test_a_submission_that_is_interrupted_while_it_waits_sends_nothing(
    unsent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given so many unsent tasks that the next one gives way, or waits for room, and a Ctrl-C meanwhile
    outbox = Outbox()
    for number in range(unsent):
        outbox.put_task(task(number))
    before = len(outbox)

    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vine.client.outbox.time.sleep", interrupt)
    monkeypatch.setattr(outbox._room, "wait", interrupt)
    # when it is submitted
    with pytest.raises(KeyboardInterrupt):
        outbox.put_task(task(unsent))
    # then it is not among what is sent
    assert len(outbox) == before == unsent


def test_a_closed_outbox_holds_nobody_up() -> None:
    outbox = Outbox()
    outbox.close()
    for number in range(config.queued_submissions_max + 2):
        outbox.put_task(task(number))


@given(st.lists(st.sampled_from(["file", "task", "forget", "cancel", "take"]), max_size=60))
def test_nothing_is_lost_and_no_reference_goes_ahead(steps: list[str]) -> None:
    outbox = Outbox()
    said: list[object] = []
    number = 0
    expected: dict[str, list[int]] = {"file": [], "task": [], "forget": [], "cancel": []}
    for step in [*steps, "take"]:
        number += 1
        if step == "take":
            said += outbox.take()
            continue
        expected[step].append(number)
        if step == "file":
            outbox.put(buffer(number))
        elif step == "task":
            function = expected["file"][-1] if expected["file"] else None
            outbox.put_task(task(number, function=function))
        elif step == "cancel":
            outbox.cancel(TaskId(number))
        else:
            outbox.forget(TaskId(number))
    got: dict[str, list[int]] = {"file": [], "task": [], "forget": [], "cancel": []}
    for message in said:
        if isinstance(message, DeclareFiles):
            got["file"] += [spec.file_id for spec in message.files]
        elif isinstance(message, SubmitTasks):
            for spec in message.tasks:
                assert spec.function is None or spec.function in got["file"]
                got["task"].append(spec.task_id)
        elif isinstance(message, CancelTasks):
            got["cancel"] += message.task_ids
        elif isinstance(message, ForgetResults):
            got["forget"] += message.task_ids
    assert got == expected
