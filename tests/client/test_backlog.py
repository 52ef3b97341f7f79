"""Does everybody who waits get a task that they wait for, and nobody wait for what cannot come?"""

from __future__ import annotations

import threading

from vine.client.backlog import Backlog
from vine.client.tasks import Task
from vine.names import TaskId


def backlog_of(*tags: str) -> tuple[Backlog, list[Task]]:
    """Tasks with these tags, submitted in this order under the numbers 1, 2, ..."""
    backlog, tasks = Backlog(), []
    for number, tag in enumerate(tags, 1):
        task = Task("true")
        task.set_tag(tag)
        task.id = TaskId(number)
        backlog.add(task.id, task)
        tasks.append(task)
    return backlog, tasks


def test_the_task_that_ended_first_is_returned_first() -> None:
    backlog, (one, two) = backlog_of("", "")
    backlog.ended(two)
    backlog.ended(one)
    assert [backlog.take(0), backlog.take(0), backlog.take(0)] == [two, one, None]
    assert backlog.empty


def test_a_tag_leaves_the_tasks_of_others_to_them() -> None:
    backlog, (red, blue, other) = backlog_of("red", "blue", "red")
    for task in (blue, red, other):
        backlog.ended(task)
    assert backlog.take_tagged("red", 0) is red
    assert backlog.take(0) is blue
    assert backlog.ids("red") == [3]
    assert backlog.take_tagged("red", 0) is other
    assert backlog.take_tagged("red", None) is None  # At once: there is nothing to wait for.


def test_one_task_is_waited_for_by_its_number() -> None:
    backlog, (one, two) = backlog_of("", "")
    backlog.ended(one)
    assert backlog.take_one(TaskId(2), 0) is None
    backlog.ended(two)
    assert backlog.take_one(TaskId(2), None) is two
    assert backlog.take_one(TaskId(2), None) is None


def test_whoever_waits_is_woken_when_the_last_one_was_given_to_another() -> None:
    backlog, (task,) = backlog_of("red")
    taken: list[Task | None] = []
    waiting = [threading.Thread(target=lambda: taken.append(backlog.take_tagged("red", 20))) for _ in range(3)]
    for thread in waiting:
        thread.start()
    backlog.ended(task)
    for thread in waiting:
        thread.join()
    assert sorted(taken, key=id) == sorted([task, None, None], key=id)


def test_nobody_waits_once_the_run_is_over_but_what_has_ended_is_returned() -> None:
    backlog, (one, _) = backlog_of("", "")
    backlog.ended(one)
    backlog.over()
    assert [backlog.take(None), backlog.take(None)] == [one, None]
    assert not backlog.empty


def test_a_tag_that_is_changed_after_the_submission_changes_nothing() -> None:
    backlog, (task,) = backlog_of("red")
    task.set_tag("blue")
    backlog.ended(task)
    assert backlog.take_tagged("blue", None) is None
    assert backlog.take_tagged("red", None) is task


def test_what_was_not_submitted_after_all_is_not_waited_for() -> None:
    backlog, (task,) = backlog_of("red")
    backlog.drop(TaskId(1))
    backlog.ended(task)
    assert backlog.empty
    assert backlog.take(None) is None
