"""How processes of a run end and come back."""

from __future__ import annotations

from tests.benchmarks.simulator.faults.cluster_world import ClusterWorld
from vine.wire.parts import Outcome


def test_tasks_run_over_true_sessions() -> None:
    world = ClusterWorld()
    task = world.submit()
    world.wait(2.0)
    client = world.cluster.client
    assert client is not None and client.results[task].outcome is Outcome.SUCCESS and not client.open
    assert world.known == {"w0", "w1"}


def test_a_worker_that_is_killed_comes_back_and_what_ran_there_runs_elsewhere() -> None:
    world = ClusterWorld()
    task = world.submit(run_s=30.0)
    world.wait(1.0)
    (there,) = [name for name, each in world.cluster.workers.items() if each.worker.core.attempts]
    world.cluster.end_worker(there, "is killed")
    assert there not in world.cluster.workers
    world.wait(30.0)
    assert world.known == {"w0", "w1"}
    world.wait(40.0)
    client = world.cluster.client
    assert client is not None and client.results[task].attempts == 2


def test_a_manager_that_is_killed_is_followed_by_one_of_the_next_epoch_whom_all_find() -> None:
    world = ClusterWorld()
    world.submit(run_s=30.0)
    world.wait(1.0)
    world.cluster.crash_manager()
    world.wait(20.0)
    manager = world.cluster.manager
    assert manager is not None and manager.scheduler.state.settings.epoch == 2 and world.known == {"w0", "w1"}
    # What the old one had ordered has been stopped: nobody would ask for it.
    assert not any(each.worker.core.attempts for each in world.cluster.workers.values())
    assert world.cluster.lost_tasks == 1, "its client was told, by a welcome, that nobody knows of its task any more"


def test_a_client_that_leaves_takes_all_of_its_work_along() -> None:
    world = ClusterWorld()
    world.submit(run_s=30.0)
    world.wait(1.0)
    world.cluster.leave()
    world.wait(5.0)
    manager = world.cluster.manager
    assert manager is not None and not manager.scheduler.state.clients and not manager.scheduler.state.tasks.by_id


def test_a_factory_has_workers_while_there_is_work_and_another_one_follows_it_when_it_is_killed() -> None:
    world = ClusterWorld(with_factory=True)
    world.submit(run_s=30.0)
    world.wait(3.0)
    first = world.cluster.factory
    assert first is not None and len(world.known) == 1
    world.cluster.end_factory("is killed")
    assert not world.cluster.workers, "its workers end with it"
    world.wait(25.0)
    second = world.cluster.factory
    assert second is not None and second is not first and second.fleet == set(world.cluster.workers) != set()
    world.wait(60.0)
    assert not world.cluster.workers, "nobody needs them any more"


def test_a_worker_that_a_factory_lets_go_says_goodbye() -> None:
    world = ClusterWorld()
    world.cluster.release_worker("w0", "idle")
    world.wait(0.5)
    assert world.known == {"w1"}
