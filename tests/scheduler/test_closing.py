"""Are closed hosts given no tasks, for as long as they are closed, and drained ones ended?"""

from __future__ import annotations

from tests.scheduler.world import World
from vine import config
from vine.names import PeerKey, WorkerId
from vine.scheduler import actions
from vine.wire import messages as m
from vine.wire.parts import HostStanding, Outcome, Resources
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


def draining(world: World, *workers: str) -> None:
    """What the factory "f" says of those that it lets go."""
    world.say(m.FactoryStatus(0, 2, draining=tuple(map(WorkerId, workers))), PeerKey("factory"))


def told(world: World) -> m.FleetDemand:
    """What the factory has heard last."""
    found = [action.message for action in world.sent(m.FleetDemand)]  # type: ignore[union-attr]
    assert isinstance(found[-1], m.FleetDemand)
    return found[-1]


def with_factory() -> World:
    world = two_hosts()
    world.say(m.FactoryHello("f", "slurm", 0, 2, Resources(2, 1000, 1000, 0)), PeerKey("factory"))
    return world


def test_a_worker_that_its_factory_lets_go_ends_when_its_tasks_have_and_gets_no_more() -> None:
    world = with_factory()
    before = [world.submit() for _ in range(2)]
    draining(world, "w1")
    after = [world.submit() for _ in range(2)]
    assert [world.worker_of(task) for task in after] == ["w2", None]
    world.pass_time(1)
    assert not ended(world)
    world.settle()
    world.pass_time(1)
    assert ended(world) == ["w1"]
    assert all(world.results[task].outcome is Outcome.SUCCESS for task in (*before, *after))
    assert [action.message.reason for action in world.sent(EndWorker)] == ["its factory lets it go"]  # type: ignore[union-attr]


def test_a_factory_may_want_a_worker_back() -> None:
    world = with_factory()
    draining(world, "w1", "w2")
    task = world.submit()
    assert world.state_of(task) == "ready"
    draining(world, "w2")
    assert world.worker_of(task) == "w1"


def test_who_its_factory_let_go_stays_when_the_factory_is_gone() -> None:
    world = with_factory()
    world.submit()
    draining(world, "w1", "w2")
    world.step(world.core.peer_lost(PeerKey("factory"), "was killed", world.now))
    assert all(worker.open for worker in world.core.state.workers.values())
    world.pass_time(1)
    assert not ended(world)


def test_a_worker_that_is_let_go_before_it_has_come_gets_no_tasks() -> None:
    world = with_factory()
    draining(world, "w3")
    world.pass_time(1)
    assert told(world).draining == (WorkerId("w3"),)  # Its factory may cancel its job now.
    world.join("w3", cores=8)
    assert {world.worker_of(world.submit()) for _ in range(4)} == {"w1", "w2"}


def test_a_worker_is_empty_before_its_wall_time_is_over() -> None:
    world = World()
    world.join("w1", cores=2, wall_time_s=1000)
    first = world.submit()
    world.pass_time(1000 - config.wall_drain_s - 1)
    second = world.submit()
    assert world.worker_of(second) == "w1"
    world.pass_time(1)
    third = world.submit()
    assert world.state_of(third) == "ready"
    world.settle()
    world.pass_time(1)
    assert ended(world) == ["w1"]
    assert {world.results[task].outcome for task in (first, second)} == {Outcome.SUCCESS}


def test_a_worker_that_was_told_to_end_is_not_told_again_as_its_host_is_closed() -> None:
    world = World()
    worker = world.join("w1", hostname="node1", wall_time_s=100)
    world.pass_time(95)
    world.say(m.SetHosts(("node1",), DRAINING))
    world.pass_time(1)
    assert len([message for message in worker.received if isinstance(message, EndWorker)]) == 1


def test_a_short_wall_time_loses_no_more_than_a_share_of_it() -> None:
    world = World()
    world.join("w1", cores=2, wall_time_s=100)
    world.pass_time(100 * (1 - config.wall_drain_share) - 1)
    assert world.worker_of(world.submit()) == "w1"
    world.pass_time(1)
    assert world.state_of(world.submit()) == "ready"


def test_who_is_lost_while_it_drains_is_forgotten() -> None:
    world = with_factory()
    world.submit()
    draining(world, "w1")
    world.lose("w1")
    world.pass_time(1)
    assert not world.core.state.draining


def test_a_worker_that_can_prepare_nothing_is_told_to_end_and_its_tasks_run_elsewhere() -> None:
    # given two workers, of which one fails at once whatever it is given
    world = World()
    ill = world.join("ill")
    world.join("sound")
    failing: list[object] = []
    world.outcome = lambda given: Outcome.UNPREPARED if given.attempt in failing else Outcome.SUCCESS
    # when many tasks come
    tasks = [world.submit() for _ in range(20)]
    while events := sorted(world.possible_events(), key=lambda event: event[1] is not ill):
        failing += [given.attempt for given in ill.assigned.values()]
        world.happen(events[0])
    world.pass_time(1)
    # then none fails, and the worker goes, which is told with its reason
    assert {world.results[task].outcome for task in tasks} == {Outcome.SUCCESS}
    assert ended(world) == ["ill"]
    told = {worker["id"]: worker["ill_for"] for worker in world.core.snapshot(world.now)["workers"]}
    assert told["sound"] is None and told["ill"].startswith("could not prepare 3 tasks in a row")


def test_a_task_that_no_worker_can_prepare_ends_with_the_cause_and_ends_no_worker() -> None:
    world = World(workers=3)
    world.outcome = lambda given: Outcome.UNPREPARED
    task = world.submit()
    world.settle()
    assert world.results[task].outcome is Outcome.UNPREPARED and not ended(world)
