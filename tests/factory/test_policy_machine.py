"""Do the rules of the fleet hold under every order of events? A policy beside a model of the workers it launched."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.factory.made import IDLE_TIMEOUT_S, ONE_CORE, SIZE, WHOLE
from vine import config
from vine.names import WorkerId
from vine.wire.messages import FleetDemand
from vine.wire.parts import Request, WorkDemand
from vine_factory.fleet import JobState
from vine_factory.policy import Action, Cancel, Drain, FleetLimits, FleetPolicy, Keep, Launch

STATES = st.sampled_from([JobState.PENDING, JobState.RUNNING])


class FleetMachine(RuleBasedStateMachine):
    @initialize(
        minimum=st.integers(0, 3),
        more=st.integers(0, 4),
        per_cycle=st.sampled_from([None, 1, 3]),
        earlier=st.lists(STATES, max_size=3),
    )
    def begin(self, minimum: int, more: int, per_cycle: int | None, earlier: list[JobState]) -> None:
        self.minimum, self.maximum, self.per_cycle = minimum, max(minimum + more, len(earlier)), per_cycle
        limits = FleetLimits(minimum, self.maximum, SIZE, IDLE_TIMEOUT_S, workers_per_cycle=per_cycle, cycle_s=10.0)
        self.policy = FleetPolicy(limits, "local-2")
        self.now = 0.0
        self.jobs: dict[WorkerId, JobState] = {}  # at the batch system
        self.asked: dict[WorkerId, None] = {}  # launched, and not answered yet
        self.heard: frozenset[WorkerId] = frozenset()  # by the manager: whom it is to give nothing
        self.at_manager: set[WorkerId] = set()
        self.busy: set[WorkerId] = set()
        self.known: set[WorkerId] = set()  # as at the manager when the policy heard of it last
        self.draining: set[WorkerId] = set()
        self.left: set[WorkerId] = set()  # drained, and gone from the manager
        self.cancelled: set[WorkerId] = set()
        self.named: set[WorkerId] = set()
        self.launches: list[float] = []
        self.launched_at = -IDLE_TIMEOUT_S
        self.paused_until = 0.0
        assert self.policy.tick(self.now) == [], "launched before the batch system had said what there is"
        self.jobs = {WorkerId(f"local-1-{number}"): state for number, state in enumerate(earlier)}
        self.follow(self.policy.listed(self.jobs, self.now))

    # --- what the policy asks for ---

    @property
    def there(self) -> list[WorkerId]:
        return [*self.jobs, *self.asked]

    @property
    def staying(self) -> int:
        return len(set(self.there) - self.draining - self.left - self.cancelled)

    def follow(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Launch(worker_ids):
                    self._launched(worker_ids)
                case Keep(worker_id):
                    assert worker_id in self.draining
                    self.draining.discard(worker_id)
                case Drain(worker_id, reason):
                    assert worker_id in self.jobs.keys() | self.asked.keys()
                    assert worker_id not in self.draining | self.cancelled
                    self.draining.add(worker_id)
                    if reason == "not needed any more":
                        self._check_surplus()
                    else:
                        self.paused_until = self.now + config.launch_backoff_max_s
                case Cancel(worker_ids, reason):
                    assert worker_ids and not self.cancelled & set(worker_ids)
                    assert reason == "lost by the manager" or not self.busy & set(worker_ids), "who works is killed"
                    self.cancelled.update(worker_ids)
                    self.left.difference_update(worker_ids)
                    self.draining.difference_update(worker_ids)
                    if reason != "not needed any more":
                        self.paused_until = self.now + config.launch_backoff_max_s

    def _launched(self, worker_ids: tuple[WorkerId, ...]) -> None:
        assert worker_ids and not self.named & set(worker_ids), "a name was given twice"
        assert not self.draining & self.known, "launched while there was somebody to keep"
        self.named.update(worker_ids)
        self.asked.update(dict.fromkeys(worker_ids))
        self.launched_at = self.now
        self.launches += [self.now] * len(worker_ids)

    def _check_surplus(self) -> None:
        assert self.staying >= self.minimum, "let go below the minimum"
        assert self.now >= self.launched_at + IDLE_TIMEOUT_S, "let go soon after a launch: it flaps"

    # --- what happens ---

    @rule(pause_s=st.sampled_from([0.01, 0.5, 5.0, 30.0, 61.0]))
    def wait(self, pause_s: float) -> None:
        self.now += pause_s
        self.follow(self.policy.tick(self.now))

    @precondition(lambda self: self.policy.next_deadline() is not None)
    @rule()
    def wait_for_the_deadline(self) -> None:
        deadline = self.policy.next_deadline()
        assert deadline is not None and deadline > self.now, "a deadline in the past would spin"
        self.now = deadline
        self.follow(self.policy.tick(self.now))
        after = self.policy.next_deadline()
        assert after is None or after > self.now, "a deadline that changes nothing would spin"

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def workers_come_to_the_manager_which_gives_them_tasks_and_go(self, data: st.DataObject) -> None:
        self.at_manager = set(data.draw(st.lists(st.sampled_from(sorted(self.jobs)), unique=True)))
        self.busy = self.at_manager - self.heard | self.busy & self.at_manager

    @rule()
    def the_manager_hears_who_is_let_go(self) -> None:
        self.heard = frozenset(self.policy.draining)

    @rule(data=st.data(), come=st.booleans())
    def there_is_little_work_for_long(self, data: st.DataObject, come: bool) -> None:
        self.demand(0, WHOLE)
        if come and self.jobs:
            self.workers_come_to_the_manager_which_gives_them_tasks_and_go(data)
        self.wait(61.0)

    @rule()
    def tasks_end(self) -> None:
        self.busy.clear()

    @rule(waiting=st.integers(0, 12), request=st.sampled_from([ONE_CORE, WHOLE, Request(cores=64)]))
    def demand(self, waiting: int, request: Request) -> None:
        connected = self.at_manager
        message = FleetDemand(
            waiting=(WorkDemand(request, waiting),),
            running=(WorkDemand(ONE_CORE, len(self.busy)),),
            connected=(*sorted(connected), WorkerId("of-another")),
            idle=tuple(sorted(connected - self.busy)),
            draining=tuple(sorted(self.heard)),
        )
        self.left |= (self.draining & self.known) - connected  # These cannot be kept any more ...
        self.left -= connected  # ... but may come back.
        self.draining -= self.left
        self.known = connected.copy()
        self.follow(self.policy.demand(message, self.now))

    @precondition(lambda self: self.asked)
    @rule(is_taken=st.booleans(), data=st.data())
    def the_batch_system_answers(self, is_taken: bool, data: st.DataObject) -> None:
        answered = tuple(self.asked)
        self.asked.clear()
        if is_taken:
            self.jobs |= dict.fromkeys(answered, JobState.PENDING)
            self.follow(self.policy.submitted(answered, self.now))
        else:
            self._forget(answered)
            actions = self.policy.refused(answered, self.now)
            assert not any(isinstance(action, Launch) for action in actions), "no pause after a refusal"
            self.paused_until = self.now + config.launch_backoff_max_s
            self.follow(actions)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def the_batch_system_is_looked_at(self, data: st.DataObject) -> None:
        for worker_id in self.jobs:
            self.jobs[worker_id] = data.draw(STATES)
        self.follow(self.policy.listed(self.jobs, self.now))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def a_job_ends(self, data: st.DataObject) -> None:
        worker_id = data.draw(st.sampled_from(sorted(self.jobs)))
        del self.jobs[worker_id]
        self._forget((worker_id,))
        self.paused_until = max(self.paused_until, self.now + config.launch_backoff_max_s)  # It may have been young.
        self.follow(self.policy.ended(worker_id, self.now))

    def _forget(self, worker_ids: Sequence[WorkerId]) -> None:
        self.draining -= set(worker_ids)
        self.left -= set(worker_ids)
        self.cancelled -= set(worker_ids)
        for some in (self.at_manager, self.busy, self.known):
            some.difference_update(worker_ids)

    @rule()
    def a_worker_of_others_ends(self) -> None:
        self.follow(self.policy.ended(WorkerId("of-another"), self.now))

    # --- what holds at every moment ---

    def _has_room(self) -> bool:
        return len(self.there) < self.maximum

    @invariant()
    def the_fleet_stays_within_its_limits(self) -> None:
        if not hasattr(self, "policy"):
            return
        policy = self.policy
        assert len(self.there) <= self.maximum
        if self.now >= self.paused_until and self.per_cycle is None and not self.asked and self._has_room():
            assert self.staying >= self.minimum
        assert policy.pending + policy.starting + policy.running + len(policy.draining) <= len(self.there)
        if self.per_cycle is not None:
            recent = [time_s for time_s in self.launches if time_s > self.now - 10.0]
            assert len(recent) <= 2 * self.per_cycle, "more than one cycle's end and the next one's beginning"


FleetMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestFleetMachine = FleetMachine.TestCase
