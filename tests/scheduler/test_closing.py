"""Are closed hosts given no tasks, for as long as they are closed, and drained ones ended?"""

from __future__ import annotations

from tests.scheduler.world import World
from vine.scheduler import actions
from vine.wire import messages as m
from vine.wire.parts import HostStanding, Outcome
from vine.wire.worker_messages import EndWorker

BLOCKED, DRAINING, OPEN = HostStanding.BLOCKED, HostStanding.DRAINING, HostStanding.OPEN


def two_hosts() -> World:
    world = World()
    world.join("w1", hostname="node1", cores=2)
    world.join("w2", hostname="node2", cores=2)
    return world


def ended(world: World) -> list[str]:
    return [worker.worker_id for worker in world.workers.values() if worker.ended]


def test_a_blocked_host_gets_no_tasks_and_what_runs_there_goes_on() -> None:
    world = two_hosts()
    before = [world.submit() for _ in range(2)]
    world.say(m.SetHosts(("node1",), BLOCKED))
    after = [world.submit() for _ in range(2)]
    assert [world.worker_of(task) for task in after] == ["w2", None]
    world.settle()
    assert {world.results[task].worker_id for task in before} == {"w1", "w2"}
    assert world.results[after[1]].worker_id == "w2"


def test_tasks_that_only_blocked_hosts_could_run_say_so_and_run_when_one_is_opened() -> None:
    world = two_hosts()
    world.say(m.SetHosts(("node1", "node2"), BLOCKED))
    task = world.submit()
    for _ in range(3):
        world.pass_time(10)
    assert "all 2 workers that fit it are blocked or drained" in world.core.why(task, world.now)
    world.say(m.SetHosts((), OPEN))
    assert world.state_of(task) == "staged"


def test_a_host_is_blocked_for_no_longer_than_was_said() -> None:
    world = two_hosts()
    world.say(m.SetHosts(("node1", "node2"), BLOCKED, 5.0))
    task = world.submit()
    world.pass_time(4)
    assert world.state_of(task) == "ready"
    world.pass_time(2)
    assert world.state_of(task) == "staged"


def test_a_worker_that_joins_a_blocked_host_gets_no_tasks_either() -> None:
    world = World()
    world.say(m.SetHosts(("node1",), BLOCKED))
    world.join(hostname="node1")
    assert world.state_of(world.submit()) == "ready"


def test_the_workers_of_a_drained_host_end_when_theirs_have_ended() -> None:
    world = two_hosts()
    tasks = [world.submit() for _ in range(2)]
    world.say(m.SetHosts(("node1",), DRAINING))
    world.pass_time(1)
    assert not ended(world)
    world.settle()
    world.pass_time(1)
    world.pass_time(1)
    assert ended(world) == ["w1"]
    assert sum(len(world.sent(kind)) for kind in (EndWorker,)) == 1
    assert all(world.results[task].outcome is Outcome.SUCCESS for task in tasks)


def test_draining_can_be_undone() -> None:
    world = two_hosts()
    world.say(m.SetHosts(("node1",), DRAINING))
    world.say(m.SetHosts(("node1",), OPEN))
    world.pass_time(1)
    assert not ended(world)
    assert {world.worker_of(world.submit()) for _ in range(2)} == {"w1", "w2"}


def test_a_drained_host_takes_in_no_worker() -> None:
    world = World()
    world.say(m.SetHosts(("node1",), DRAINING))
    worker = world.join(hostname="node1")
    (refused,) = world.sent(m.Refused)
    assert isinstance(refused, actions.Send)
    assert "node1 is drained" in refused.message.message  # type: ignore[attr-defined]
    assert worker.worker_id not in world.core.state.workers
