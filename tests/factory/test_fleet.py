"""How far a worker has come: do legal ways alone lead on, and who goes first?"""

from __future__ import annotations

import pytest

from tests.factory.made import names
from vine_factory.fleet import Fleet, FleetWorker, JobState, WorkerState


def fleet_of(**states: WorkerState) -> Fleet:
    fleet = Fleet()
    for time_s, (name, state) in enumerate(states.items()):
        fleet.add(names(int(name[1:]))[0], state, float(time_s))
    return fleet


def numbered(workers: list[FleetWorker]) -> list[str]:
    return [worker.worker_id.removeprefix("local-") for worker in workers]


def test_a_cancelled_worker_never_comes_back() -> None:
    fleet = fleet_of(w1=WorkerState.CANCELLED)
    [worker] = fleet
    fleet.see(worker, connected=True, idle=True, now=5.0)
    assert worker.state is WorkerState.CANCELLED
    with pytest.raises(AssertionError, match="cannot become"):
        worker.become(WorkerState.CONNECTED, 5.0)


def test_those_who_hold_no_cache_go_first_then_the_longest_idle_then_the_busy() -> None:
    fleet = fleet_of(
        w1=WorkerState.CONNECTED, w2=WorkerState.PENDING, w3=WorkerState.CONNECTED, w4=WorkerState.STARTING,
        w5=WorkerState.CONNECTED, w6=WorkerState.CANCELLED, w7=WorkerState.CONNECTED,
    )  # fmt: skip
    for number, idle_since in ((1, 50.0), (3, 20.0)):
        fleet.by_id[names(number)[0]].idle_since = idle_since
    assert numbered(fleet.release_order()) == ["4", "2", "3", "1", "7", "5"]


def test_a_worker_counts_as_idle_from_when_the_manager_first_says_so() -> None:
    fleet = fleet_of(w1=WorkerState.STARTING)
    [worker] = fleet
    fleet.see(worker, connected=True, idle=True, now=5.0)
    fleet.see(worker, connected=True, idle=True, now=9.0)
    assert worker.idle_since == 5.0
    fleet.see(worker, connected=True, idle=False, now=10.0)
    assert worker.idle_since is None


def test_a_drained_worker_that_is_gone_has_left_and_one_that_was_not_is_missing() -> None:
    fleet = fleet_of(w1=WorkerState.DRAINING, w2=WorkerState.CONNECTED)
    for worker in fleet:
        fleet.see(worker, connected=False, idle=False, now=5.0)
    assert [worker.state for worker in fleet] == [WorkerState.LEFT, WorkerState.MISSING]


def test_the_batch_system_tells_when_a_job_has_begun_but_not_that_its_worker_is_gone() -> None:
    fleet = fleet_of(w1=WorkerState.PENDING, w2=WorkerState.CONNECTED)
    for worker in fleet:
        fleet.list(worker, JobState.RUNNING, 5.0)
    assert [worker.state for worker in fleet] == [WorkerState.STARTING, WorkerState.CONNECTED]
    for worker in fleet:
        fleet.list(worker, JobState.PENDING, 6.0)
    assert [worker.state for worker in fleet] == [WorkerState.PENDING, WorkerState.CONNECTED]


def test_those_who_leave_are_there_but_not_active() -> None:
    fleet = fleet_of(w1=WorkerState.DRAINING, w2=WorkerState.CANCELLED, w3=WorkerState.LEFT, w4=WorkerState.MISSING)
    assert (len(fleet), fleet.active) == (4, 1)
    assert fleet_of(w1=WorkerState.WITHDRAWN).active == 0


def test_who_comes_though_it_was_withdrawn_drains() -> None:
    fleet = fleet_of(w1=WorkerState.WITHDRAWN)
    [worker] = fleet
    fleet.see(worker, connected=True, idle=False, now=5.0)
    assert worker.state is WorkerState.DRAINING
