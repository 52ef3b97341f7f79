from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis.stateful import rule

from tests.scheduler.restarting import RestartingWorld
from tests.scheduler.test_core_machine import Run as RunWithoutRestarts
from vine.scheduler.state import State
from vine.wire import messages as m
from vine.wire.parts import CategorySpec, HostStanding, LibrarySpec, Outcome, Policy, TaskKind
from vine.wire.worker_messages import RunAttempts


def promised(state: State) -> dict[str, Any]:
    """What the journal promises to keep of the tables."""
    tasks = {
        record.task_id: (
            record.spec,
            record.outcome,
            record.message if record.outcome is not None else None,
            record.value,
            record.value_path if record.outcome is not None else None,
            record.generation if record.outcome is not None else None,
            record.result_forgotten,
            record.attempts if record.outcome is None else None,
            (record.losses, record.failures, record.at_maximum) if record.outcome is None else None,
        )
        for record in state.tasks.by_id.values()
    }
    files = {
        file.file_id: (file.spec, file.failure, file.forgotten, file.producer, file.path, tuple(sorted(file.unpacked)))
        for file in state.files.by_id.values()
    }
    indices = {client.index for client in state.clients.values()}
    return {
        "tasks": tasks,
        "files": files,
        "categories": {key: category.spec for key, category in state.categories.items()},
        "hosts": state.closed_hosts,
        "libraries": {number: (library.spec, library.removed) for number, library in state.libraries.items()},
        "clients": {client.index: client.client_id for client in state.clients.values()},
        "owners": {index: [record.task_id for record in state.tasks.of_client(index)] for index in sorted(indices)},
    }


class Mirrored(RunWithoutRestarts):
    """Whenever all is written, what would be restored equals what is; nothing crashes here."""

    def __init__(self) -> None:
        super().__init__()
        self.world: RestartingWorld = RestartingWorld()

    @rule()
    def compare(self) -> None:
        live = self.world.core.state
        if any(record.cancel_requested and not record.state.ended for record in live.tasks.by_id.values()):
            return  # A restart ends these at once.
        restored = self.world.would_be()
        mine, theirs = promised(live), promised(restored)
        theirs["tasks"] = {task_id: theirs["tasks"].get(task_id) for task_id in mine["tasks"]}
        for name, expected in mine.items():
            differ = [(value, theirs[name].get(key)) for key, value in expected.items()]
            differ = [(value, other) for value, other in differ if value != other]
            assert not differ, f"{name}: {differ}"
        again = {record.task_id for record in live.tasks.by_id.values() if record.recovering}
        for file_id, file in live.files.by_id.items():
            if file.object_id is not None and not again:
                assert restored.files.by_id[file_id].object_id == file.object_id
                assert restored.files.by_id[file_id].users == file.users


TestMirrored = Mirrored.TestCase
TestMirrored.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_what_was_ready_is_ready_and_in_order() -> None:
    world = RestartingWorld()
    tasks = [world.submit(priority=priority) for priority in (0.0, 1.0, 0.0)]
    world.crash()
    worker = world.join()
    world.settle()
    runs = [message for message in worker.received if isinstance(message, RunAttempts)]
    order = [assignment.task_id for message in runs for assignment in message.assignments]
    assert order == [tasks[1], tasks[0], tasks[2]]


def test_what_is_served_is_served_again_and_what_was_inline_still_is() -> None:
    world = RestartingWorld()
    local, buffer = world.local_file("big"), world.buffer(b"small")
    world.crash()
    state = world.core.state
    served = state.files.object_of(local)
    assert served is not None and world.served == {served.object_id}
    inline = state.files.object_of(buffer)
    assert inline is not None and inline.data == b"small"


def test_a_large_result_that_is_gone_from_the_staging_folder_is_made_again() -> None:
    world = RestartingWorld(workers=1)
    world.large_values = True
    task = world.submit()
    world.settle()
    world.pass_time(1)
    world.commit()  # Its worker knows that, and does not tell the end again.
    del world.results[task]
    world.staged.clear()
    world.crash()
    world.settle()
    assert world.runs[task] == 2 and world.results[task].outcome is Outcome.SUCCESS


def test_tries_are_not_given_anew() -> None:
    world = RestartingWorld(workers=1)
    world.outcome = lambda assignment: Outcome.EXCEPTION
    task = world.submit(retries=1)
    while world.runs.get(task, 0) < 1:
        world.happen(world.possible_events()[0])
    world.crash()
    world.settle()
    assert world.runs[task] == 2 and world.results[task].outcome is Outcome.EXCEPTION


def test_a_task_that_was_being_cancelled_is_cancelled() -> None:
    world = RestartingWorld(workers=1)
    task = world.submit()
    world.say(m.CancelTasks((task,)))
    world.pass_time(1)
    world.commit()  # The client knows that, and does not say it again.
    world.crash()
    world.client_returns()
    assert world.results[task].outcome is Outcome.CANCELLED


def test_what_has_ended_and_was_forgotten_is_not_run_again_though_it_is_submitted_again() -> None:
    world = RestartingWorld(workers=1)
    task = world.submit()
    world.settle()
    world.say(m.ForgetResults((task,)))
    world.crash()
    world.workers.clear()  # It would tell the end again.
    world.away.clear()
    world.join()
    world.client_returns()
    world.pass_time(world.settings.lease_s - 1)
    world.settle()
    assert world.runs[task] == 1 and task not in world.core.state.tasks.by_id


def test_hosts_categories_and_libraries_are_as_they_were_said_to_be() -> None:
    world = RestartingWorld(workers=1)
    world.say(m.SetHosts(("host",), HostStanding.BLOCKED, 5.0))
    world.say(m.SetCategory(CategorySpec("a", concurrent_max=1)))
    number = world.buffer(b"library")
    world.say(m.InstallLibrary(LibrarySpec(number, "lib", ("f",))))
    call = world.submit(kind=TaskKind.LIBRARY, function=number, command="f", policy=Policy(category="a"))
    world.crash()
    world.settle()
    assert call not in world.results
    world.pass_time(5)
    world.settle()
    assert world.results[call].outcome is Outcome.SUCCESS


def test_a_client_that_has_left_is_not_waited_for() -> None:
    world = RestartingWorld()
    world.submit()
    world.say(m.ClientBye())
    world.crash()
    assert not world.core.state.clients and not world.core.state.tasks.by_id and not world.core.state.files.by_id
