"""Does the fleet have the size that its work needs, under every order of events?"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from vine import config
from vine.names import WorkerId
from vine.wire.messages import FleetDemand
from vine.wire.parts import Request, Resources, WorkDemand
from vine_factory.policy import Action, FleetLimits, FleetPolicy, Launch, Release, tasks_per_worker, workers_for

SIZE = Resources(cores=4, memory_mb=8_000, disk_mb=10_000)
ONE_CORE = Request(cores=1)
WHOLE = Request(cores=4)
IDLE_TIMEOUT_S = 60.0


def policy(minimum: int = 0, maximum: int = 10) -> FleetPolicy:
    return FleetPolicy(FleetLimits(minimum, maximum, SIZE, IDLE_TIMEOUT_S), "local")


def work(waiting: int = 0, running: int = 0, *, connected: str = "", idle: str = "") -> FleetDemand:
    """A demand of so many one-worker tasks, and the workers as their numbers: "12" for local-1 and local-2."""
    return FleetDemand(
        waiting=(WorkDemand(WHOLE, waiting),),
        running=(WorkDemand(WHOLE, running),),
        connected=tuple(WorkerId(f"local-{number}") for number in connected),
        idle=tuple(WorkerId(f"local-{number}") for number in idle),
    )


def launched(*numbers: int) -> list[Action]:
    return [Launch(WorkerId(f"local-{number}")) for number in numbers]


def released(*numbers: int, reason: str = "idle") -> list[Action]:
    return [Release(WorkerId(f"local-{number}"), reason) for number in numbers]


# --- growing -------------------------------------------------------------------------------------


def test_the_minimum_is_launched_before_there_is_any_work() -> None:
    assert policy(minimum=2).tick(0.0) == launched(1, 2)


def test_the_fleet_grows_to_the_work_at_once_and_not_beyond() -> None:
    fleet = policy()
    assert fleet.demand(work(waiting=3), 0.0) == launched(1, 2, 3)
    assert fleet.demand(work(waiting=3), 1.0) == []  # They are on their way.


def test_the_fleet_stops_at_its_maximum() -> None:
    fleet = policy(maximum=2)
    assert fleet.demand(work(waiting=1_000), 0.0) == launched(1, 2)
    assert fleet.next_deadline() is None


def test_work_that_fits_no_worker_of_ours_launches_none() -> None:
    huge = FleetDemand(waiting=(WorkDemand(Request(cores=64), 5),), running=(), connected=(), idle=())
    assert policy().demand(huge, 0.0) == []


def test_tasks_that_others_workers_run_launch_none_of_ours() -> None:
    fleet = policy()
    assert fleet.demand(FleetDemand((), (WorkDemand(WHOLE, 5),), (WorkerId("by-hand"),), ()), 0.0) == []


def test_a_small_task_that_waits_for_a_moment_goes_to_the_room_that_busy_workers_have() -> None:
    fleet = policy()
    assert fleet.demand(FleetDemand((WorkDemand(ONE_CORE, 5),), (), (), ()), 0.0) == launched(1, 2)
    both = (WorkerId("local-1"), WorkerId("local-2"))
    more = FleetDemand((WorkDemand(ONE_CORE, 1),), (WorkDemand(ONE_CORE, 5),), both, ())
    assert fleet.demand(more, 1.0) == []


def test_a_worker_that_ended_is_replaced_while_its_work_is_there() -> None:
    fleet = policy()
    fleet.demand(work(waiting=1), 0.0)
    fleet.demand(work(running=1, connected="1"), 1.0)
    fleet.demand(work(waiting=1), 100.0)
    assert fleet.ended(WorkerId("local-1"), 100.0) == launched(2)


# --- shrinking -----------------------------------------------------------------------------------


def test_an_idle_worker_in_surplus_is_released_after_the_timeout() -> None:
    fleet = policy()
    fleet.demand(work(waiting=2), 0.0)
    fleet.demand(work(running=2, connected="12"), 1.0)
    assert fleet.demand(work(running=1, connected="12", idle="2"), 10.0) == []
    assert fleet.next_deadline() == 10.0 + IDLE_TIMEOUT_S
    assert fleet.tick(10.0 + IDLE_TIMEOUT_S) == released(2)
    assert fleet.next_deadline() is None


def test_the_minimum_stays_however_idle_it_is() -> None:
    fleet = policy(minimum=2)
    fleet.tick(0.0)
    assert fleet.demand(work(connected="12", idle="12"), 1.0) == []
    assert fleet.tick(1e6) == []
    assert fleet.next_deadline() is None


def test_a_burst_within_the_timeout_keeps_the_fleet() -> None:
    fleet = policy()
    fleet.demand(work(waiting=1), 0.0)
    for start in range(0, 600, 50):
        assert fleet.demand(work(connected="1", idle="1"), start + 1.0) == []
        assert fleet.demand(work(running=1, connected="1"), start + 49.0) == []


def test_a_busy_worker_stays_though_the_fleet_is_too_large() -> None:
    fleet = policy()
    fleet.demand(work(waiting=2), 0.0)
    fleet.demand(FleetDemand((), (WorkDemand(ONE_CORE, 2),), work(connected="12").connected, ()), 1.0)
    assert fleet.tick(1_000.0) == []


def test_launches_that_nobody_needs_any_more_are_withdrawn_before_workers_with_caches() -> None:
    fleet = policy()
    fleet.demand(work(waiting=2), 0.0)
    fleet.demand(work(connected="1", idle="1"), 1.0)
    assert fleet.tick(1.0 + IDLE_TIMEOUT_S) == released(2, 1)


def test_a_worker_that_leaves_keeps_its_place_until_it_is_gone() -> None:
    fleet = policy(maximum=1)
    fleet.demand(work(waiting=1), 0.0)
    fleet.demand(work(connected="1", idle="1"), 1.0)
    assert fleet.tick(1.0 + IDLE_TIMEOUT_S) == released(1)
    assert fleet.demand(work(waiting=1), 100.0) == []
    assert fleet.ended(WorkerId("local-1"), 101.0) == launched(2)


def test_a_worker_that_the_manager_lost_is_given_up_and_replaced() -> None:
    fleet = policy(minimum=1)
    fleet.tick(0.0)
    fleet.demand(work(connected="1"), 1.0)
    fleet.demand(work(), 20.0)
    deadline = 20.0 + config.manager_lost_after_s
    assert fleet.next_deadline() == deadline
    assert fleet.tick(deadline) == [*released(1, reason="lost by the manager"), *launched(2)]


def test_a_worker_that_the_manager_found_again_stays() -> None:
    fleet = policy(minimum=1)
    fleet.tick(0.0)
    fleet.demand(work(connected="1"), 1.0)
    fleet.demand(work(), 20.0)
    fleet.demand(work(connected="1"), 30.0)
    assert fleet.tick(1_000.0) == []


# --- young deaths --------------------------------------------------------------------------------


def test_workers_that_die_young_are_replaced_ever_later() -> None:
    fleet = policy(minimum=1)
    fleet.tick(0.0)
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
    fleet.tick(0.0)
    for number in range(1, 5):
        assert fleet.ended(WorkerId(f"local-{number}"), 0.0) == []
    assert fleet.next_deadline() == 0.0 + config.launch_backoff_s


def test_a_straggler_of_a_wave_that_died_is_not_replaced_at_once_either() -> None:
    fleet = policy(minimum=2, maximum=2)
    fleet.tick(0.0)
    fleet.ended(WorkerId("local-1"), 0.0)
    fleet.tick(5.0)
    assert fleet.ended(WorkerId("local-2"), 5.0) == []
    assert fleet.next_deadline() == 5.0 + config.launch_backoff_s


def test_a_worker_that_grows_old_ends_the_pauses() -> None:
    fleet = policy(minimum=1)
    fleet.tick(0.0)
    fleet.ended(WorkerId("local-1"), 0.0)
    assert fleet.backing_off
    fleet.tick(1.0)
    fleet.demand(work(connected="2", idle="2"), 1.0 + config.worker_young_s)
    assert not fleet.backing_off
    assert fleet.ended(WorkerId("local-2"), 20.0) == launched(3)


def test_an_old_worker_from_before_the_deaths_ends_no_pause() -> None:
    fleet = policy()
    fleet.demand(work(waiting=1), 0.0)
    fleet.demand(work(waiting=1, running=1, connected="1"), 100.0)
    fleet.ended(WorkerId("local-2"), 101.0)
    fleet.tick(102.0)
    assert fleet.backing_off


# --- how much work is how many workers -----------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "fitting"),
    [
        (Request(cores=1), 4),
        (Request(cores=3), 1),
        (Request(cores=0.1), 40),
        (Request(cores=1, memory_mb=4_000), 2),
        (Request(disk_mb=10_000), 1),
        (Request(cores=5), 0),
        (Request(gpus=1), 0),
        (Request(), 1),
        (Request(cores=0, memory_mb=4_000), 2),
    ],
)
def test_the_scarcest_resource_tells_how_many_tasks_a_worker_takes(request_: Request, fitting: int) -> None:
    assert tasks_per_worker(request_, SIZE) == fitting


def test_small_tasks_share_a_worker() -> None:
    assert workers_for((WorkDemand(ONE_CORE, 3), WorkDemand(Request(memory_mb=4_000), 1)), SIZE) == 2
    assert workers_for((WorkDemand(Request(cores=0.1), 40),), SIZE) == 1


@pytest.mark.parametrize(("gpus", "fitting"), [(1, 2), (2, 1), (3, 0), (0.5, 4), (0.6, 2), (0.1, 20)])
def test_a_share_of_a_gpu_is_of_one_device(gpus: float, fitting: int) -> None:
    assert tasks_per_worker(Request(gpus=gpus), Resources(4, 8_000, 10_000, 2)) == fitting


# --- every order of events -----------------------------------------------------------------------


class Fleet(RuleBasedStateMachine):
    """A policy beside a model of the workers that it launched, with what each of them is doing."""

    @initialize(minimum=st.integers(0, 3), more=st.integers(0, 4))
    def begin(self, minimum: int, more: int) -> None:
        self.minimum, self.maximum = minimum, minimum + more
        self.policy = policy(self.minimum, self.maximum)
        self.now = 0.0
        self.alive: dict[WorkerId, float] = {}  # launched at
        self.connected: set[WorkerId] = set()
        self.busy: set[WorkerId] = set()  # as the last demand said
        self.leaving: set[WorkerId] = set()
        self.launched_at = -IDLE_TIMEOUT_S
        self.paused_until = 0.0
        self.follow(self.policy.tick(self.now))

    def follow(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Launch):
                assert action.worker_id not in self.alive
                self.alive[action.worker_id] = self.launched_at = self.now
            else:
                assert action.worker_id in self.alive.keys() - self.leaving
                self.leaving.add(action.worker_id)
                if action.reason == "idle":
                    assert action.worker_id not in self.busy, "released a busy worker"
                    assert len(self.alive) - len(self.leaving) >= self.minimum, "released below the minimum"
                    assert self.now >= self.launched_at + IDLE_TIMEOUT_S, "released soon after a launch: it flaps"

    @rule(pause_s=st.sampled_from([0.01, 0.5, 5.0, 30.0, 61.0]))
    def wait(self, pause_s: float) -> None:
        self.now += pause_s
        self.follow(self.policy.tick(self.now))

    @precondition(lambda self: self.policy.next_deadline() is not None)
    @rule()
    def wait_for_the_deadline(self) -> None:
        deadline = self.policy.next_deadline()
        assert deadline is not None and deadline >= self.now, "a deadline in the past would spin"
        self.now = deadline
        self.follow(self.policy.tick(self.now))
        after = self.policy.next_deadline()
        assert after is None or after > self.now, "a deadline that changes nothing would spin"

    @rule(waiting=st.integers(0, 12), request=st.sampled_from([ONE_CORE, WHOLE, Request(cores=64)]), data=st.data())
    def demand(self, waiting: int, request: Request, data: st.DataObject) -> None:
        ours = sorted(self.alive)
        self.connected = set(data.draw(st.lists(st.sampled_from(ours), unique=True))) if ours else set()
        busy = data.draw(st.lists(st.sampled_from(sorted(self.connected)), unique=True)) if self.connected else []
        self.busy = set(busy)
        message = FleetDemand(
            waiting=(WorkDemand(request, waiting),),
            running=(WorkDemand(ONE_CORE, len(busy)),),
            connected=(*sorted(self.connected), WorkerId("of-another")),
            idle=tuple(sorted(self.connected - self.busy)),
        )
        self.follow(self.policy.demand(message, self.now))

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def a_worker_ends(self, data: st.DataObject) -> None:
        worker_id = data.draw(st.sampled_from(sorted(self.alive)))
        self.busy.discard(worker_id)
        unasked = worker_id not in self.leaving
        self.leaving.discard(worker_id)
        died_young = self.now - self.alive.pop(worker_id) < config.worker_young_s
        actions = self.policy.ended(worker_id, self.now)
        if died_young and unasked:
            assert not any(isinstance(action, Launch) for action in actions), "no pause after a young death"
            self.paused_until = self.now + config.launch_backoff_max_s
        self.follow(actions)

    @rule()
    def a_worker_of_others_ends(self) -> None:
        assert self.policy.ended(WorkerId("of-another"), self.now) == []

    @invariant()
    def the_fleet_stays_within_its_limits(self) -> None:
        if not hasattr(self, "policy"):
            return
        assert len(self.alive) <= self.maximum
        active = len(self.alive) - len(self.leaving)
        room = self.maximum - len(self.alive)
        if self.now >= self.paused_until and room > 0:
            assert active >= self.minimum
        assert self.policy.starting + self.policy.running <= active


Fleet.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestFleet = Fleet.TestCase
