"""Is a library loaded once for all its calls, do as many run as it has slots, and does it make room for others?"""

from __future__ import annotations

from typing import Any

import pytest

from tests.worker.world import DATA, FINE, FUNCTION, ONE, TREE, TWO, World, assignment, starts
from vine import config
from vine.names import AttemptId, FileId, ObjectId
from vine.wire.parts import Assignment, LibraryOrder, ObjectMount, Outcome, Resources, TaskKind
from vine.wire.worker_messages import CancelAttempts, DropObjects, LibraryEnded, LibraryLoaded
from vine_worker import actions as act

CONTENT = ObjectId("1" * 64)
HELD = (FUNCTION, CONTENT, TREE, DATA)
KILLED = act.Ending(Outcome.KILLED, message="killed by SIGKILL")


def call(number: int, slots: int = 2, library: int = 1, allotment: Resources = TWO, **fields: Any) -> Assignment:
    order = LibraryOrder(FileId(library), f"lib{library}", slots, fields.pop("forks", True))
    fields.setdefault("function", CONTENT)
    return assignment(number, TaskKind.LIBRARY, allotment=allotment, library=order, command="f", **fields)


def loads(actions: list[act.Action]) -> list[act.StartLibrary]:
    return [action for action in actions if isinstance(action, act.StartLibrary)]


def hosts(actions: list[act.Action]) -> list[int]:
    return [action.host for action in actions if isinstance(action, act.StartHost)]


def messages(actions: list[act.Action], kind: type) -> list[Any]:
    return [action.message for action in actions if isinstance(action, act.Send) and isinstance(action.message, kind)]


def loaded(world: World, *given: Assignment) -> int:
    """The instance of a library that these calls had loaded; the first of them run."""
    (load,) = loads(world.run(*given))
    actions = world.hear(act.LibraryReady(load.instance, forkable=True))
    for host in hosts(actions):
        world.hear(act.HostReady(host))
    return load.instance


@pytest.fixture
def world() -> World:
    return World(held=HELD)


def test_the_first_call_has_the_library_loaded_and_all_wait_for_that(world: World) -> None:
    actions = world.run(call(1), call(2))
    (load,) = loads(actions)
    assert (load.order.number, load.content) == (1, CONTENT)
    assert starts(actions) == []
    world.now = 3.0
    actions = world.hear(act.LibraryReady(load.instance, forkable=True))
    assert messages(actions, LibraryLoaded) == [LibraryLoaded(FileId(1), 3.0)]
    assert [action.kind.library for action in actions if isinstance(action, act.StartHost)] == [load.instance] * 2
    assert starts(actions) == [1, 2]


def test_as_many_calls_run_as_there_are_slots_and_the_others_follow_in_their_order(world: World) -> None:
    loaded(world, *(call(number) for number in range(1, 6)))
    long = act.Ending(Outcome.SUCCESS, value=b"P", run_s=10.0)
    begun = []
    for number in (1, 2, 3, 4):
        host = next(host for host in world.core.pool.hosts.values() if host.calls and host.calls[0].counter == number)
        begun += starts(world.hear(act.CallsEnded(host.number, ((AttemptId(1, number), long),))))
    assert begun == [3, 4, 5]
    assert len(world.core.pool.hosts) == 2, "each slot has one host, which is used again"


def test_short_calls_are_handed_to_busy_slots_ahead_of_time(world: World) -> None:
    loaded(world, call(1), call(2))
    world.hear(act.CallsEnded(1, ((AttemptId(1, 1), FINE),)))
    world.run(*(call(number) for number in range(3, 7)))
    assert sorted(len(host.calls) for host in world.core.pool.hosts.values()) == [2, 3]


def test_the_first_call_takes_what_the_library_has_and_the_others_only_slots(world: World) -> None:
    loaded(world, call(1, slots=3), call(2, slots=3), call(3, slots=3))
    assert starts(world.run(assignment(4))) == [], "an ordinary call waits for the library's cores"
    assert world.core.pool.hosts.keys() == {1, 2, 3}


def test_calls_that_want_a_fork_and_those_that_do_not_are_said_so_to_their_hosts(world: World) -> None:
    for number, forks in ((1, True), (2, False)):
        (load,) = loads(world.run(call(number, library=number, allotment=ONE, forks=forks)))
        actions = world.hear(act.LibraryReady(load.instance, forkable=True))
        assert [action.kind.forks for action in actions if isinstance(action, act.StartHost)] == [forks]


def test_the_slots_of_one_that_cannot_be_forked_run_their_calls_themselves(world: World) -> None:
    (load,) = loads(world.run(call(1)))
    actions = world.hear(act.LibraryReady(load.instance, forkable=False))
    assert [action.kind.forks for action in actions if isinstance(action, act.StartHost)] == [False]


def test_its_threads_are_a_slots_share_of_its_cores(world: World) -> None:
    (load,) = loads(world.run(call(1, slots=1)))
    assert load.kind.threads == 2


def end_calls(world: World, *numbers: int) -> list[act.Action]:
    actions: list[act.Action] = []
    for number in numbers:
        host = next(host for host in world.core.pool.hosts.values() if AttemptId(1, number) in host.calls)
        actions += world.hear(act.CallsEnded(host.number, ((AttemptId(1, number), FINE),)))
    return actions


def test_an_idle_library_stays_until_somebody_needs_its_resources(world: World) -> None:
    instance = loaded(world, call(1))
    assert not [a for a in end_calls(world, 1) if isinstance(a, act.EndLibrary)]
    assert loads(world.run(call(2))) == [], "its next call finds it loaded"
    end_calls(world, 2)
    actions = world.run(assignment(3))
    assert act.EndLibrary(instance, force=False) in actions
    assert act.EndHost(1, force=False) in actions
    assert starts(actions) == []
    gone = world.hear(act.LibraryGone(instance, "ended"))
    assert messages(gone, LibraryEnded) == [LibraryEnded(FileId(1), False, "ended")]
    assert starts(world.hear(act.HostEnded(1, KILLED, ()))) == [3], "its resources come back with its last host"


def test_the_library_that_was_used_last_goes_last(world: World) -> None:
    first = loaded(world, call(1, library=1, allotment=ONE))
    second = loaded(world, call(2, library=2, allotment=ONE))
    world.now = 1.0
    end_calls(world, 2)
    world.now = 2.0
    end_calls(world, 1)
    actions = world.run(assignment(3))
    assert [action.instance for action in actions if isinstance(action, act.EndLibrary)] == [second]
    assert world.run(assignment(4)) == [], "and no other goes before it is known whether its room is enough"
    assert first != second


def ended(actions: list[act.Action]) -> list[int]:
    return [action.instance for action in actions if isinstance(action, act.EndLibrary)]


def idle_libraries(*numbers: int) -> tuple[World, list[int]]:
    """A worker of four cores and two GPUs that has loaded these for one call each, with one core and one GPU."""
    world = World(held=HELD, capacity=Resources(cores=4, gpus=2))
    allotment = Resources(cores=1, gpus=0.5)
    instances = [loaded(world, call(number, library=number, slots=1, allotment=allotment)) for number in numbers]
    for number in numbers:
        world.now = float(number)
        end_calls(world, number)
    return world, instances


def test_as_many_make_room_as_somebody_needs_and_all_at_once() -> None:
    world, (first, second, _third) = idle_libraries(1, 2, 3)
    actions = world.run(assignment(4, allotment=Resources(cores=3)))
    assert ended(actions) == [first, second], "one core is free, and the third may stay"
    world.hear(act.HostEnded(1, KILLED, ()), act.LibraryGone(first, "ended"), act.HostEnded(2, KILLED, ()))
    assert starts(world.hear(act.LibraryGone(second, "ended"))) == [4]


def test_those_that_hold_the_gpus_go_that_somebody_needs() -> None:
    world, instances = idle_libraries(1, 2, 3)
    actions = world.run(assignment(4, TaskKind.PYTHON, allotment=Resources(cores=1, gpus=2)))
    assert ended(actions) == instances, "two share a GPU, and the other one has the second"


def test_calls_that_come_while_it_makes_room_have_it_loaded_again(world: World) -> None:
    instance = loaded(world, call(1))
    end_calls(world, 1)
    world.run(assignment(2), call(3))
    world.hear(act.HostEnded(1, KILLED, ()))
    actions = world.hear(act.LibraryGone(instance, "ended"))
    assert starts(actions) == [2]
    world.hear(act.HostReady(2))
    (load,) = loads(end_calls(world, 2))
    assert load.instance != instance


def test_a_library_that_cannot_be_loaded_fails_its_calls_and_no_others(world: World) -> None:
    other = loaded(world, call(1, library=2, allotment=ONE, slots=1))
    (load,) = loads(world.run(call(2, allotment=ONE), call(3, allotment=ONE)))
    actions = world.hear(act.LibraryGone(load.instance, "ImportError: no module", b"Pvalue"))
    assert messages(actions, LibraryEnded) == [LibraryEnded(FileId(1), True, "ImportError: no module", b"Pvalue")]
    assert world.outcomes() == [(2, Outcome.LIBRARY_FAILED), (3, Outcome.LIBRARY_FAILED)]
    end_calls(world, 1)
    assert world.outcomes() == [(1, Outcome.SUCCESS)]
    assert other != load.instance


def test_the_death_of_its_process_ends_the_calls_that_run_and_the_next_one_loads_it_anew(world: World) -> None:
    instance = loaded(world, call(1), call(2), call(3))
    world.hear(act.LibraryGone(instance, "killed"))
    failed = act.Ending(Outcome.LIBRARY_FAILED, message="its library was killed")
    world.hear(act.HostEnded(1, failed, ()))
    world.hear(act.HostEnded(2, failed, ()))
    assert sorted(world.outcomes()) == [(number, Outcome.LIBRARY_FAILED) for number in (1, 2, 3)]
    assert loads(world.run(call(4)))


def test_calls_that_a_dead_librarys_host_had_not_begun_wait_for_the_next_one(world: World) -> None:
    instance = loaded(world, call(1, slots=1))
    end_calls(world, 1)
    world.run(call(2, slots=1), call(3, slots=1))
    assert len(world.core.pool.hosts[1].calls) == 2
    world.hear(act.LibraryGone(instance, "killed"))
    failed = act.Ending(Outcome.LIBRARY_FAILED, message="its library was killed")
    actions = world.hear(act.HostEnded(1, failed, (AttemptId(1, 3),)))
    assert world.outcomes()[-1] == (2, Outcome.LIBRARY_FAILED)
    assert loads(actions)


def test_one_that_takes_too_long_to_load_is_ended_and_has_failed(world: World) -> None:
    (load,) = loads(world.run(call(1)))
    assert world.core.next_deadline() == config.library_start_max_s
    assert world.wait(config.library_start_max_s) == [act.EndLibrary(load.instance, force=True)]
    world.hear(act.LibraryGone(load.instance, "killed"))
    ((_, outcome),) = world.outcomes()
    assert outcome is Outcome.LIBRARY_FAILED


def test_a_call_that_waits_is_cancelled_at_once_and_a_running_one_by_the_end_of_its_host(world: World) -> None:
    loaded(world, call(1, slots=1), call(2, slots=1))
    world.hear(CancelAttempts((AttemptId(1, 2),)))
    assert world.outcomes() == [(2, Outcome.CANCELLED)]
    world.hear(CancelAttempts((AttemptId(1, 1),)))
    assert act.EndHost(1, force=False) in world.hear(act.CallsReturned(1, ()))
    world.run(call(3, slots=1))
    actions = world.hear(act.HostEnded(1, KILLED, ()))
    assert world.outcomes() == [(1, Outcome.CANCELLED)]
    assert starts(actions) == [3]


def test_the_time_of_a_call_does_not_count_while_its_library_loads(world: World) -> None:
    (load,) = loads(world.run(call(1, time_limit_s=1.0)))
    world.now = 50.0
    world.hear(act.LibraryReady(load.instance, forkable=True), act.HostReady(1))
    world.core.tick(50.25)
    assert world.wait(0.99) == []
    assert world.wait(0.01) == [act.TakeBack(1)]


def test_a_library_goes_with_its_content_once_its_last_call_has_ended(world: World) -> None:
    instance = loaded(world, call(1))
    assert not [a for a in world.hear(DropObjects((CONTENT,))) if isinstance(a, act.EndLibrary)]
    assert act.EndLibrary(instance, force=False) in end_calls(world, 1)
    world.hear(act.HostEnded(1, KILLED, ()))
    assert act.RemoveObjects((CONTENT,)) in world.hear(act.LibraryGone(instance, "ended"))


def test_a_library_whose_content_went_while_it_was_loaded_ends_then_if_its_calls_were_cancelled(world: World) -> None:
    (load,) = loads(world.run(call(1)))
    world.hear(DropObjects((CONTENT,)))
    assert not [a for a in world.hear(CancelAttempts((AttemptId(1, 1),))) if isinstance(a, act.EndLibrary)]
    assert act.EndLibrary(load.instance, force=False) in world.hear(act.LibraryReady(load.instance, forkable=True))


def test_an_idle_library_goes_with_its_environment(world: World) -> None:
    instance = loaded(world, call(1, environment=TREE))
    end_calls(world, 1)
    assert act.EndLibrary(instance, force=False) in world.hear(DropObjects((TREE,)))


def test_a_call_with_inputs_that_turn_out_to_be_altered_waits_for_good_ones(world: World) -> None:
    (load,) = loads(world.run(call(1, inputs=(ObjectMount(DATA, "data"),))))
    world.hear(act.Lost((DATA,)))
    assert starts(world.hear(act.LibraryReady(load.instance, forkable=True))) == []
    assert starts(world.hear(act.Kept(DATA))) == [1]


def test_two_libraries_live_side_by_side(world: World) -> None:
    first = loaded(world, call(1, library=1, allotment=ONE, slots=1))
    second = loaded(world, call(2, library=2, allotment=ONE, slots=1, environment=TREE))
    kinds = {host.kind.library: host.kind.environment for host in world.core.pool.hosts.values()}
    assert kinds == {first: None, second: TREE}


def test_its_hosts_see_the_devices_that_it_holds_and_an_idle_one_gives_them_up() -> None:
    world = World(held=HELD, capacity=Resources(cores=2, gpus=1))
    one_gpu = Resources(cores=1, gpus=1)
    (load,) = loads(world.run(call(1, allotment=one_gpu)))
    assert load.kind.devices == (0,)
    actions = world.hear(act.LibraryReady(load.instance, forkable=False))
    assert [action.kind.devices for action in actions if isinstance(action, act.StartHost)] == [(0,)]
    world.hear(act.HostReady(1))
    assert starts(world.run(assignment(2, TaskKind.PYTHON, allotment=one_gpu))) == []
    assert act.EndLibrary(load.instance, force=False) in end_calls(world, 1)
    world.hear(act.HostEnded(1, KILLED, ()))
    assert starts(world.hear(act.LibraryGone(load.instance, "ended"))) == [2]
