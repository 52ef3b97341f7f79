"""Which copies may workers give up, and does one that somebody needs always stay?"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.scheduler.world import World, manifest
from vine.content.manifest import object_id
from vine.names import FileId, ObjectId, TaskId
from vine.scheduler.files import unpacked_id
from vine.wire import messages as m
from vine.wire.parts import CacheLevel, FetchFault, FileKind, Outcome, Signature
from vine.wire.worker_messages import DropObjects, FetchObject, ObjectsEvicted, ObjectsHeld, RateObjects, UnpackObject

SUCCESS, FOREVER = Outcome.SUCCESS, CacheLevel.FOREVER


def content_of(world: World, file: FileId) -> ObjectId:
    known = world.core.state.files.object_of(file)
    assert known is not None
    return known.object_id


def made_temp(world: World) -> tuple[FileId, ObjectId]:
    """A temporary file that a task has just made on the only worker."""
    temp = world.temp()
    world.submit(outputs=(temp,))
    world.settle()
    return temp, content_of(world, temp)


def test_what_the_manager_has_is_spare_wherever_it_comes_to() -> None:
    world = World(workers=1)
    archive = world.local_file("env")
    for file in (archive, world.buffer(), world.untar(archive)):
        world.submit((file,))
    world.settle()
    (worker,) = world.workers.values()
    assert len(worker.holds) == 3
    assert worker.may_go() == sorted(worker.holds)
    assert not world.sent(RateObjects), "the orders say it already"


def test_the_only_copy_of_what_was_made_is_not_spare_and_a_second_one_is() -> None:
    # given a file that a task has made
    world = World(workers=1)
    (first,) = world.workers.values()
    temp, made = made_temp(world)
    assert first.may_go() == []
    # when another worker gets it too
    second = world.join()
    busy = world.submit()
    world.submit((temp,))
    world.settle()
    assert made in second.holds
    # then that one may give it up, and the first still may not
    assert (first.may_go(), second.may_go()) == ([], [made])
    world.evict(second, made)
    assert (world.results[busy].outcome, world.core.state.files.objects[made].holders) == (SUCCESS, {first.worker_id})


def test_when_the_keeper_is_lost_another_holder_keeps_the_copy() -> None:
    world = World(workers=1)
    (first,) = world.workers.values()
    temp, made = made_temp(world)
    second = world.join()
    world.submit()
    world.submit((temp,))
    world.settle()
    world.lose(first.worker_id)
    assert second.may_go() == []
    assert world.sent(RateObjects)[-1].message == RateObjects((made,), False, CacheLevel.WORKFLOW)  # type: ignore[union-attr]


def test_what_comes_to_the_manager_becomes_spare() -> None:
    world = World(workers=1)
    (worker,) = world.workers.values()
    _, made = made_temp(world)
    file = world.declare(FileKind.LOCAL, path="/data/copy")
    known = world.core.state.files.objects[made]
    content = known.manifest
    assert content is not None
    world.say(m.FileBound(file, made, content, "/data/copy", Signature(content.size, 1, 1)))
    assert worker.may_go() == [made]


def test_an_evicted_input_comes_again_for_the_task_that_needs_it_there() -> None:
    # given a task that was sent to a worker for the file that it has
    world = World(workers=1)
    (worker,) = world.workers.values()
    file = world.local_file()
    world.submit((file,))
    world.settle()
    # when the worker had given it up before it heard of the task
    waiting = world.submit((file,))
    attempt = next(iter(worker.assigned))
    assignment = worker.assigned.pop(attempt)
    world.evict(worker, content_of(world, file))
    worker.assigned[attempt] = assignment
    # then it is sent there again
    world.settle()
    assert world.results[waiting].outcome is SUCCESS
    assert len(world.sent(FetchObject)) == 2


def test_a_flow_from_a_copy_that_had_to_make_room_comes_from_another_one() -> None:
    # given a file on two workers, and two more that pull it from both
    world = World(workers=1)
    (first,) = world.workers.values()
    temp, made = made_temp(world)
    second = world.join()
    world.submit()
    world.submit((temp,))
    world.settle()
    world.join(), world.join()
    tasks = [world.submit((temp,)) for _ in range(4)]
    sources = {source for transfer in world.core.state.transfers.active.values() for source in transfer.sources}
    assert {first.worker_id, second.worker_id} <= sources
    # when the one that may gives it up
    second.assigned.clear()
    world.evict(second, made)
    # then all three get it from the other
    assert world.core.state.files.objects[made].holders == {first.worker_id}
    world.settle()
    assert world.core.state.files.objects[made].holders == set(world.workers)
    assert len(tasks) == 4


def test_a_copy_that_was_dropped_while_it_made_room_and_was_sent_again_is_not_taken_for_a_failure() -> None:
    world = World(workers=1)
    (worker,) = world.workers.values()
    data = world.buffer(b"once", cache=CacheLevel.TASK)
    world.submit((data,))
    world.settle()  # It was dropped after its last use.
    task = world.submit((data,))
    (again,) = worker.storing
    world.say(ObjectsEvicted((again,)), worker.peer)  # Said before the worker heard of the drop.
    assert world.state_of(task) == "staged"
    world.settle()
    assert world.results[task].outcome is SUCCESS


# --- kept for ever ---


def test_the_level_forever_goes_with_every_order_and_the_copies_stay_when_the_client_leaves() -> None:
    world = World(workers=1)
    (worker,) = world.workers.values()
    archive = world.local_file("env", cache=FOREVER)
    tree = world.untar(archive, cache=FOREVER)
    world.submit((tree,))
    world.settle()
    keys = {content_of(world, archive), content_of(world, tree)}
    assert worker.forever == keys
    world.say(m.ClientBye())
    assert worker.holds == keys
    assert worker.may_go() == sorted(keys), "they make room for what somebody needs"


def test_a_second_declaration_with_a_longer_level_is_told_to_those_who_have_it() -> None:
    world = World(workers=1)
    (worker,) = world.workers.values()
    world.submit((world.local_file("same"),))
    world.settle()
    assert worker.forever == set()
    world.local_file("same", cache=FOREVER)
    assert worker.forever == worker.holds


def test_what_a_worker_has_kept_for_ever_is_found_when_a_file_of_that_content_is_declared() -> None:
    # given a worker that comes with an archive and what was unpacked from it
    world = World()
    key = object_id(manifest("env"))
    worker = world.join(found=(key, unpacked_id(key)))
    assert worker.may_go() == sorted(worker.holds)
    # when a run declares them
    archive = world.local_file("env", cache=FOREVER)
    task = world.submit((world.untar(archive, cache=FOREVER),))
    world.settle()
    # then nothing has to be sent
    assert world.results[task].outcome is SUCCESS
    assert not world.sent(FetchObject) + world.sent(UnpackObject) + world.sent(DropObjects)


@pytest.mark.parametrize("level", [CacheLevel.TASK, CacheLevel.WORKFLOW, CacheLevel.WORKER])
@pytest.mark.parametrize("declared_first", [True, False])
def test_what_a_worker_has_kept_for_ever_stays_so_whatever_a_later_run_declares(
    level: CacheLevel, declared_first: bool
) -> None:
    # given what an earlier run has kept for ever, and a run that declares it for less long
    world = World()
    key = object_id(manifest("env"))
    kept = (key, unpacked_id(key))
    if declared_first:
        tree = world.untar(world.local_file("env", cache=level), cache=level)
        worker = world.join(found=kept)
    else:
        worker = world.join(found=kept)
        tree = world.untar(world.local_file("env", cache=level), cache=level)
    # when its tasks have used it
    task = world.submit((tree,))
    world.settle()
    assert world.results[task].outcome is SUCCESS
    assert worker.forever == set(kept)
    # and when that run is over, then it is still there, for the next
    world.say(m.ClientBye())
    assert worker.holds == worker.forever == set(kept)
    assert worker.may_go() == sorted(kept), "they make room for what somebody needs"


def test_the_worker_that_has_kept_a_file_gets_the_task_and_feeds_the_others() -> None:
    world = World(workers=2)
    warm = world.join(found=(object_id(manifest("big")),))
    task = world.submit((world.local_file("big"),))
    assert world.worker_of(task) == warm.worker_id


def test_what_was_kept_and_had_to_make_room_or_went_with_its_worker_is_not_counted_on() -> None:
    world = World()
    key = object_id(manifest("big"))
    worker, other = world.join(found=(key,)), world.join(found=(key,))
    world.evict(worker, key)
    world.lose(other.worker_id)
    assert not world.core.state.files.unclaimed
    world.local_file("big")
    assert world.core.state.files.objects[key].holders == {"manager"}


def test_what_a_worker_found_of_a_run_that_is_over_and_need_not_keep_is_dropped() -> None:
    world = World(workers=1)
    (worker,) = world.workers.values()
    worker.holds.add(object_id(manifest("old")))
    world.say(ObjectsHeld((object_id(manifest("old")),)), worker.peer)
    assert worker.holds == set()


# --- room on a worker's disk ---


def disk_full(world: World, worker_id: str) -> None:
    """The worker's first transfer finds no room."""
    worker = world.workers[worker_id]  # type: ignore[index]
    world.fetch_ends(worker, next(iter(worker.fetching)), FetchFault.DISK_FULL)


def test_a_task_that_lacks_the_room_that_others_take_up_waits_for_their_end() -> None:
    # given three tasks with large inputs of their own on the only worker
    world = World(workers=1, cores=3)
    (worker,) = world.workers.values()
    tasks = [world.submit((world.local_file(f"big{number}"),)) for number in range(3)]
    # when one's input does not fit beside the others', then it goes back and is not blamed on anybody
    disk_full(world, worker.worker_id)
    record = world.core.state.tasks.by_id[tasks[0]]
    assert (record.state.value, record.misplacements, record.avoid) == ("ready", 0, set())
    assert "fill the disk" in world.core.why(tasks[0], world.now)
    # and it runs when there is room
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {SUCCESS}


def test_a_task_whose_data_have_no_room_on_an_empty_worker_goes_elsewhere_or_fails() -> None:
    world = World(workers=2)
    task = world.submit((world.local_file(),))
    first = world.worker_of(task)
    assert first is not None
    disk_full(world, first)
    second = world.worker_of(task)
    assert second not in (None, first)
    disk_full(world, second)  # type: ignore[arg-type]
    assert world.results[task].outcome is Outcome.DISK_FULL


def test_two_tasks_that_take_the_room_from_each_other_run_one_after_the_other() -> None:
    # given two tasks of two inputs each, on a worker with room for any three of these
    world = World(workers=1, cores=2)
    (worker,) = world.workers.values()
    tasks = [world.submit(tuple(world.local_file(f"{task}{part}") for part in "ab")) for task in (1, 2)]
    # when both lack the last one
    disk_full(world, worker.worker_id)
    disk_full(world, worker.worker_id)
    # then one of them is tried alone, and the other's data are not brought meanwhile
    assert len(worker.assigned) == 1
    assert len(worker.fetching) <= 2
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {SUCCESS}


def test_what_was_coming_for_a_task_that_goes_elsewhere_takes_up_no_room() -> None:
    world = World(workers=2)
    task = world.submit((world.local_file("one"), world.local_file("two")))
    first = world.workers[world.worker_of(task)]  # type: ignore[index]
    disk_full(world, first.worker_id)
    assert first.fetching == {}
    dropped = {o for message in first.received if isinstance(message, DropObjects) for o in message.object_ids}
    assert dropped == {object_id(manifest("one")), object_id(manifest("two"))}


class Pressure(RuleBasedStateMachine):
    """However often workers give up what they may, nothing that was made has to be made again."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(workers=3)
        self.temps: list[FileId] = []
        self.tasks: list[TaskId] = []

    @rule(data=st.data(), makes=st.booleans(), reads=st.booleans())
    def submit(self, data: st.DataObject, makes: bool, reads: bool) -> None:
        inputs = tuple(data.draw(st.lists(st.sampled_from(self.temps), max_size=2, unique=True))) if self.temps else ()
        inputs += (self.world.local_file("big"),) if reads else ()
        outputs = (self.world.temp(),) if makes else ()
        self.tasks.append(self.world.submit(inputs, outputs))
        self.temps += outputs

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        events = self.world.possible_events()
        if events:
            self.world.happen(data.draw(st.sampled_from(events)))

    @rule(data=st.data())
    def a_worker_lacks_room(self, data: st.DataObject) -> None:
        worker = self.world.workers[data.draw(st.sampled_from(sorted(self.world.workers)))]
        if worker.may_go():
            self.world.evict(worker, *worker.may_go())

    def teardown(self) -> None:
        self.world.settle()
        assert all(self.world.results[task].outcome is SUCCESS for task in self.tasks)
        assert all(runs == 1 for runs in self.world.runs.values()), "a body ran again for what was given up"


TestPressure = Pressure.TestCase
TestPressure.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_news_of_a_copy_that_cross_the_order_to_drop_it_keep_no_task_waiting() -> None:
    world = World(workers=1)
    (worker,) = world.workers.values()
    data = world.buffer()
    first = world.submit((data,))
    (stored,) = worker.storing
    world.say(m.CancelTasks((first,)))
    world.say(m.ForgetFiles((data,)))
    world.happen(("end", worker, next(iter(worker.running))))
    assert not worker.storing, "it was told to drop it"
    again = world.buffer()
    world.say(ObjectsHeld((stored,)), worker.peer)  # It had said so before it read that.
    task = world.submit((again,))
    assert not worker.storing, "the manager takes it for being there"
    world.say(ObjectsEvicted((stored,)), worker.peer)
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS
