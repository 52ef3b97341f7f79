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


def test_a_manager_that_is_killed_is_followed_by_one_who_goes_on() -> None:
    world = ClusterWorld()
    task, queued = world.submit(run_s=30.0), [world.submit() for _ in range(3)]
    world.wait(1.0)
    begun = sum(each.worker.watch.begun for each in world.cluster.workers.values())
    world.cluster.crash_manager()
    world.wait(60.0)
    manager, client = world.cluster.manager, world.cluster.client
    assert manager is not None and manager.settings.epoch == 2 and world.known == {"w0", "w1"}
    assert client is not None and client.epoch == 2 and not client.open and world.cluster.lost_tasks == 0
    assert client.results[task].attempts == 1 and set(queued) < client.results.keys()
    assert begun < sum(each.worker.watch.begun for each in world.cluster.workers.values()) + 1 == 5, "none ran twice"


def test_a_manager_may_die_in_the_midst_of_a_turn_and_what_it_was_told_is_told_the_next_one() -> None:
    world = ClusterWorld()
    manager = world.cluster.manager
    assert manager is not None
    manager.dies_after = 1
    task = world.submit()
    world.wait(0.1)
    assert world.cluster.manager is None
    world.wait(20.0)
    client = world.cluster.client
    assert client is not None and client.results[task].outcome is Outcome.SUCCESS


def test_a_client_that_leaves_takes_all_of_its_work_along() -> None:
    world = ClusterWorld()
    world.submit(run_s=30.0)
    world.wait(1.0)
    world.cluster.leave(for_good=True)
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
    assert len(world.cluster.workers) == second.hello().min_workers, "nobody needs more any more"


def test_a_worker_that_a_factory_lets_go_says_goodbye() -> None:
    world = ClusterWorld()
    world.cluster.release_worker("w0", "idle")
    world.wait(0.5)
    assert world.known == {"w1"}


def test_a_client_that_leaves_in_order_is_followed_by_another() -> None:
    world = ClusterWorld()
    first = world.cluster.client
    world.cluster.leave()
    world.wait(3.0)
    assert world.cluster.client is not None and world.cluster.client is not first


def test_the_jobs_of_a_batch_system_outlive_their_factory_and_the_next_one_has_them() -> None:
    world = ClusterWorld(with_factory=True)
    world.cluster.jobs_outlive_factories = True
    world.submit(run_s=30.0)
    world.wait(3.0)
    before = set(world.cluster.workers)
    world.cluster.end_factory("is killed")
    world.wait(8.0)
    second = world.cluster.factory
    assert before and set(world.cluster.workers) >= before
    assert second is not None and second.fleet >= before


def test_a_worker_whose_wall_time_is_over_is_gone_and_has_said_when_it_would_be() -> None:
    world = ClusterWorld()
    world.cluster.end_worker("w0", "is killed")
    world.cluster.weather.rates.short_life_share = 1.0
    world.wait(11.0)
    there = world.cluster.workers.get("w0")
    lives_s = 5.0 if there is None else there.home.lives_s
    assert lives_s is not None
    world.cluster.weather.rates.short_life_share = 0.0
    world.cluster.end_short_lives()
    assert "w0" not in world.cluster.workers
