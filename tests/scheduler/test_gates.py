"""Do a client's tasks wait for as many workers as it asked for, and nobody else's?"""

from __future__ import annotations

from tests.scheduler.making import minitask
from tests.scheduler.world import World
from vine.names import ClientId, HostId
from vine.scheduler import fleet
from vine.scheduler.actions import PeerKey
from vine.wire import messages as m
from vine.wire.parts import Resources


def test_tasks_wait_for_as_many_workers_as_was_asked_for_and_no_more_once_they_were_there() -> None:
    world = World(workers=1)
    world.say(m.AwaitWorkers(2))
    task = world.submit()
    assert world.state_of(task) == "waiting"
    assert world.core.why(task, world.now).startswith("waits for 2 workers to be connected, as its client has asked")
    world.join("second")
    assert world.worker_of(task) is not None
    world.lose("second")
    world.settle()
    later = world.submit()
    assert world.worker_of(later) is not None


def test_tasks_of_other_clients_do_not_wait_for_them() -> None:
    world = World(workers=1)
    other = PeerKey("other")
    world.say(m.ClientHello(ClientId("d"), HostId("here"), "3.11"), other)
    world.say(m.AwaitWorkers(3), other)
    task = world.submit()
    assert world.worker_of(task) is not None


def test_workers_that_are_there_already_are_not_waited_for() -> None:
    world = World(workers=2)
    world.say(m.AwaitWorkers(5))
    task = world.submit()
    assert world.worker_of(task) is None
    world.say(m.AwaitWorkers(2))
    assert world.worker_of(task) is not None


def test_who_waits_for_files_too_goes_when_both_are_there() -> None:
    world = World(workers=1)
    world.say(m.AwaitWorkers(2))
    file_id = world.local_file(bind=False)
    task = world.submit(inputs=(file_id,))
    world.bind(file_id)
    assert world.state_of(task) == "waiting"
    world.join("second")
    world.settle()
    assert world.results[task].outcome.value == "success"


def test_a_task_that_makes_a_file_waits_as_those_that_are_submitted_do() -> None:
    world = World(workers=1)
    made = minitask(world)
    world.say(m.AwaitWorkers(2))
    task = world.submit(inputs=(made,))
    world.settle()
    assert not world.runs
    world.join("second")
    world.settle()
    assert world.results[task].outcome.value == "success"


def test_a_task_that_is_cancelled_while_it_waits_ends_and_is_not_let_go_later() -> None:
    world = World(workers=1)
    world.say(m.AwaitWorkers(2))
    task = world.submit()
    world.say(m.CancelTasks((task,)))
    world.join("second")
    assert world.results[task].outcome.value == "cancelled"


def test_the_factories_hear_of_workers_that_are_awaited() -> None:
    world = World(workers=1)
    world.say(m.AwaitWorkers(4))
    world.submit()
    factory = m.FactoryHello("f", "slurm", 0, 10, Resources(8, 8000, 8000))
    assert fleet.fleet_demand(world.core.state, factory).missing == 3


def test_views_hear_how_many_tasks_wait_and_for_how_many_workers() -> None:
    world = World(workers=1)
    world.say(m.AwaitWorkers(2))
    tasks = [world.submit() for _ in range(3)]
    snapshot = world.core.snapshot(world.now)
    assert list(snapshot["workers_awaited"].values()) == [2]
    (reason,) = snapshot["reasons"]
    assert (reason["tasks"], reason["example"]) == (3, tasks[0])
