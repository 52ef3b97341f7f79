"""Does the fleet have the size that its work needs, under every order of events?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.factory.made import (
    IDLE_TIMEOUT_S,
    LIMITS,
    ONE_CORE,
    WHOLE,
    cancelled,
    drained,
    launched,
    names,
    policy,
    work,
)
from vine import config
from vine.names import WorkerId
from vine.wire.messages import FleetDemand
from vine.wire.parts import Request, WorkDemand
from vine_factory.fleet import JobState
from vine_factory.policy import Drain, FleetLimits, FleetPolicy, Keep

RUNNING, PENDING, HELD = JobState.RUNNING, JobState.PENDING, JobState.HELD


# --- growing -------------------------------------------------------------------------------------


def test_the_minimum_is_launched_before_there_is_any_work() -> None:
    assert FleetPolicy(replace(LIMITS, min_workers=2), "local").listed({}, 0.0) == launched(1, 2)


def test_nothing_is_launched_before_the_batch_system_has_said_what_it_has() -> None:
    fleet = FleetPolicy(replace(LIMITS, min_workers=1), "local")
    assert fleet.tick(0.0) == []
    assert fleet.demand(work(waiting=3), 1.0) == []
    assert fleet.next_deadline() is None
    assert fleet.listed({}, 2.0) == launched(1, 2, 3)


def test_the_fleet_grows_to_the_work_at_once_and_not_beyond() -> None:
    fleet = policy()
    assert fleet.demand(work(waiting=3), 0.0) == launched(1, 2, 3)
    assert fleet.demand(work(waiting=3), 1.0) == []  # They are on their way.


def test_the_fleet_stops_at_its_maximum() -> None:
    fleet = policy(maximum=2)
    assert fleet.demand(work(waiting=1_000), 0.0) == launched(1, 2)
    assert fleet.next_deadline() is None


def test_workers_that_a_client_waits_for_come_beside_those_that_idle_here() -> None:
    fleet = policy()
    assert fleet.demand(work(waiting=1), 0.0) == launched(1)
    assert fleet.demand(FleetDemand((), (), names(1), names(1), missing=2), 1.0) == launched(2, 3)
    # and none of them goes while it waits
    assert fleet.demand(FleetDemand((), (), names(1, 2), names(1, 2), missing=1), 2.0) == []
    assert fleet.tick(2.0 + 2 * IDLE_TIMEOUT_S) == []


def test_work_that_fits_no_worker_of_ours_launches_none() -> None:
    huge = FleetDemand(waiting=(WorkDemand(Request(cores=64), 5),), running=(), connected=(), idle=())
    assert policy().demand(huge, 0.0) == []


def test_tasks_that_others_workers_run_launch_none_of_ours() -> None:
    fleet = policy()
    assert fleet.demand(FleetDemand((), (WorkDemand(WHOLE, 5),), (WorkerId("by-hand"),), ()), 0.0) == []


def test_a_small_task_that_waits_for_a_moment_goes_to_the_room_that_busy_workers_have() -> None:
    fleet = policy()
    assert fleet.demand(FleetDemand((WorkDemand(ONE_CORE, 5),), (), (), ()), 0.0) == launched(1, 2)
    more = FleetDemand((WorkDemand(ONE_CORE, 1),), (WorkDemand(ONE_CORE, 5),), names(1, 2), ())
    assert fleet.demand(more, 1.0) == []


def test_a_worker_that_ended_is_replaced_while_its_work_is_there() -> None:
    fleet = policy()
    fleet.demand(work(waiting=1), 0.0)
    fleet.demand(work(running=1, connected="1"), 1.0)
    fleet.demand(work(waiting=1), 100.0)
    assert fleet.ended(WorkerId("local-1"), 100.0) == launched(2)


def test_no_more_are_asked_for_in_a_cycle_than_the_user_allows() -> None:
    fleet = policy(workers_per_cycle=2, cycle_s=30.0)
    assert fleet.demand(work(waiting=5), 0.0) == launched(1, 2)
    assert fleet.tick(29.0) == []
    assert fleet.next_deadline() == 30.0
    assert fleet.tick(30.0) == launched(3, 4)
    assert fleet.tick(60.0) == launched(5)


def test_a_user_may_say_for_how_many_tasks_a_worker_is_launched_and_those_who_could_be_busy_stay() -> None:
    fleet = policy(tasks_per_worker=100.0)
    assert fleet.demand(work(waiting=250), 0.0) == launched(1, 2, 3)
    fleet.demand(work(waiting=10, running=3, connected="123"), 1.0)
    assert fleet.tick(500.0) == []
    assert fleet.next_deadline() is None
    fleet.demand(work(running=2, connected="123", idle="2"), 501.0)
    assert fleet.tick(501.0 + IDLE_TIMEOUT_S) == drained(2)


def test_no_more_workers_come_than_the_manager_can_keep_busy_where_the_user_wants_it_so() -> None:
    fed = FleetDemand((WorkDemand(ONE_CORE, 400),), (), (), (), tasks_at_once_max=9)
    assert policy(within_capacity=True).demand(fed, 0.0) == launched(1, 2)
    assert len(policy(maximum=30).demand(fed, 0.0)[0].worker_ids) == 30  # type: ignore[union-attr]
    unknown = FleetDemand((WorkDemand(ONE_CORE, 8),), (), (), ())
    assert policy(within_capacity=True).demand(unknown, 0.0) == launched(1, 2)


def test_a_limit_that_is_raised_counts_at_once() -> None:
    fleet = policy(maximum=1)
    assert fleet.demand(work(waiting=3), 0.0) == launched(1)
    assert fleet.change(replace(LIMITS, max_workers=2), 1.0) == launched(2)


# --- shrinking -----------------------------------------------------------------------------------


def test_an_idle_worker_in_surplus_is_drained_after_the_timeout() -> None:
    fleet = policy()
    fleet.demand(work(waiting=2), 0.0)
    fleet.demand(work(running=2, connected="12"), 1.0)
    assert fleet.demand(work(running=1, connected="12", idle="2"), 10.0) == []
    assert fleet.next_deadline() == 10.0 + IDLE_TIMEOUT_S
    assert fleet.tick(10.0 + IDLE_TIMEOUT_S) == drained(2)
    assert fleet.draining == names(2)
    assert fleet.next_deadline() is None


def test_the_minimum_stays_however_idle_it_is() -> None:
    fleet = policy(minimum=2)
    assert fleet.demand(work(connected="12", idle="12"), 1.0) == []
    assert fleet.tick(1e6) == []
    assert fleet.next_deadline() is None


def test_a_burst_within_the_timeout_keeps_the_fleet() -> None:
    fleet = policy()
    fleet.demand(work(waiting=1), 0.0)
    for start in range(0, 600, 50):
        assert fleet.demand(work(connected="1", idle="1"), start + 1.0) == []
        assert fleet.demand(work(running=1, connected="1"), start + 49.0) == []


def test_busy_workers_are_drained_last_when_fewer_would_do() -> None:
    fleet = policy()
    fleet.demand(work(waiting=3), 0.0)
    small = FleetDemand((), (WorkDemand(ONE_CORE, 2),), names(1, 2, 3), names(3))
    fleet.demand(small, 1.0)
    assert fleet.tick(1.0 + IDLE_TIMEOUT_S) == drained(3, 1)


def test_launches_that_nobody_needs_any_more_are_withdrawn_before_workers_with_caches() -> None:
    fleet = policy()
    fleet.demand(work(waiting=2), 0.0)
    fleet.submitted(names(1, 2), 0.5)
    fleet.demand(work(connected="1", idle="1"), 1.0)
    assert fleet.tick(1.0 + IDLE_TIMEOUT_S) == drained(2, 1)


def test_a_job_is_withdrawn_only_when_the_manager_has_heard_that_its_worker_is_to_get_nothing() -> None:
    # Given two workers that have not come, as far as we know, and are not needed
    fleet = policy()
    fleet.demand(work(waiting=2), 0.0)
    fleet.submitted(names(1, 2), 0.5)
    fleet.demand(work(), 1.0)
    now = 1.0 + IDLE_TIMEOUT_S
    assert fleet.tick(now) == drained(1, 2)
    assert fleet.draining == names(1, 2)
    # When one has come before the manager has heard, and works
    assert fleet.demand(work(running=1, connected="1"), now + 1.0) == [Keep(WorkerId("local-1"))]
    # Then only the other one's job is cancelled, and the manager still gives that nothing until it is gone
    heard = work(running=1, connected="1", draining="2")
    assert fleet.demand(heard, now + 2.0) == cancelled(2, reason="not needed any more")
    assert fleet.draining == names(2)
    fleet.ended(WorkerId("local-2"), now + 3.0)
    assert fleet.draining == () and not fleet.backing_off


def test_who_is_on_the_way_to_the_batch_system_is_withdrawn_when_that_has_answered() -> None:
    fleet = policy()
    fleet.demand(work(waiting=1), 0.0)
    fleet.demand(work(), 1.0)
    assert fleet.tick(1.0 + IDLE_TIMEOUT_S) == []
    assert fleet.submitted(names(1), 100.0) == drained(1)


def test_who_is_drained_is_kept_when_work_comes_and_only_the_rest_is_launched() -> None:
    fleet = policy()
    fleet.demand(work(waiting=1), 0.0)
    fleet.demand(work(connected="1", idle="1"), 1.0)
    assert fleet.tick(1.0 + IDLE_TIMEOUT_S) == drained(1)
    assert fleet.demand(work(waiting=2, connected="1", idle="1"), 90.0) == [Keep(WorkerId("local-1")), *launched(2)]
    assert fleet.draining == ()


def test_a_worker_that_leaves_keeps_its_place_until_it_is_gone() -> None:
    fleet = policy(maximum=1)
    fleet.demand(work(waiting=1), 0.0)
    fleet.demand(work(connected="1", idle="1"), 1.0)
    assert fleet.tick(1.0 + IDLE_TIMEOUT_S) == drained(1)
    fleet.demand(work(), 90.0)
    assert fleet.demand(work(waiting=1), 100.0) == []
    assert fleet.ended(WorkerId("local-1"), 101.0) == launched(2)
    assert not fleet.backing_off


def test_a_drained_worker_that_has_left_and_whose_job_does_not_end_is_cancelled() -> None:
    fleet = policy()
    fleet.demand(work(waiting=1), 0.0)
    fleet.demand(work(connected="1", idle="1"), 1.0)
    fleet.tick(1.0 + IDLE_TIMEOUT_S)
    fleet.demand(work(), 70.0)
    assert fleet.next_deadline() == 70.0 + config.manager_lost_after_s
    assert fleet.tick(70.0 + config.manager_lost_after_s) == cancelled(1, reason="lost by the manager")


def test_a_limit_that_is_lowered_counts_at_once() -> None:
    fleet = policy()
    fleet.demand(work(waiting=3), 0.0)
    fleet.submitted(names(1, 2, 3), 0.5)
    fleet.demand(work(running=2, waiting=1, connected="12"), 1.0)
    assert fleet.change(replace(LIMITS, max_workers=1), 2.0) == drained(3, 1)
    heard = work(running=2, waiting=1, connected="12", draining="13")
    assert fleet.demand(heard, 3.0) == cancelled(3, reason="not needed any more")


def test_a_worker_that_the_manager_lost_is_given_up_and_replaced() -> None:
    fleet = policy(minimum=1)
    fleet.demand(work(connected="1"), 1.0)
    fleet.demand(work(), 20.0)
    deadline = 20.0 + config.manager_lost_after_s
    assert fleet.next_deadline() == deadline
    assert fleet.tick(deadline) == [*cancelled(1, reason="lost by the manager"), *launched(2)]


def test_a_worker_that_the_manager_found_again_stays() -> None:
    fleet = policy(minimum=1)
    fleet.demand(work(connected="1"), 1.0)
    fleet.demand(work(), 20.0)
    fleet.demand(work(connected="1"), 30.0)
    assert fleet.tick(1_000.0) == []


def test_a_job_whose_worker_never_comes_is_given_up_with_a_pause() -> None:
    fleet = policy(minimum=1)
    fleet.submitted(names(1), 0.0)
    fleet.listed({WorkerId("local-1"): RUNNING}, 5.0)
    assert fleet.next_deadline() == 5.0 + config.worker_start_max_s
    [action] = fleet.tick(5.0 + config.worker_start_max_s)
    assert isinstance(action, Drain) and action.worker_id == WorkerId("local-1")
    assert fleet.draining == names(1)
    assert fleet.backing_off
    why = f"not heard by the manager {config.worker_start_max_s:g} s after its start"
    assert fleet.trouble.startswith(f"worker local-1: {why}")
    assert fleet.demand(work(draining="1"), 700.0)[-1] == cancelled(1, reason=why)[0]


# --- the batch system ----------------------------------------------------------------------------


def test_jobs_of_an_earlier_factory_are_adopted_and_not_doubled() -> None:
    fleet = FleetPolicy(replace(LIMITS, min_workers=2), "local-2")
    earlier = {WorkerId("local-1-7"): PENDING, WorkerId("local-1-8"): RUNNING}
    assert fleet.listed(earlier, 0.0) == []
    assert (fleet.pending, fleet.starting) == (1, 1)
    busy = FleetDemand((), (WorkDemand(WHOLE, 2),), (WorkerId("local-1-7"), WorkerId("local-1-8")), ())
    assert fleet.demand(busy, 1.0) == []
    assert fleet.running == 2


def test_who_is_adopted_stays_until_the_manager_has_said_what_there_is_to_do_and_as_long_as_others_after_that() -> None:
    fleet = FleetPolicy(LIMITS, "local-2")
    assert fleet.listed({WorkerId("local-1-7"): RUNNING}, 0.0) == []
    assert fleet.tick(500.0) == []
    idle = FleetDemand((), (), (WorkerId("local-1-7"),), (WorkerId("local-1-7"),))
    assert fleet.demand(idle, 501.0) == [Drain(WorkerId("local-1-7"))]
    fleet = FleetPolicy(LIMITS, "local-2")
    fleet.demand(idle, 0.0)
    assert fleet.listed({WorkerId("local-1-7"): RUNNING}, 1.0) == []
    assert fleet.tick(IDLE_TIMEOUT_S) == []
    assert fleet.tick(1.0 + IDLE_TIMEOUT_S) == [Drain(WorkerId("local-1-7"))]


def test_who_is_adopted_is_known_to_be_busy_by_what_the_manager_has_said_before() -> None:
    fleet = FleetPolicy(LIMITS, "local-2")
    adopted = WorkerId("local-1-7")
    fleet.demand(FleetDemand((), (WorkDemand(WHOLE, 1),), (adopted,), ()), 0.0)
    assert fleet.listed({adopted: RUNNING}, 1.0) == []
    assert fleet.running == 1
    assert fleet.tick(1_000.0) == []


def test_what_is_adopted_beyond_the_maximum_is_let_go() -> None:
    fleet = FleetPolicy(replace(LIMITS, max_workers=1), "local-2")
    earlier = {WorkerId("a"): PENDING, WorkerId("b"): PENDING}
    fleet.demand(work(waiting=5), 0.0)
    [action] = fleet.listed(earlier, 1.0)
    assert isinstance(action, Drain)


def test_a_refused_submission_that_was_taken_all_the_same_is_adopted() -> None:
    fleet = policy(minimum=1)
    assert fleet.refused(names(1), 1.0) == []
    assert fleet.listed({WorkerId("local-1"): PENDING}, 1.5) == []
    assert fleet.tick(100.0) == []


def test_after_a_refusal_there_is_a_pause_and_fewer_are_asked_for_at_once() -> None:
    fleet = policy()
    assert fleet.demand(work(waiting=8), 0.0) == launched(*range(1, 9))
    assert fleet.refused(names(*range(1, 9)), 1.0) == []
    assert fleet.backing_off
    assert fleet.next_deadline() == 1.0 + config.launch_backoff_s
    assert fleet.tick(2.0) == launched(9, 10, 11, 12)
    assert fleet.submitted(names(9, 10, 11, 12), 3.0) == launched(13, 14, 15, 16)


def test_a_held_job_is_cancelled_and_counts_as_trouble() -> None:
    fleet = policy(minimum=1)
    fleet.submitted(names(1), 0.0)
    assert fleet.listed({WorkerId("local-1"): HELD}, 5.0) == cancelled(1, reason="held by the batch system")
    assert fleet.backing_off


def test_a_job_that_goes_back_into_the_queue_waits_there_again() -> None:
    fleet = policy(minimum=1)
    fleet.submitted(names(1), 0.0)
    fleet.listed({WorkerId("local-1"): RUNNING}, 5.0)
    assert (fleet.pending, fleet.starting) == (0, 1)
    fleet.listed({WorkerId("local-1"): PENDING}, 15.0)
    assert (fleet.pending, fleet.starting) == (1, 0)
    assert fleet.next_deadline() is None


# --- young deaths --------------------------------------------------------------------------------


def test_workers_that_die_young_are_replaced_ever_later() -> None:
    fleet = policy(minimum=1)
    now, pauses = 0.0, []
    for number in range(1, 9):
        assert fleet.ended(WorkerId(f"local-{number}"), now) == []
        deadline = fleet.next_deadline()
        assert deadline is not None
        pauses.append(deadline - now)
        now = deadline
        assert fleet.tick(now) == launched(number + 1)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_workers_that_were_launched_together_and_die_together_count_once() -> None:
    fleet = policy(minimum=4, maximum=4)
    for number in range(1, 5):
        assert fleet.ended(WorkerId(f"local-{number}"), 0.0) == []
    assert fleet.next_deadline() == 0.0 + config.launch_backoff_s


def test_a_straggler_of_a_wave_that_died_is_not_replaced_at_once_either() -> None:
    fleet = policy(minimum=2, maximum=2)
    fleet.ended(WorkerId("local-1"), 0.0)
    fleet.tick(5.0)
    assert fleet.ended(WorkerId("local-2"), 5.0) == []
    assert fleet.next_deadline() == 5.0 + config.launch_backoff_s


def test_a_worker_that_ends_before_the_manager_has_seen_it_died_young_however_long_it_took() -> None:
    fleet = policy(minimum=1)
    fleet.submitted(names(1), 0.0)
    assert fleet.ended(WorkerId("local-1"), 500.0) == []
    assert fleet.backing_off


def test_a_worker_that_grows_old_ends_the_pauses() -> None:
    fleet = policy(minimum=1)
    fleet.ended(WorkerId("local-1"), 0.0)
    assert fleet.backing_off
    fleet.tick(1.0)
    fleet.demand(work(connected="2", idle="2"), 2.0)
    assert fleet.backing_off
    fleet.demand(work(connected="2", idle="2"), 2.0 + config.worker_young_s)
    assert not fleet.backing_off
    assert fleet.ended(WorkerId("local-2"), 20.0) == launched(3)


def test_an_old_worker_from_before_the_deaths_ends_no_pause() -> None:
    fleet = policy()
    fleet.demand(work(waiting=1), 0.0)
    fleet.demand(work(waiting=1, running=1, connected="1"), 100.0)
    fleet.ended(WorkerId("local-2"), 101.0)
    fleet.tick(102.0)
    assert fleet.backing_off


def test_who_was_asked_to_end_did_not_die_young() -> None:
    fleet = policy(maximum=2)
    fleet.demand(work(waiting=2), 0.0)
    fleet.submitted(names(1, 2), 0.5)
    fleet.demand(work(connected="1", idle="1"), 1.0)
    assert fleet.tick(1.0 + IDLE_TIMEOUT_S) == drained(2, 1)
    fleet.demand(work(draining="12"), 61.5)
    fleet.ended(WorkerId("local-2"), 62.0)
    fleet.ended(WorkerId("local-1"), 62.0)
    assert not fleet.backing_off and fleet.trouble == ""


def test_what_went_wrong_is_told_in_words_until_a_later_worker_has_grown_old() -> None:
    fleet = policy(minimum=2)
    fleet.submitted(names(1, 2), 0.0)
    fleet.ended(WorkerId("local-1"), 1.0, "no such key")
    assert fleet.trouble == "worker local-1: no such key (tried again 1 s later)"
    assert fleet.tick(2.0) == launched(3)
    fleet.refused(names(3), 3.0, "the queue is closed")
    assert fleet.trouble == "the queue is closed (tried again 2 s later)"
    fleet.listed({WorkerId("local-2"): HELD}, 4.0)
    assert fleet.trouble.startswith("worker local-2: held by the batch system")
    # An end that was wanted is none.
    fleet.ended(WorkerId("local-2"), 5.0, "as it was told to")
    assert "held by the batch system" in fleet.trouble
    fleet.tick(100.0)
    fleet.demand(work(connected="45", idle="45"), 101.0)
    fleet.demand(work(connected="45", idle="45"), 101.0 + config.worker_young_s)
    assert fleet.trouble == "" and not fleet.backing_off
    # One that the manager lost is told, though launches go on.
    fleet.demand(work(connected="5", idle="5"), 200.0)
    fleet.tick(200.0 + config.manager_lost_after_s)
    assert fleet.trouble == "worker local-4: lost by the manager"


@pytest.mark.parametrize("limits", [LIMITS, replace(LIMITS, min_workers=3, workers_per_cycle=1)])
def test_a_worker_of_others_that_ends_changes_nothing(limits: FleetLimits) -> None:
    fleet = FleetPolicy(limits, "local")
    fleet.listed({}, 0.0)
    assert fleet.ended(WorkerId("of-another"), 1.0) == []
