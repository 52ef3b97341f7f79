"""Several hosts keep a file that workers have, told to the true scheduler."""

from __future__ import annotations

from tests.scheduler.test_broadcasting import content_of, lacks_room
from tests.scheduler.world import World
from vine import config
from vine.names import FileId, ObjectId
from vine.scheduler.files import unpacked_id
from vine.wire import messages as m
from vine.wire.parts import Outcome
from vine.wire.worker_messages import ObjectsLost


def replicated_temp(world: World, copies: int) -> FileId:
    """A temp that a task has made after so many copies of it were asked for."""
    temp = world.temp()
    world.say(m.ReplicateFile(temp, copies))
    world.submit(outputs=(temp,))
    world.settle()
    return temp


def holders(world: World, content: ObjectId) -> set[str]:
    return {name for name, worker in world.workers.items() if content in worker.holds}


def keepers(world: World, content: ObjectId) -> set[str]:
    """Who may not give it up for room."""
    return {name for name in holders(world, content) if content not in world.workers[name].spare}  # type: ignore[index]


def test_copies_are_made_when_the_file_is_and_none_may_be_given_up() -> None:
    world = World(workers=4)
    made = content_of(world, replicated_temp(world, 3))
    assert len(holders(world, made)) == 3
    assert keepers(world, made) == holders(world, made)


def test_copies_are_made_of_a_file_that_is_there_already() -> None:
    world = World(workers=3)
    temp = world.temp()
    world.submit(outputs=(temp,))
    world.settle()
    world.say(m.ReplicateFile(temp, 2))
    world.settle()
    assert len(keepers(world, content_of(world, temp))) == 2


def test_a_copy_whose_worker_is_lost_is_made_anew_and_its_task_does_not_run_again() -> None:
    world = World(workers=3)
    temp = replicated_temp(world, 2)
    made = content_of(world, temp)
    for name in sorted(holders(world, made)):
        world.lose(name)
        world.join()
        world.settle()
        assert len(keepers(world, made)) == 2
    task = world.submit((temp,))
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS
    assert max(world.runs.values()) == 1


def test_a_copy_that_went_bad_is_made_anew() -> None:
    world = World(workers=3)
    made = content_of(world, replicated_temp(world, 2))
    worker = world.workers[min(holders(world, made))]  # type: ignore[index]
    worker.holds.discard(made)
    world.say(ObjectsLost((made,), "altered"), worker.peer)
    world.settle()
    assert len(keepers(world, made)) == 2


def test_copies_are_on_different_hosts_and_those_that_join_get_theirs() -> None:
    # given two workers on one host
    world = World()
    world.join("a1", host="a"), world.join("a2", host="a")
    made = content_of(world, replicated_temp(world, 3))
    # then one of them has it
    assert len(holders(world, made)) == 1
    # when other hosts come, then each gets one, up to the number
    for name in "bcd":
        world.join(name)
        world.settle()
    assert {name[0] for name in keepers(world, made)} == {"a", "b", "c"}


def test_a_second_copy_on_one_host_that_a_task_has_left_is_spare() -> None:
    world = World()
    world.join("a1", host="a"), world.join("a2", host="a")
    temp = replicated_temp(world, 2)
    world.submit((temp,)), world.submit((temp,))
    world.settle()
    assert holders(world, content_of(world, temp)) == {"a1", "a2"}
    assert len(keepers(world, content_of(world, temp))) == 1


def test_one_copy_undoes_it() -> None:
    world = World(workers=2)
    temp = replicated_temp(world, 2)
    world.say(m.ReplicateFile(temp, 1))
    assert len(keepers(world, content_of(world, temp))) == 1
    assert len(holders(world, content_of(world, temp))) == 2


def test_what_the_manager_has_is_kept_on_workers_too_and_comes_from_there() -> None:
    world = World(workers=3)
    file, data = world.local_file(), world.buffer()
    tree = world.untar(file)
    for each in (file, data, tree):
        world.say(m.ReplicateFile(each, 2))
    world.settle()
    for content in (content_of(world, file), content_of(world, data), unpacked_id(content_of(world, file))):
        assert len(keepers(world, content)) == 2
    world.say(m.ReplicateFile(file, 1))
    assert not keepers(world, content_of(world, file))


def test_a_worker_without_room_is_passed_over_and_asked_again_later() -> None:
    # given two hosts of which one has no room for the second copy
    world = World(workers=2)
    temp = world.temp()
    world.say(m.ReplicateFile(temp, 2))
    world.submit(outputs=(temp,))
    maker = next(worker for worker in world.workers.values() if worker.assigned)
    other = next(worker for worker in world.workers.values() if worker is not maker)
    while not other.fetching:
        world.happen(world.possible_events()[0])
    lacks_room(world, other)
    world.pass_time(1)
    assert not other.fetching
    # when another host comes, it gets the copy
    third = world.join()
    assert third.fetching
    lacks_room(world, third)
    # when a while has passed, they are asked again
    world.pass_time(config.copy_retry_s)
    assert other.fetching or third.fetching
    world.settle()
    assert len(keepers(world, content_of(world, temp))) == 2


def test_copies_go_to_workers_in_turn() -> None:
    world = World(workers=5)
    for _ in range(4):
        replicated_temp(world, 2)
    assert sorted(len(worker.holds) for worker in world.workers.values()) == [1, 1, 1, 1, 4], "all made by one worker"


def test_a_file_of_equal_content_does_not_end_what_another_one_asks_for() -> None:
    world = World(workers=2)
    first, second = world.local_file(), world.local_file()
    world.say(m.ReplicateFile(first, 2))
    world.say(m.ReplicateFile(second, 1))
    world.settle()
    content = content_of(world, first)
    assert len(keepers(world, content)) == 2
    world.say(m.ForgetFiles((first,)))
    assert not keepers(world, content)


def test_copies_under_way_for_a_file_that_is_undeclared_are_not_kept_for_one_of_equal_content() -> None:
    world = World(workers=2)
    first, second = world.local_file(), world.local_file()
    world.say(m.ReplicateFile(first, 2))
    world.say(m.ForgetFiles((first,)))
    world.settle()
    assert not keepers(world, content_of(world, second))
    assert not world.core.state.copies.targets


def test_the_copies_of_a_file_that_is_undeclared_go() -> None:
    world = World(workers=2)
    temp = replicated_temp(world, 2)
    world.say(m.ForgetFiles((temp,)))
    assert not any(worker.holds for worker in world.workers.values())
    assert not world.core.state.copies.replicated


def test_of_what_is_undeclared_no_lack_of_copies_is_remembered() -> None:
    world = World(workers=1)
    file = world.local_file()
    world.say(m.ReplicateFile(file, 3))
    world.settle()
    assert world.core.state.copies.few
    world.say(m.ForgetFiles((file,)))
    assert not world.core.state.copies.few
