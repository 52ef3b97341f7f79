from __future__ import annotations

import dataclasses

import msgspec
import pytest

from tests.scheduler.restarting import Kept, RestartingWorld
from vine import config
from vine.names import TaskId, WorkerId
from vine.scheduler.tasks import TaskState
from vine.wire import messages as m
from vine.wire import worker_messages as w
from vine.wire.parts import CacheLevel, HostStanding, Outcome, Request


def running(world: RestartingWorld, **fields: object) -> TaskId:
    """A task whose body has begun."""
    task = world.submit(**fields)  # type: ignore[arg-type]
    while world.state_of(task) != "running":
        world.happen(world.possible_events()[0])
    return task


def test_a_task_is_not_sent_out_again_before_its_worker_has_returned() -> None:
    world = RestartingWorld(workers=1)
    task = running(world)
    world.crash()
    other = world.join()
    assert world.state_of(task) == "waiting" and not other.assigned
    assert "to come back" in world.core.why(task, world.now)


def test_what_a_worker_still_runs_is_its_tasks_own_again() -> None:
    world = RestartingWorld(workers=1)
    task = running(world)
    world.crash()
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS and world.runs[task] == 1
    assert world.results[task].attempts == 1


def test_an_end_that_was_not_written_down_is_told_again_and_its_body_does_not_run_again() -> None:
    world = RestartingWorld(workers=1)
    world.large_values = True
    task = world.submit(outputs=(world.temp(),))
    world.commit()
    world.settle()
    world.crash(unwritten=world._steps)
    world.settle()
    assert world.runs[task] == 1 and world.results[task].outcome is Outcome.SUCCESS


def test_a_worker_that_comes_back_without_the_attempt_lets_the_task_run_anywhere() -> None:
    world = RestartingWorld(workers=1)
    task = world.submit()
    (worker,) = world.workers.values()
    assert worker.assigned, "it has not begun"
    world.crash()
    world.worker_returns(worker)
    assert world.state_of(task) == "staged"
    record = world.core.state.tasks.by_id[task]
    assert (record.attempts, record.losses) == (2, 0)


def test_a_worker_that_does_not_come_back_within_its_lease_is_lost_and_the_task_goes_elsewhere() -> None:
    world = RestartingWorld(workers=1, lease_s=30.0)
    task = running(world)
    world.crash()
    world.workers.clear()
    world.away.clear()
    other = world.join()
    world.pass_time(29)
    assert not other.assigned
    world.pass_time(1)
    assert other.assigned and world.core.state.tasks.by_id[task].losses == 1


def test_a_worker_of_the_same_name_that_was_started_anew_has_nothing_of_the_earlier_one() -> None:
    world = RestartingWorld(workers=0)
    first = world.join("w")
    task = running(world)
    world.crash()
    world.away.clear()
    again = world.join("w")
    assert again is not first and again.assigned
    assert world.core.state.tasks.by_id[task].losses == 1


def test_attempts_that_are_nobodys_any_more_are_stopped() -> None:
    world = RestartingWorld(workers=1)
    task = running(world)
    world.crash()
    world.say(m.CancelTasks((task,)))
    (worker,) = world.workers.values()
    (attempt,) = worker.running
    world.worker_returns(worker)
    assert w.CancelAttempts((attempt,)) in worker.received
    assert world.results[task].outcome is Outcome.CANCELLED


def test_an_object_is_not_made_again_while_its_maker_may_bring_it_back() -> None:
    world = RestartingWorld(workers=1)
    temp = world.temp()
    producer = world.submit(outputs=(temp,))
    world.settle()
    world.crash()
    consumer = world.submit((temp,))
    world.join()
    assert world.state_of(producer) == "done"
    assert "may have, to come back" in world.core.why(consumer, world.now)
    world.settle()
    assert consumer in world.results and world.runs[producer] == 1


def test_an_object_whose_maker_is_gone_is_made_again() -> None:
    world = RestartingWorld(workers=1, lease_s=30.0)
    temp = world.temp()
    producer = world.submit(outputs=(temp,))
    world.settle()
    world.crash()
    consumer = world.submit((temp,))
    world.workers.clear()
    world.away.clear()
    world.join()
    world.pass_time(30)
    world.settle()
    assert consumer in world.results and world.runs[producer] == 2


def test_results_that_a_client_has_not_had_are_told_when_it_comes_back_and_no_others() -> None:
    world = RestartingWorld(workers=1)
    known = world.submit()
    world.settle()
    world.commit()
    lacking = running(world)
    world.crash()
    (worker,) = world.workers.values()
    world.worker_returns(worker)
    world.happen(("end", worker, next(iter(worker.running))))
    assert lacking not in world.results, "its client is away"
    before = len(world.sent(m.TasksEnded))
    world.client_returns()
    told = [action.message.results for action in world.sent(m.TasksEnded)[before:]]  # type: ignore[union-attr]
    assert [[result.task_id for result in results] for results in told] == [[lacking]]
    assert known in world.results


def test_nothing_is_given_out_before_those_are_back_who_may_run_it_already_or_their_grace_is_over() -> None:
    world = RestartingWorld(workers=2)
    world.crash()
    task = world.submit()
    world.worker_returns(next(iter(world.away.values())))
    assert world.state_of(task) == "ready"
    world.pass_time(config.return_grace_s)
    assert world.state_of(task) == "staged"


def test_a_task_that_only_an_awaited_worker_fits_is_waited_with() -> None:
    world = RestartingWorld(lease_s=30.0, no_fit_grace_s=1.0)
    world.join("large", cores=4)
    world.join("small", cores=1)
    world.crash()
    task = world.submit(request=Request(cores=4))
    world.worker_returns(world.workers[WorkerId("small")])
    world.pass_time(5)
    world.pass_time(5)
    assert world.state_of(task) == "ready"
    world.lose("large")
    world.pass_time(30)
    world.pass_time(5)
    assert world.results[task].outcome is Outcome.NO_WORKER_FITS


def test_an_end_that_is_told_before_a_worker_has_said_what_it_has_does_not_count() -> None:
    world = RestartingWorld(workers=1)
    world.large_values = True
    running(world)
    (worker,) = world.workers.values()
    world.crash()
    (attempt,) = worker.running
    world.happen(("end", worker, attempt))
    hello = msgspec.structs.replace(world._hellos[worker.worker_id], epoch=1)
    world.step(world.core.handle(worker.peer, hello, world.now))
    (message,) = world._told[worker.worker_id].again()
    world.step(world.core.handle(worker.peer, message, world.now))
    assert not world.sent(w.DropObjects), "what the end has made was taken for nobody's"


def test_of_a_task_that_was_lost_with_the_end_of_the_journal_its_client_is_told() -> None:
    world = RestartingWorld()
    world.commit()
    task = world.submit()
    world._said = Kept()  # It was told that this is written, which the machine has forgotten.
    world.settings = dataclasses.replace(world.settings, lossy=True)
    world.crash(unwritten=1)
    world.client_returns()
    assert "submit it again" in world.results[task].message


def test_a_client_that_does_not_come_back_within_its_lease_is_given_up_with_its_tasks() -> None:
    world = RestartingWorld(workers=0, lease_s=30.0)
    world.submit()
    world.crash()
    world.now += 31
    world.step(world.core.tick(world.now))
    assert not world.core.state.clients
    assert world.core.state.tasks.counts[TaskState.CANCELLED] == 1


def test_a_worker_gets_nothing_to_do_before_it_has_said_what_it_has() -> None:
    world = RestartingWorld(workers=1)
    world.crash()
    world.submit()
    (worker,) = world.workers.values()
    hello = msgspec.structs.replace(world._hellos[worker.worker_id], epoch=1)
    world.step(world.core.handle(worker.peer, hello, world.now))
    world.pass_time(config.return_grace_s)
    assert not worker.assigned
    world.step(world.core.handle(worker.peer, w.WorkerReturned(()), world.now))
    assert worker.assigned


def test_an_attempt_whose_end_is_written_is_not_taken_over_though_its_worker_still_tells_of_it() -> None:
    world = RestartingWorld(workers=1)
    world.outcome = lambda assignment: Outcome.EXCEPTION
    task = running(world, retries=1)
    (worker,) = world.workers.values()
    (attempt,) = worker.running
    world.say(m.SetHosts(("host",), HostStanding.BLOCKED))  # So it is ready when the manager dies.
    world.happen(("end", worker, attempt))
    world.crash()
    world.happen(("returns", worker, None))
    record = world.core.state.tasks.by_id[task]
    assert record.failures == 1, "its one failure counts once"
    assert w.CancelAttempts((attempt,)) in worker.received  # type: ignore[arg-type]
    world.say(m.SetHosts(("host",), HostStanding.OPEN))
    world.settle()
    assert world.runs[task] == 2


def test_the_journal_says_that_an_attempt_runs_which_was_only_assigned_when_the_manager_died() -> None:
    world = RestartingWorld(workers=1)
    task = running(world)
    world.crash(unwritten=1)
    world.worker_returns(next(iter(world.away.values())))
    assert world.written().tasks[task].attempts[0].begun


def test_a_task_that_is_cancelled_while_it_is_held_back_leaves_no_attempt_open() -> None:
    world = RestartingWorld(workers=1)
    task = running(world)
    world.crash()
    world.say(m.CancelTasks((task,)))
    assert world.results[task].outcome is Outcome.CANCELLED
    run = world.written()
    assert not run.tasks[task].attempts and run.tasks[task].state == "cancelled"


@pytest.mark.parametrize("ahead_s", [-1e6, 1e6])
def test_a_wall_clock_that_was_set_meanwhile_makes_leases_neither_end_at_once_nor_last_for_ever(ahead_s: float) -> None:
    world = RestartingWorld(workers=1, lease_s=600.0)
    task = running(world)
    world.settings = dataclasses.replace(world.settings, wall_clock_ahead_s=ahead_s)
    world.crash()
    (awaited,) = world.core.state.awaited.values()
    assert world.settings.client_lost_after_s <= awaited.until - world.now <= 600.0
    world.settle()
    assert world.runs[task] == 1


@pytest.mark.parametrize("ends_by_itself", [True, False])
def test_a_wall_clock_that_was_1970s_when_a_task_was_submitted_leaves_an_end_that_can_be_told(
    ends_by_itself: bool,
) -> None:
    # given a task that was submitted before the clock was set
    world = RestartingWorld()
    task = world.submit()
    world.settings = dataclasses.replace(world.settings, wall_clock_ahead_s=1.76e9)
    world.crash()
    world.client_returns()
    # when it ends: its client takes no message whose times are out of all bounds (`world` decodes each)
    if ends_by_itself:
        world.join()
    else:
        world.say(m.CancelTasks((task,)))
    world.settle()
    # then it hears of that
    assert world.results[task].outcome is (Outcome.SUCCESS if ends_by_itself else Outcome.CANCELLED)
    assert world.results[task].queue_s == config.told_s_max


def test_a_wall_clock_that_was_set_back_closes_a_host_for_no_longer_than_was_asked_for() -> None:
    world = RestartingWorld(workers=1)
    world.say(m.SetHosts(("host",), HostStanding.BLOCKED, 5.0))
    world.pass_time(1)
    world.commit()
    world.settings = dataclasses.replace(world.settings, wall_clock_ahead_s=-3600.0)
    world.crash()
    world.worker_returns(next(iter(world.away.values())))
    task = world.submit()
    world.pass_time(3)
    assert world.state_of(task) == "ready"
    world.crash()
    world.worker_returns(next(iter(world.away.values())))
    world.pass_time(3)
    assert world.state_of(task) == "staged", "each restart has closed it for as long once more"


@pytest.mark.parametrize("can_be_made_again", [True, False])
def test_what_its_maker_has_lost_and_another_worker_has_got_from_it_is_waited_for(can_be_made_again: bool) -> None:
    world = RestartingWorld(workers=1)
    (maker,) = world.workers
    local, temp = world.local_file(), world.temp()
    producer = world.submit((local,), (temp,))
    world.settle()
    other = world.join()
    known = world.core.state.files.object_of(temp)
    assert known is not None
    other.came(known.object_id, CacheLevel.WORKFLOW)
    world.say(w.ObjectsHeld((known.object_id,)), other.peer)
    if not can_be_made_again:
        world.say(m.ForgetFiles((local,)))
    world.lose(maker)
    world.commit()
    world.crash()
    taker = world.submit((temp,))
    if not can_be_made_again:
        world.pass_time(config.return_grace_s + 1)
    world.settle()
    assert world.results[taker].outcome is Outcome.SUCCESS and world.runs[producer] == 1


def test_a_client_that_was_given_up_is_not_taken_in_again_by_a_later_manager() -> None:
    world = RestartingWorld()
    world.submit()
    world.crash()
    world.now += world.settings.lease_s + 1
    world.step(world.core.tick(world.now))
    assert not world.core.state.clients
    world.crash()
    world.client_returns()
    assert not world.core.state.clients and world.sent(m.Refused)


def test_a_client_that_waits_for_a_task_whose_result_it_has_forgotten_is_told_that_it_has_ended() -> None:
    world = RestartingWorld(workers=1)
    task = world.submit()
    world.settle()
    world.say(m.ForgetResults((task,)))
    world.commit()
    world.crash()
    del world.results[task]
    world.client_returns()
    assert "had ended" in world.results[task].message
