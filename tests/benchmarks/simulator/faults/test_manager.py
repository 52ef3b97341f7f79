"""A manager's turns: what comes by its sessions, and what it writes down."""

from __future__ import annotations

from tests.benchmarks.simulator.faults.cluster_world import ClusterWorld
from vine import config
from vine.wire.parts import Outcome


def test_what_it_has_written_down_is_what_it_knows() -> None:
    world = ClusterWorld()
    for _ in range(5):
        world.submit(run_s=3.0)
    world.wait(1.0)
    manager = world.cluster.manager
    assert manager is not None and world.cluster.journal.records > 5
    world.cluster.compare_journal()


def test_a_worker_that_stands_still_for_too_long_is_given_up_and_comes_back() -> None:
    world = ClusterWorld()
    world.cluster.workers["w0"].process.stand_still(config.worker_lost_after_s + 8)
    world.wait(config.worker_lost_after_s + 3)
    assert world.known == {"w1"}
    world.wait(10.0)
    assert world.known == {"w0", "w1"}


def test_what_a_worker_has_that_stands_still_is_done_by_one_that_is_idle_and_stopped_there_when_it_goes_on() -> None:
    # given a task that runs on one of two workers
    world = ClusterWorld()
    task = world.submit(run_s=3.0)
    world.wait(1.0)
    manager = world.cluster.manager
    assert manager is not None
    (attempt,) = [r.attempt for r in manager.scheduler.state.tasks.by_id.values() if r.attempt is not None]
    # when that stands still, for less than it takes to be given up
    world.cluster.workers[attempt.worker].process.stand_still(config.worker_lost_after_s - 2)
    world.wait(config.worker_suspected_after_s + 2 + 3)
    # then the other one has done it before it goes on
    assert world.cluster.oracle.ledger.ended == {task: Outcome.SUCCESS}
    # and when it does nothing is left, for it was told to stop, and it gets tasks as before
    world.wait(config.worker_lost_after_s)
    state = manager.scheduler.state
    assert world.known == {"w0", "w1"} and all(each.open and not each.withdrawn for each in state.workers.values())
    assert not world.cluster.workers[attempt.worker].worker.core.attempts


def test_a_worker_that_dies_is_soon_given_up() -> None:
    world = ClusterWorld()
    world.wait(2.0)
    world.cluster.has_factory = True  # Nobody starts another one there.
    world.cluster.end_worker("w0", "is killed")
    world.wait(1.0)
    assert world.known == {"w0", "w1"}  # It might come back.
    world.wait(config.worker_cut_off_s + 2.0)
    assert world.known == {"w1"}


def test_a_worker_whose_connection_breaks_is_kept() -> None:
    world = ClusterWorld()
    world.wait(2.0)
    for wire in list(world.cluster.wires.live):
        world.cluster.wires.reset(wire)
    world.wait(config.worker_lost_after_s)
    assert world.known == {"w0", "w1"} and not any("ends:" in line for line in world.cluster.trace.lines or [])


def test_time_in_which_it_stood_still_itself_is_no_silence_of_others() -> None:
    world = ClusterWorld()
    manager = world.cluster.manager
    assert manager is not None
    manager.process.stand_still(config.worker_lost_after_s + 10)
    world.wait(config.worker_lost_after_s + 15)
    assert world.known == {"w0", "w1"} and not any("ends:" in line for line in world.cluster.trace.lines or [])
