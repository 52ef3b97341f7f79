"""What is lost is found again, told to the true scheduler."""

from __future__ import annotations

import pytest

from tests.scheduler.fake_worker import FakeWorker
from tests.scheduler.world import World
from vine import config
from vine.names import MANAGER, FileId, ObjectId, TaskId
from vine.scheduler import actions
from vine.wire import messages as m
from vine.wire.parts import FetchFault, Outcome, Policy, Request, TaskKind
from vine.wire.worker_messages import ObjectsLost


def test_an_output_at_a_path_of_which_no_worker_has_a_copy_any_more_is_made_again_for_who_takes_it() -> None:
    world = World(workers=1)
    out = world.local_file("out", bind=False, exists=False)
    maker = world.submit(outputs=(out,))
    world.settle()
    world.lose(*world.workers)
    world.join()
    taker = world.submit((out,))
    world.settle()
    assert world.results[taker].outcome is Outcome.SUCCESS and world.runs[maker] == 2
    # and what lies at its path is left alone
    assert [a.destination for a in world.done if isinstance(a, actions.Fetch)] == ["/data/out"]


def test_a_failed_source_is_replaced_by_another() -> None:
    world = World(workers=2)
    big = world.local_file()
    first = world.submit((big,))
    world.settle()
    holder = world.core.state.files.object_of(big).holders - {MANAGER}  # type: ignore[union-attr]
    second = world.submit((big,))
    third = world.submit((big,))
    other = next(w for w in world.workers.values() if w.worker_id not in holder)
    (transfer,) = other.fetching
    assert other.fetching[transfer].sources[0].source in holder
    world.fetch_ends(other, transfer, FetchFault.SOURCE_REFUSED)
    (transfer,) = other.fetching
    assert other.fetching[transfer].sources[0].source == MANAGER
    world.settle()
    assert {world.results[task].outcome for task in (first, second, third)} == {Outcome.SUCCESS}


def test_tasks_of_a_lost_worker_run_elsewhere() -> None:
    world = World(workers=2)
    task = world.submit()
    world.lose(world.worker_of(task))  # type: ignore[arg-type]
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS
    assert world.results[task].attempts == 2


def test_a_task_that_loses_worker_after_worker_fails_and_says_so() -> None:
    losses = config.worker_losses_alone_from + config.worker_losses_alone_max
    world = World(workers=losses + 1)
    task = world.submit()
    for _ in range(losses):
        assert task not in world.results
        world.lose(world.worker_of(task))  # type: ignore[arg-type]
    assert world.results[task].outcome is Outcome.WORKER_LOST
    assert "killed" in world.results[task].message


def test_a_lost_temporary_file_is_made_again_by_its_producer() -> None:
    world = World(workers=1)
    middle = world.temp()
    producer = world.submit(outputs=(middle,), kind=TaskKind.COMMAND)
    world.settle()
    world.lose(next(iter(world.workers)))
    world.join()
    consumer = world.submit((middle,), kind=TaskKind.COMMAND)
    world.settle()
    assert world.results[consumer].outcome is Outcome.SUCCESS
    assert world.runs[producer] == 2


def test_a_worker_is_lost_with_the_only_copy_of_what_several_tasks_there_were_about_to_take() -> None:
    world = World()
    world.join("w", cores=2)
    middle = world.temp()
    producer = world.submit(outputs=(middle,), kind=TaskKind.COMMAND)
    world.settle()
    consumers = [world.submit((middle,), kind=TaskKind.COMMAND) for _ in range(2)]
    assert [world.state_of(task) for task in consumers] == ["staged", "staged"]
    world.lose("w")
    world.join(cores=2)
    world.settle()
    assert {world.results[task].outcome for task in consumers} == {Outcome.SUCCESS}
    assert world.runs[producer] == 2


def test_a_chain_of_lost_temporary_files_is_made_again() -> None:
    world = World(workers=1)
    previous = world.temp()
    world.submit(outputs=(previous,), kind=TaskKind.COMMAND)
    for _ in range(5):
        following = world.temp()
        world.submit((previous,), (following,), kind=TaskKind.COMMAND)
        previous = following
    world.settle()
    world.lose(next(iter(world.workers)))
    world.join()
    consumer = world.submit((previous,), kind=TaskKind.COMMAND)
    world.settle()
    assert world.results[consumer].outcome is Outcome.SUCCESS
    assert sum(world.runs.values()) == 13


def test_a_full_disk_sends_the_task_to_another_worker() -> None:
    world = World(workers=2)
    task = world.submit((world.local_file(),))
    first = world.workers[world.worker_of(task)]  # type: ignore[index]
    world.fetch_ends(first, next(iter(first.fetching)), FetchFault.DISK_FULL)
    assert world.worker_of(task) not in (None, first.worker_id)
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS


def test_a_task_whose_data_fit_nowhere_fails_and_does_not_hang() -> None:
    world = World(workers=1)
    task = world.submit((world.local_file(),))
    only = next(iter(world.workers.values()))
    world.fetch_ends(only, next(iter(only.fetching)), FetchFault.DISK_FULL)
    assert world.results[task].outcome is Outcome.DISK_FULL


@pytest.mark.parametrize("most", [0, 1])
def test_a_task_that_workers_give_back_more_often_than_it_allows_is_forsaken(most: int) -> None:
    world = World(workers=5)
    task = world.submit((world.local_file(),), policy=Policy(forsaken_max=most))
    for _ in range(most + 1):
        assert task not in world.results
        worker = world.workers[world.worker_of(task)]  # type: ignore[index]
        world.fetch_ends(worker, next(iter(worker.fetching)), FetchFault.DISK_FULL)
    assert world.results[task].outcome is Outcome.FORSAKEN
    assert worker.worker_id in world.results[task].message
    assert not any(world.runs.values())


def test_a_task_whose_data_do_not_fit_onto_the_only_worker_that_fits_it_fails_and_does_not_hang() -> None:
    # given one worker that is large enough for a task, and another that is not
    world = World(workers=1)
    large = world.join(cores=4)
    task = world.submit((world.local_file(),), request=Request(cores=4))
    # when the large one lacks the room for its data
    world.fetch_ends(large, next(iter(large.fetching)), FetchFault.DISK_FULL)
    # then nobody is left who could run it
    assert world.results[task].outcome is Outcome.DISK_FULL


def test_the_loss_of_a_worker_is_no_giving_back() -> None:
    world = World(workers=2)
    task = world.submit(policy=Policy(forsaken_max=0))
    world.lose(world.worker_of(task))  # type: ignore[arg-type]
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS


def test_a_task_that_is_taken_back_while_it_is_cancelled_does_not_run_again() -> None:
    world = World(workers=2)
    temp = world.temp()
    makes = world.submit(outputs=(temp,))
    world.settle()
    holder = next(w for w in world.workers.values() if w.holds)
    blocks = world.submit(request=Request(cores=1))
    takes = world.submit((temp,))
    taker = next(w for w in world.workers.values() if any(a.task_id == takes for a in w.assigned.values()))
    world.say(m.CancelTasks((takes,)))
    identity = next(iter(holder.holds))
    holder.holds.clear()
    world.say(ObjectsLost((identity,), "disk error"), holder.peer)
    world.settle()
    assert world.results[takes].outcome is Outcome.CANCELLED
    assert taker.worker_id and makes and blocks
    assert takes not in world.runs


def test_a_worker_whose_copy_has_changed_is_no_proof_that_the_client_s_file_has() -> None:
    world = World(workers=1)
    file = world.local_file()
    first = world.submit((file,))
    world.settle()
    second = world.join(cores=2)
    task = world.submit((file,), request=Request(cores=2))
    (transfer,) = second.fetching
    assert second.fetching[transfer].sources[0].source == "w1"
    world.fetch_ends(second, transfer, FetchFault.SOURCE_CHANGED)
    world.settle()
    assert world.results[first].outcome is world.results[task].outcome is Outcome.SUCCESS


def test_what_failed_of_a_worker_that_has_left_and_of_a_file_that_is_no_more_is_forgotten() -> None:
    world = World(workers=2)
    files = [world.local_file(name) for name in ("a", "b")]
    for file in files:
        world.submit((file,))
    transfers = world.core.state.transfers
    for worker in world.workers.values():
        for transfer in list(worker.fetching):
            world.fetch_ends(worker, transfer, FetchFault.SOURCE_GONE)
    assert len(transfers.failures) == 2
    world.lose("w1")
    assert all(node != "w1" for node, _ in transfers.failures) and "w1" not in transfers.slots.used
    world.say(m.ClientBye())
    assert not transfers.failures and not transfers.shunned


def test_a_lost_temporary_file_whose_producer_was_cancelled_fails_what_takes_it() -> None:
    # given a temporary file whose producer was cancelled while its large value came back, and then lost that value
    world = World(workers=1)
    world.large_values = True
    middle = world.temp()
    producer = world.submit(outputs=(middle,))
    for kind in ("start", "end"):
        world.happen(next(event for event in world.possible_events() if event[0] == kind))
    (worker,) = world.workers.values()
    world.say(m.CancelTasks((producer,)))
    value = world.core.state.tasks.by_id[producer].value_object
    assert value is not None
    worker.holds.discard(value)
    world.say(ObjectsLost((value,), "disk error"), worker.peer)
    assert world.results[producer].outcome is Outcome.CANCELLED
    consumer = world.submit((middle,))
    # when the file is lost too
    world.lose(worker.worker_id)
    world.join()
    world.settle()
    # then its consumer does not wait for ever
    assert world.results[consumer].outcome is Outcome.INPUT_MISSING
    assert "cancelled" in world.results[consumer].message


# --- bad chunks ---


def a_bad_copy() -> tuple[World, FakeWorker, FakeWorker, ObjectId, TaskId]:
    """A small file on a worker that has just sent another one bad chunks of it; and the task that needs it there."""
    world = World(workers=1)
    file = world.local_file(chunks=2)
    world.submit((file,))
    world.settle()
    (holder,) = world.workers.values()
    (object_id,) = holder.holds
    other = world.join(cores=2)
    task = world.submit((file,), request=Request(cores=2))
    transfer, order = next(iter(other.fetching.items()))
    assert order.sources[0].source == holder.worker_id
    world.fetch_ends(other, transfer, FetchFault.BAD_CHUNKS)
    return world, holder, other, object_id, task


def source_of(worker: FakeWorker) -> str:
    (order,) = worker.fetching.values()
    return order.sources[0].source


def test_a_copy_whose_chunks_were_bad_is_verified_and_no_source_meanwhile() -> None:
    world, holder, other, object_id, _ = a_bad_copy()
    assert holder.verifying == [object_id] and source_of(other) == MANAGER
    # when it is found good, it is a source again
    world.verified(holder, object_id, good=True)
    world.settle()
    world.lose(other.worker_id)
    assert not world.core.state.transfers.shunned
    newcomer = world.join(cores=2)
    world.submit((next(iter(world.core.state.files.by_id)),), request=Request(cores=2))
    assert source_of(newcomer) == holder.worker_id
    # and if its chunks are bad again, it is not asked to look again but to drop it
    world.fetch_ends(newcomer, next(iter(newcomer.fetching)), FetchFault.BAD_CHUNKS)
    assert object_id not in holder.holds and not holder.verifying


def test_nobody_goes_on_with_a_copy_whose_chunks_were_bad() -> None:
    # given a small file that two workers pull from a third
    world = World(workers=1)
    file = world.local_file(chunks=2)
    world.submit((file,))
    world.settle()
    (holder,) = world.workers.values()
    first, second = [world.join(cores=cores) for cores in (2, 3)]
    for cores in (2, 3):
        world.submit((file,), request=Request(cores=cores))
    assert source_of(first) == source_of(second) == holder.worker_id
    # when one of them has had bad chunks
    world.fetch_ends(first, next(iter(first.fetching)), FetchFault.BAD_CHUNKS)
    # then the other has them from elsewhere too
    assert holder.worker_id not in (source_of(first), source_of(second))


def test_a_copy_that_is_found_bad_counts_no_more() -> None:
    world, holder, _, object_id, task = a_bad_copy()
    world.verified(holder, object_id, good=False)
    assert object_id not in world.core.state.workers[holder.worker_id].holds
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS
    assert not world.core.state.transfers.doubted


def test_the_only_copy_is_not_asked_for_before_it_was_found_good() -> None:
    # given a temporary file whose only copy has sent bad chunks
    world = World(workers=1)
    middle = world.temp()
    world.submit(outputs=(middle,), kind=TaskKind.COMMAND)
    world.settle()
    (holder,) = world.workers.values()
    other = world.join(cores=2)
    task = world.submit((middle,), kind=TaskKind.COMMAND, request=Request(cores=2))
    world.fetch_ends(other, next(iter(other.fetching)), FetchFault.BAD_CHUNKS)
    # then its reader waits
    assert not other.fetching and "waits for a source" in world.core.why(task, world.now)
    # until it is found good
    (object_id,) = holder.verifying
    world.verified(holder, object_id, good=True)
    assert source_of(other) == holder.worker_id


def test_a_worker_that_passed_on_bad_chunks_verifies_its_copy_when_it_has_it() -> None:
    # given eight workers that feed each other
    world = World(workers=8)
    file = world.local_file(chunks=12)
    for _ in range(8):
        world.submit((file,))
    flows = [(w, t, o) for w in world.workers.values() for t, o in w.fetching.items()]
    child, transfer, order = next(flow for flow in flows if flow[2].sources[0].source != MANAGER)
    relay = world.workers[order.sources[0].source]
    assert relay.fetching
    # when one that still receives is said to have sent bad chunks
    world.fetch_ends(child, transfer, FetchFault.BAD_CHUNKS)
    assert not relay.verifying
    # then it looks at its copy when that is complete, and is a source when it is good
    world.fetch_ends(relay, next(iter(relay.fetching)), FetchFault.NONE)
    assert relay.verifying == [order.object_id]
    assert (relay.worker_id, order.object_id) in world.core.state.transfers.shunned
    world.settle()
    assert not world.core.state.transfers.shunned and len(world.results) == 8


def failing_with_bad_chunks(world: World, file: FileId) -> None:
    (worker,) = world.workers.values()
    assert source_of(worker) == MANAGER
    world.fetch_ends(worker, next(iter(worker.fetching)), FetchFault.BAD_CHUNKS)


def test_what_the_manager_serves_is_hashed_again_when_it_was_bad_twice() -> None:
    world = World(workers=1)
    file = world.local_file()
    task = world.submit((file,))
    failing_with_bad_chunks(world, file)
    assert not world.verifying
    failing_with_bad_chunks(world, file)
    (object_id,) = world.verifying
    # when it is good, the fault is elsewhere, and the task may go elsewhere
    world.verified(None, object_id, good=True)
    assert task not in world.results
    # when it is not, what needs it fails and says so
    failing_with_bad_chunks(world, file)
    failing_with_bad_chunks(world, file)
    (object_id,) = world.verifying
    world.verified(None, object_id, good=False)
    assert world.results[task].outcome is Outcome.INPUT_CHANGED
    assert "it changed" in world.results[task].message


def test_a_copy_that_failed_once_is_asked_again_when_the_good_one_is_lost() -> None:
    # given a temporary file on two workers, one of which has failed a third
    world = World(workers=1)
    middle = world.temp()
    world.submit(outputs=(middle,), kind=TaskKind.COMMAND)
    world.settle()
    first = next(iter(world.workers.values()))
    second, third = world.join(cores=2), world.join(cores=3)
    for cores in (2, 3):
        world.submit((middle,), kind=TaskKind.COMMAND, request=Request(cores=cores))
    world.fetch_ends(second, next(iter(second.fetching)), FetchFault.NONE)
    transfer, order = next(iter(third.fetching.items()))
    failed = order.sources[0].source
    world.fetch_ends(third, transfer, FetchFault.SOURCE_GONE, blamed=failed)
    # when the other is lost
    good = next(worker.worker_id for worker in (first, second) if worker.worker_id != failed)
    assert source_of(third) == good
    world.lose(good)
    # then it is asked again
    assert source_of(third) == failed


def test_who_hangs_on_a_receiver_that_has_no_room_gets_the_object_from_another_source() -> None:
    # given a small file that goes from the manager to four workers, and from one of them to the fifth
    world = World(workers=5)
    file = world.local_file(chunks=2)
    tasks = [world.submit((file,)) for _ in range(5)]
    sources = {name: next(iter(w.fetching.values())).sources[0].source for name, w in world.workers.items()}
    feeder = next(world.workers[source] for source in sources.values() if source in world.workers)
    # when that one has no room for it
    world.fetch_ends(feeder, next(iter(feeder.fetching)), FetchFault.DISK_FULL)
    # then the other gets it all the same
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {Outcome.SUCCESS}
