from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import rule

from benchmarks.simulator.faults.mirror import compare_tables
from tests.scheduler.making import minitask, two_of_one_definition
from tests.scheduler.restarting import RestartingWorld
from tests.scheduler.test_core_machine import Run as RunWithoutRestarts
from tests.scheduler.test_results import lose_all
from vine.names import TaskId
from vine.wire import messages as m
from vine.wire.parts import CategorySpec, FetchFault, HostStanding, LibrarySpec, Outcome, Policy, TaskKind
from vine.wire.worker_messages import RunAttempts


class Mirrored(RunWithoutRestarts):
    """Whenever all is written, what would be restored equals what is; nothing crashes here."""

    def __init__(self) -> None:
        super().__init__()
        self.world: RestartingWorld = RestartingWorld()

    @rule()
    def compare(self) -> None:
        compare_tables(self.world.core.state, self.world.would_be())


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


@pytest.mark.parametrize("end", ["is small", "is none, for the task is cancelled", "is large, and stays on its worker"])
def test_a_result_that_stands_for_one_that_was_gone_from_the_staging_folder_is_not_taken_for_gone_too(end: str) -> None:
    # given a large result, which is gone when the manager is started again
    world = RestartingWorld(workers=1)
    world.large_values = True
    task = world.submit()
    world.settle()
    world.pass_time(1)
    world.commit()
    del world.results[task], world.committed[task]
    world.staged.clear()
    world.crash()
    world.large_values = "large" in end
    # when its task has ended once more
    if "cancelled" in end:
        world.client_returns()
        world.say(m.CancelTasks((task,)))
    elif "stays" in end:
        world.client_returns()
        world.say(m.KeepResults((task,)))
    world.settle()
    ended = world.core.state.tasks.by_id[task]
    assert ended.state.ended and ended.value_path is None
    # then the next manager knows that end, and nothing runs
    restored = world.would_be().tasks.by_id[task]
    assert (restored.state, restored.outcome, restored.value) == (ended.state, ended.outcome, ended.value)
    assert bool(restored.generation) == ("stays" in end) and restored.value_path is None


@pytest.mark.parametrize("outcome", [Outcome.SUCCESS, Outcome.EXCEPTION])
def test_a_task_that_has_run_again_for_a_lost_file_is_written_down_as_it_ended_this_time(outcome: Outcome) -> None:
    # given a task that has ended, and whose file is lost
    world = RestartingWorld(workers=1)
    temp = world.temp()
    maker = world.submit(outputs=(temp,))
    world.settle()
    world.commit()
    world.lose(*world.workers)
    world.join()
    # when it runs again
    world.outcome = lambda assignment: outcome
    taker = world.submit((temp,))
    assert world.state_of(maker) == "staged"
    world.settle()
    # then its end is as it was, and this one is known, too
    assert world.runs[maker] == 2 and taker in world.results
    run = world.written().tasks[maker]
    assert run.result is not None and run.result.outcome is Outcome.SUCCESS
    assert run.state == ("done" if outcome is Outcome.SUCCESS else "failed")


def test_a_task_that_was_to_run_again_when_the_manager_died_is_written_down_as_ended_if_nobody_needs_that() -> None:
    world = RestartingWorld(workers=1)
    temp = world.temp()
    maker = world.submit(outputs=(temp,))
    world.settle()
    world.commit()
    world.lose(*world.workers)
    taker = world.submit((temp,))
    assert world.state_of(maker) == "ready"
    world.say(m.CancelTasks((taker,)))
    assert world.written().tasks[maker].state == "ready"
    world.crash()
    assert world.written().tasks[maker].state == "done"


@pytest.mark.parametrize("has_heir", [True, False])
def test_a_result_that_is_gone_for_good_stays_gone(has_heir: bool) -> None:
    # given a remote result, which is lost, and whose task fails when it runs again
    world = RestartingWorld(workers=1)
    world.large_values = True
    local = world.local_file("in")
    first = world.submit((local,))
    world.say(m.KeepResults((first,)))
    if has_heir:
        world.say(m.KeepResults((world.submit(depends=(first,)),)))
    world.settle()
    world.outcome = lambda assignment: Outcome.EXCEPTION
    lose_all(world, first)
    world.say(m.BringResult(first))
    world.settle()
    # then the next manager does not try once more, and holds no inputs for it
    compare_tables(world.core.state, world.would_be())
    assert world.would_be().files.by_id[local].users == 0


def with_a_remote_result() -> tuple[RestartingWorld, TaskId]:
    """A worker has run a task, and its result is to stay there."""
    world = RestartingWorld(workers=1)
    world.large_values = True
    task = world.submit()
    world.say(m.KeepResults((task,)))
    world.settle()
    return world, task


def test_a_result_that_was_large_and_is_small_when_it_is_made_again_is_known_to_the_next_manager() -> None:
    world, first = with_a_remote_result()
    world.large_values = False
    lose_all(world, first)
    world.say(m.BringResult(first))
    world.settle()
    assert world.core.state.tasks.by_id[first].value == b"v" and world.runs[first] == 2
    compare_tables(world.core.state, world.would_be())


def test_a_task_whose_result_was_gone_for_good_after_a_restart_is_not_taken_in_again() -> None:
    # given a manager that was started again, and a remote result, which cannot be made any more
    world, first = with_a_remote_result()
    world.commit()
    spec = world.core.state.tasks.by_id[first].spec
    world.crash()
    world.client_returns()
    world.outcome = lambda assignment: Outcome.EXCEPTION
    world.join()
    world.say(m.BringResult(first))
    world.pass_time(world.settings.lease_s)
    world.settle()
    assert world.runs[first] == 2 and first not in world.core.state.tasks.by_id
    # when it is submitted by who has not heard that it was written down
    world.say(m.SubmitTasks((spec,)))
    # then it is known by its number
    assert first not in world.core.state.tasks.by_id


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


def test_a_large_result_that_was_forgotten_is_not_made_again_for_the_sake_of_what_its_task_has_made_besides() -> None:
    world = RestartingWorld(workers=1)
    world.large_values = True
    task = world.submit(outputs=(world.temp(),))
    world.settle()
    world.say(m.ForgetResults((task,)))
    world.pass_time(1)
    world.commit()
    world.crash()
    world.settle()
    assert world.runs[task] == 1


def test_what_goes_with_a_forgotten_result_goes_once() -> None:
    # given a remote result that was made from a file which a task of its own has made, when that was first needed
    world = RestartingWorld(workers=1)
    world.large_values = True
    local = world.local_file(bind=False)
    made = minitask(world, (local,))
    first = world.submit((made,))
    second = world.submit(depends=(first,))
    world.commit()
    world.pass_time(1)
    world.bind(local)
    world.settle()
    # when all of it is forgotten, and the manager dies
    world.say(m.ForgetFiles((made,)))
    world.say(m.ForgetResults((first, second)))
    world.crash()
    # then the next one begins, and knows nothing of it
    assert not world.core.state.tasks.by_id


def test_a_remote_result_that_was_brought_here_is_here_after_a_restart() -> None:
    world, task = with_a_remote_result()
    world.say(m.BringResult(task))
    world.settle()
    world.crash()
    record = world.core.state.tasks.by_id[task]
    assert record.value_path is not None and record.value_path in world.staged and not record.generation


def test_a_task_that_has_waited_for_a_file_is_ready_in_the_journal_too() -> None:
    world = RestartingWorld()
    local = world.local_file(bind=False)
    task = world.submit((local,))
    world.bind(local)
    assert world.written().tasks[task].state == "ready"
    never_waited = world.submit()
    assert world.written().tasks[never_waited].state == "waiting", "that is seen by what it takes"


def test_a_file_that_is_the_same_as_another_is_not_made_anew_though_the_other_is_forgotten() -> None:
    world = RestartingWorld(workers=1)
    first, second = two_of_one_definition(world)
    world.say(m.ForgetFiles((first,)))
    before = world.core.state.files.by_id[second].object_id
    assert before is not None and first not in world.core.state.files.by_id
    world.crash()
    assert world.core.state.files.by_id[second].object_id == before


def test_of_files_that_are_made_alike_one_that_waits_is_not_forgotten_when_the_others_maker_is_lost() -> None:
    world = RestartingWorld(workers=1, lease_s=30.0)
    first, second = minitask(world), minitask(world)
    world.submit((first,))
    world.settle()
    world.crash()
    world.workers.clear()
    world.away.clear()
    task = world.submit((second,))
    world.join()
    world.pass_time(60)
    world.pass_time(60)
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS


def test_a_result_that_was_to_stay_is_none_if_its_task_then_failed_for_an_output() -> None:
    # given a task whose result is to stay on its worker, and whose output has no room at its path
    world = RestartingWorld(workers=1)
    world.large_values = True
    task = world.submit(outputs=(world.local_file(bind=False),))
    world.say(m.KeepResults((task,)))
    while not world.local:
        world.happen(world.possible_events()[0])
    world.local_fetch_fails(next(iter(world.local)), FetchFault.DISK_FULL)
    assert world.results[task].outcome is Outcome.DISK_FULL
    # then the next manager knows of no result either
    compare_tables(world.core.state, world.would_be())
    assert world.written().tasks[task].value_object is None


def test_a_call_whose_value_was_on_its_way_ends_though_its_library_was_removed_meanwhile() -> None:
    # given a call that has run, and of which the journal knows that; its library is not to be called any more
    world = RestartingWorld(workers=1)
    world.large_values = True
    number = world.buffer(b"library")
    world.say(m.InstallLibrary(LibrarySpec(number, "lib", ("f",))))
    call = world.submit(kind=TaskKind.LIBRARY, function=number, command="f")
    while not world.local:
        world.happen(world.possible_events()[0])
    world.say(m.RemoveLibrary(number))
    world.say(m.ForgetFiles((number,)))
    world.pass_time(1)
    world.commit()
    # when the manager dies before it has the value
    world.crash()
    world.settle()
    # then it comes all the same
    assert world.results[call].outcome is Outcome.SUCCESS
