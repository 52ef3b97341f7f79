"""What the fleet can run, told to the true scheduler."""

from __future__ import annotations

from tests.scheduler.world import World
from vine import config
from vine.names import MANAGER, HostId, PeerKey, WorkerId
from vine.scheduler import actions, fleet, staging
from vine.scheduler.tasks import TaskState
from vine.wire import messages as m
from vine.wire.parts import CategorySpec, FetchFault, Outcome, Policy, Request, Resources
from vine.wire.worker_messages import WorkerHello

SIZE = Resources(8, 8000, 8000, 0)
FACTORY = m.FactoryHello("f", "slurm", 0, 10, SIZE)


def test_a_task_that_fits_no_worker_fails_soon_and_names_the_largest() -> None:
    world = World(workers=1, cores=2)
    task = world.submit(request=Request(cores=8))
    world.pass_time(1)
    assert world.state_of(task) == "ready"
    world.pass_time(config.no_fit_grace_s + 1)
    assert world.results[task].outcome is Outcome.NO_WORKER_FITS
    assert "8 cores" in world.results[task].message
    assert "2 cores" in world.results[task].message
    assert f"task {task} (" in world.results[task].message


def hello(name: str, pid: int = 2) -> WorkerHello:
    return WorkerHello(
        WorkerId(name), HostId("elsewhere"), "host", pid, Resources(1, 1000, 1000, 0), (), "3.11",
        "tcp://127.0.0.1:3", "tcp://127.0.0.1:4",
    )  # fmt: skip


def refusals(world: World) -> list[str]:
    sent = [action.message for action in world.sent(m.Refused) if isinstance(action, actions.Send)]
    return [message.message for message in sent if isinstance(message, m.Refused)]


def test_two_workers_of_one_name_do_not_end_each_other_s_tasks() -> None:
    world = World()
    first = world.join("w")
    world.say(hello("w"), PeerKey("second"))
    assert world.core.state.workers[WorkerId("w")].peer == first.peer
    assert "another --worker-id" in refusals(world)[0]


def test_a_worker_that_comes_back_in_a_new_session_or_a_new_process_takes_its_place() -> None:
    world = World()
    world.say(hello("w"), PeerKey("first"))
    world.say(hello("w"), PeerKey("second"))
    assert world.core.state.workers[WorkerId("w")].peer == "second"
    world.now += config.worker_replaced_after_s + 1
    world.say(hello("w", pid=3), PeerKey("third"))
    assert world.core.state.workers[WorkerId("w")].peer == "third"
    assert not refusals(world)


def test_a_second_hello_in_a_session_changes_nothing() -> None:
    world = World()
    first = world.join("w")
    world.say(hello("w"), first.peer)
    world.say(hello("other"), first.peer)
    assert list(world.core.state.workers) == ["w"]
    assert world.core.state.strange == 2


def test_a_worker_cannot_pass_for_the_manager() -> None:
    world = World()
    world.say(hello("manager"), PeerKey("first"))
    assert not world.core.state.workers
    assert "cannot be called 'manager'" in refusals(world)[0]


def test_a_task_that_asks_for_a_feature_does_not_wait_for_a_factory_that_cannot_give_it() -> None:
    world = World(workers=1)
    world.say(m.FactoryHello("f", "local", 0, 4, Resources(8, 8000, 8000, 0)), PeerKey("factory"))
    task = world.submit(features=("infiniband",))
    for _ in range(3):
        world.core.heard(PeerKey("factory"), world.now + config.no_fit_grace_s)
        world.pass_time(config.no_fit_grace_s)
    assert world.results[task].outcome is Outcome.NO_WORKER_FITS
    assert "the feature infiniband" in world.results[task].message


def test_a_factory_whose_workers_have_the_feature_is_asked_for_them_and_no_other_is() -> None:
    world = World()
    size = Resources(8, 8000, 8000, 0)
    plain, fast = PeerKey("plain"), PeerKey("fast")
    world.say(m.FactoryHello("p", "local", 0, 4, size), plain)
    world.say(m.FactoryHello("f", "local", 0, 4, size, ("infiniband",)), fast)
    task = world.submit(features=("infiniband",))
    for _ in range(3):
        for peer in (plain, fast):
            world.core.heard(peer, world.now + config.no_fit_grace_s)
        world.pass_time(config.no_fit_grace_s)
    assert world.state_of(task) == "ready"
    factories = world.core.state.factories
    asked = {peer: factories[peer].told for peer in (plain, fast)}
    assert [each.tasks for each in asked[fast].waiting] == [1]  # type: ignore[union-attr]
    assert not asked[plain].waiting  # type: ignore[union-attr]
    world.join("w", features=("infiniband", "more"))
    assert world.worker_of(task) == "w"


def unfit(world: World, **fields: object) -> str:
    task = world.submit(**fields)  # type: ignore[arg-type]
    for _ in range(2):
        world.pass_time(config.no_fit_grace_s + 1)
    assert world.results[task].outcome is Outcome.NO_WORKER_FITS
    return world.results[task].message


def test_what_no_worker_has_enough_of_is_named_with_the_most_that_there_is() -> None:
    world = World()
    world.join(cores=16, memory_mb=1000)
    world.join(cores=1, memory_mb=64_000)
    message = unfit(world, request=Request(cores=2, memory_mb=1e6))
    assert "it asks for 1000000 MB memory, and the largest worker has 64000 MB memory" in message


def test_what_no_single_worker_has_together_is_named_whole() -> None:
    world = World()
    world.join(cores=16, memory_mb=1000)
    world.join(cores=1, memory_mb=64_000)
    message = unfit(world, request=Request(cores=2, memory_mb=2000))
    assert "none has all that it asks for (2 cores, 2000 MB memory)" in message
    assert "the feature tpu" in unfit(world, features=("tpu",))


def test_a_task_that_only_the_factorys_workers_fit_waits_for_them() -> None:
    world = World(workers=1, cores=1)
    size = Resources(8, 1000, 1000, 0)
    world.say(m.FactoryHello("f", "local", 0, 1, size), PeerKey("factory"))
    task = world.submit(request=Request(cores=8))
    for _ in range(3):
        world.pass_time(config.no_fit_grace_s)
    assert world.state_of(task) == "ready"
    assert "the largest worker has 8 cores" in unfit(world, request=Request(cores=9))


def test_a_task_that_has_ended_while_nobody_had_room_asks_for_no_worker() -> None:
    world = World()
    tasks = [world.submit() for _ in range(3)]
    world.pass_time(1)
    assert [each.tasks for each in fleet.fleet_demand(world.core.state, FACTORY).waiting] == [3]
    world.say(m.CancelTasks(tuple(tasks)))
    world.pass_time(1)
    assert not fleet.fleet_demand(world.core.state, FACTORY).waiting


def test_each_task_that_fits_nowhere_is_given_its_time() -> None:
    world = World(workers=1)
    for _ in range(2):
        task = world.submit(request=Request(cores=8))
        world.pass_time(1)
        assert world.state_of(task) == "ready"
        world.pass_time(config.no_fit_grace_s + 1)
        assert world.results[task].outcome is Outcome.NO_WORKER_FITS


def test_what_has_come_by_a_flow_that_was_stopped_too_late_is_known_to_be_there() -> None:
    # given a worker to which a file is on its way
    world = World(workers=1)
    task = world.submit((world.local_file(chunks=1),))
    (worker,) = world.workers.values()
    (transfer,) = world.core.state.transfers.active.values()
    # when the manager stops that while the word is on its way to it that all has come
    world.say(m.CancelTasks((task,)))
    staging.abandon(world.core.state, transfer)
    world.fetch_ends(worker, transfer.transfer_id, FetchFault.NONE)
    # then the copy counts
    assert world.core.state.files.objects[transfer.object_id].holders == {MANAGER, worker.worker_id}


def waiting(world: World, factory: m.FactoryHello = FACTORY) -> list[int]:
    return [each.tasks for each in fleet.fleet_demand(world.core.state, factory).waiting]


def test_a_limited_category_asks_for_no_more_workers_than_may_run_over_all_of_its_kinds_of_tasks() -> None:
    world = World(workers=2)
    world.say(m.SetCategory(CategorySpec("few", concurrent_max=3)))
    for cores in (1.0, 2.0):
        for _ in range(5):
            world.submit(request=Request(cores=cores), policy=Policy(category="few"))
    # Two of one core run, or are about to; of the eight others one may.
    assert sum(record.state is TaskState.STAGED for record in world.core.state.tasks.by_id.values()) == 2
    assert sum(waiting(world)) == 1


def test_tasks_whose_place_is_fixed_ask_for_no_worker() -> None:
    world = World(workers=1)
    made = world.temp()
    world.submit((), (made,))
    world.settle()
    for _ in range(3):
        world.submit((made,), policy=Policy(strict=(made,)))
    assert waiting(world) == []
    world.submit()
    assert waiting(world) == [1]


def test_tasks_that_last_longer_than_a_factorys_workers_live_do_not_ask_it() -> None:
    world = World()
    world.submit(policy=Policy(time_min_s=100.0))
    assert waiting(world) == [1]
    short, long = (m.FactoryHello("f", "slurm", 0, 9, SIZE, wall_time_s=limit_s) for limit_s in (99.0, 100.0))
    assert (waiting(world, short), waiting(world, long)) == ([], [1])


def test_a_factory_that_comes_again_takes_the_place_of_the_one_before() -> None:
    world = World(workers=1)
    [worker] = world.workers
    world.say(FACTORY, PeerKey("first"))
    world.say(m.FactoryStatus(0, 1, draining=(worker,)), PeerKey("first"))
    assert not world.core.state.workers[worker].open
    world.say(FACTORY, PeerKey("second"))
    assert list(world.core.state.factories) == ["second"]
    assert world.core.state.workers[worker].open, "who was let go by the first is not by the second"


def test_a_factory_may_say_other_limits_in_its_session() -> None:
    world = World(workers=1)
    [worker] = world.workers
    world.say(FACTORY, PeerKey("factory"))
    world.say(m.FactoryStatus(0, 1, draining=(worker,)), PeerKey("factory"))
    world.say(m.FactoryHello("f", "slurm", 1, 20, SIZE), PeerKey("factory"))
    assert world.core.state.factories[PeerKey("factory")].hello.max_workers == 20
    assert not world.core.state.workers[worker].open
