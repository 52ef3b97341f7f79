"""An object of many chunks goes from node to node along its forest, told to the true scheduler."""

from __future__ import annotations

import pytest

from tests.scheduler.fake_worker import FakeWorker
from tests.scheduler.world import CHUNK, World
from vine import config
from vine.names import MANAGER, FileId, TaskId, TransferId, WorkerId
from vine.scheduler.flows import Transfers
from vine.scheduler.settings import Spread
from vine.transfer import ranks
from vine.wire import messages as m
from vine.wire.parts import FetchFault, FileKind, Mount, Outcome, Request, TaskKind, TaskSpec
from vine.wire.worker_messages import AbandonFetch, ChangeSources, FetchEnded, FetchObject, SourceSlow, WorkerStatus

CHUNKS = 12


def a_task_each(world: World, file: FileId) -> list[TaskId]:
    """One message for all, as clients send them: one step."""
    task_ids = [world.new_task_id() for _ in world.workers]
    mounts = (Mount(file, "in"),)
    specs = [TaskSpec(t, TaskKind.CALL, inputs=mounts, request=Request(cores=1)) for t in task_ids]
    world.say(m.SubmitTasks(tuple(specs)))
    return task_ids


def spreading(workers: int, spread: Spread = Spread.FOREST) -> tuple[World, list[TaskId]]:
    world = World(workers=workers, spread=spread)
    return world, a_task_each(world, world.local_file(chunks=CHUNKS))


def flows(world: World) -> Transfers:
    return world.core.state.transfers


def an_interior_worker(world: World) -> FakeWorker:
    feeding = {edge.source for worker in world.workers.values() for o in worker.fetching.values() for edge in o.sources}
    return next(worker for name, worker in world.workers.items() if name in feeding and worker.fetching)


def orders(world: World) -> list[tuple[FakeWorker, FetchObject]]:
    """What runs, as the workers know it."""
    return [(worker, order) for worker in world.workers.values() for order in worker.fetching.values()]


@pytest.mark.parametrize("workers", [1, 8, 40])
def test_the_manager_uploads_an_object_once_however_many_want_it(workers: int) -> None:
    world, tasks = spreading(workers)
    assert len(world.sent(FetchObject)) == workers
    assert not world.sent(AbandonFetch)
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {Outcome.SUCCESS}
    assert flows(world).bytes_from_manager == CHUNKS * CHUNK
    assert flows(world).bytes_from_peers == (workers - 1) * CHUNKS * CHUNK


def test_in_a_chain_everybody_feeds_one_other_from_the_start() -> None:
    world, tasks = spreading(8, Spread.CHAIN)
    orders = {name: next(iter(worker.fetching.values())) for name, worker in world.workers.items()}
    fed_by = {edge.source: name for name, order in orders.items() for edge in order.sources}
    line = [MANAGER]
    while line[-1] in fed_by:
        line.append(fed_by[line[-1]])
    assert len(line) == 9
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {Outcome.SUCCESS}
    assert flows(world).bytes_from_manager == CHUNKS * CHUNK


def test_everybody_is_fed_from_the_start_within_the_cap_of_each_source() -> None:
    world, _ = spreading(40)
    assert all(len(worker.fetching) == 1 for worker in world.workers.values())
    assert not flows(world).wanting
    assert max(flows(world).slots.used.values()) <= world.settings.transfers_max


def test_an_order_names_a_source_and_a_backup_for_each_stripe() -> None:
    world, _ = spreading(40)
    for worker, order in orders(world):
        assert len(order.sources) == len(order.backups) == 3
        for edge, backup in zip(order.sources, order.backups, strict=True):
            assert backup is None or backup.source not in (edge.source, worker.worker_id)
    # None but the roots have nobody else to turn to, and they have each other's children.
    assert sum(backup is None for _, order in orders(world) for backup in order.backups) <= 3


def test_those_who_come_one_by_one_cost_the_manager_one_copy_too() -> None:
    world = World()
    file = world.local_file(chunks=CHUNKS)
    for _ in range(12):
        world.join()
        world.submit((file,))
        world.pass_time(0.1)
    world.settle()
    assert len(world.results) == 12
    assert flows(world).bytes_from_manager == CHUNKS * CHUNK


def test_what_a_lost_worker_fed_comes_from_others() -> None:
    world, tasks = spreading(8)
    lost = an_interior_worker(world)
    world.lose(lost.worker_id)
    asked = {edge.source for w in world.workers.values() for o in w.fetching.values() for edge in o.sources}
    assert lost.worker_id not in asked and asked
    world.join()
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {Outcome.SUCCESS}


def test_whom_a_lost_worker_fed_go_on_with_what_they_have() -> None:
    # given a worker that feeds others
    world, _ = spreading(40)
    lost = an_interior_worker(world)
    fed = [w.worker_id for w, o in orders(world) if lost.worker_id in [edge.source for edge in o.sources]]
    before = {order.transfer_id for worker, order in orders(world) if worker is not lost}
    ordered = len(world.sent(FetchObject))
    # when it is lost
    world.lose(lost.worker_id)
    # then their transfers run on, from others in that stripe alone
    assert {order.transfer_id for _, order in orders(world)} == before
    assert len(world.sent(FetchObject)) == ordered and not world.sent(AbandonFetch)
    told = [worker.worker_id for worker in world.workers.values() if changes(worker)]
    assert fed and set(fed) <= set(told)
    for worker_id in fed:
        assert lost.worker_id not in [edge.source for edge in changes(world.workers[worker_id])[-1].sources]


def changes(worker: FakeWorker) -> list[ChangeSources]:
    return [message for message in worker.received if isinstance(message, ChangeSources)]


def test_a_change_that_crosses_the_transfer_s_end_is_harmless() -> None:
    # given a child of a lost worker whose transfer is complete, which the manager does not know yet
    world, _ = spreading(8)
    lost = an_interior_worker(world)
    child, order = next((w, o) for w, o in orders(world) if lost.worker_id in [edge.source for edge in o.sources])
    del child.fetching[order.transfer_id]
    child.came(order.object_id, order.cache)
    # when the manager changes its sources
    world.lose(lost.worker_id)
    assert changes(child)
    # then its word of the end still counts
    size = CHUNKS * CHUNK
    world.say(FetchEnded(order.transfer_id, order.object_id, FetchFault.NONE, size, 0.1), child.peer)
    assert order.object_id in world.core.state.workers[child.worker_id].holds
    world.settle()
    assert len(world.results) == 8


def test_a_source_that_was_replaced_is_not_blamed_for_a_transfer_that_failed_before_it_heard() -> None:
    # given a transfer whose source was lost, and came back as a new process that holds nothing
    world, _ = spreading(8)
    lost = an_interior_worker(world)
    child, order = next((w, o) for w, o in orders(world) if lost.worker_id in [edge.source for edge in o.sources])
    world.lose(lost.worker_id)
    world.join(lost.worker_id)
    # when the child tells that this source has failed it
    world.fetch_ends(child, order.transfer_id, FetchFault.SOURCE_GONE, blamed=lost.worker_id)
    # then nobody is shunned, and the child is fed anew
    assert not flows(world).shunned and not flows(world).failures
    assert len(child.fetching) == 1


def test_a_backup_alone_is_not_worth_a_message_unless_the_one_there_was_is_gone() -> None:
    # given forty workers, one of whom is a backup of some that it does not feed
    world, _ = spreading(40)
    sources = {w.worker_id: {edge.source for edge in o.sources} for w, o in orders(world)}
    backups = {w.worker_id: {edge.source for edge in o.backups if edge is not None} for w, o in orders(world)}
    lost = next(
        name for name in world.workers if any(name in named and name not in sources[w] for w, named in backups.items())
    )
    helped = [w for w, named in backups.items() if lost in named and w != lost]
    # when others complete, so that better backups appear, nobody is told
    holder = next(w for w, _ in orders(world) if w.worker_id != lost)
    world.fetch_ends(holder, next(iter(holder.fetching)), FetchFault.NONE)
    assert not world.sent(ChangeSources)
    # when it is lost, those whom it would have helped are told of another
    world.lose(lost)
    told = {worker.worker_id for worker in world.workers.values() if changes(worker)}
    assert set(helped) - {holder.worker_id} <= told
    named = {edge.source for _, o in orders(world) for edge in (*o.sources, *o.backups) if edge is not None}
    assert lost not in named


def test_a_worker_that_leaves_half_way_does_not_make_the_manager_upload_to_all() -> None:
    world, _ = spreading(40)
    while len(flows(world).active) > 20:
        world.happen(next(event for event in world.possible_events() if event[0] == "fetched"))
    world.lose(an_interior_worker(world).worker_id)
    world.join()
    world.settle()
    assert flows(world).bytes_from_manager <= 2 * CHUNKS * CHUNK


def test_a_source_that_failed_one_of_its_children_feeds_nobody_any_more_but_gets_the_object() -> None:
    world, tasks = spreading(8)
    bad = an_interior_worker(world)
    children = [
        (worker, transfer)
        for worker in world.workers.values()
        for transfer, order in worker.fetching.items()
        if bad.worker_id in [edge.source for edge in order.sources]
    ]
    world.fetch_ends(*children[0], FetchFault.SOURCE_GONE, blamed=bad.worker_id)
    asked = {edge.source for w in world.workers.values() for o in w.fetching.values() for edge in o.sources}
    assert bad.worker_id not in asked
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {Outcome.SUCCESS}
    assert len(world.results) == 8


def test_who_is_not_named_is_not_blamed() -> None:
    world, _ = spreading(8)
    worker = next(w for w in world.workers.values() if any(len(o.sources) == 3 for o in w.fetching.values()))
    world.fetch_ends(worker, next(iter(worker.fetching)), FetchFault.SOURCE_GONE, blamed=WorkerId("stranger"))
    assert not flows(world).shunned
    assert len(worker.fetching) == 1


def calls_slow(world: World, reporter: FakeWorker, order: FetchObject, source: WorkerId) -> None:
    world.say(SourceSlow(order.transfer_id, order.object_id, source), reporter.peer)


def children_of(world: World, source: WorkerId) -> list[tuple[FakeWorker, FetchObject]]:
    return [(worker, o) for worker, o in orders(world) if source in [edge.source for edge in o.sources]]


def test_who_calls_its_source_slow_is_fed_by_another_at_once_and_keeps_what_it_has() -> None:
    world, tasks = spreading(40)
    slow = an_interior_worker(world).worker_id
    (child, order), *others = children_of(world, slow)
    calls_slow(world, child, order, slow)
    assert slow not in [edge.source for edge in child.fetching[order.transfer_id].sources]
    assert not world.sent(AbandonFetch)
    # It is one child's word: the node feeds the others on.
    assert {w.worker_id for w, _ in others} <= {w.worker_id for w, _ in children_of(world, slow)}
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {Outcome.SUCCESS}


def test_whom_two_of_its_children_call_slow_feeds_nobody_and_gets_the_object_all_the_same() -> None:
    world, tasks = spreading(40)
    slow = an_interior_worker(world).worker_id
    for child, order in children_of(world, slow)[:2]:
        calls_slow(world, child, order, slow)
    assert not children_of(world, slow) and world.workers[slow].fetching
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {Outcome.SUCCESS} and len(tasks) == 40
    assert flows(world).bytes_from_manager == CHUNKS * CHUNK


def unheard(world: World) -> FakeWorker:
    """A worker whose children have told that it sends nothing."""
    silent = an_interior_worker(world)
    for child, order in children_of(world, silent.worker_id)[:2]:
        world.say(SourceSlow(order.transfer_id, order.object_id, silent.worker_id, silent=True), child.peer)
    return silent


def test_of_whom_two_children_hear_nothing_is_told_to_stop_and_all_others_get_the_object() -> None:
    world, tasks = spreading(40)
    # given a worker that is dead, so that its slots and those that it takes are needed
    orders_before = {worker.worker_id for worker, _ in orders(world)}
    silent = unheard(world)
    # then nobody is to get anything of it, as a source or a backup, and it is told to stop
    assert world.sent(AbandonFetch) and not children_of(world, silent.worker_id)
    assert not flows(world).into.get((silent.worker_id, next(iter(flows(world).forests))))
    assert not any(silent.worker_id in transfer.backups for transfer in flows(world).active.values())
    assert {worker.worker_id for worker, _ in orders(world)} == orders_before - {silent.worker_id}
    assert len(tasks) == 40


def test_who_was_taken_for_dead_and_answers_gets_the_object_again() -> None:
    # given a worker that was taken for dead
    world, tasks = spreading(40)
    [order] = an_interior_worker(world).fetching.values()
    silent = unheard(world)
    assert not silent.fetching
    # when it says that it has stopped
    world.say(FetchEnded(order.transfer_id, order.object_id, FetchFault.ABANDONED, 0, 0.0), silent.peer)
    # then it gets the object, and feeds nobody
    assert silent.fetching and not children_of(world, silent.worker_id)
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {Outcome.SUCCESS} and len(world.results) == 40


def test_who_waits_for_slots_itself_is_not_taken_for_dead_and_gets_the_object() -> None:
    """It would have nothing to stop, and so nothing to answer: nobody would ever hear of it again."""
    # given workers that want more than so few slots give, and one of them that waits while others hang on it
    world = World(workers=10, transfers_max=2)
    tasks = a_task_each(world, world.local_file(chunks=CHUNKS))
    world.lose(next(iter(world.workers)))
    [forest] = flows(world).forests.values()
    silent, children = next((n, two) for n in forest.waiting() if len(two := children_of(world, n)) == 2)
    assert not world.workers[silent].fetching
    # when all of those hear nothing of it
    for child, order in children:
        world.say(SourceSlow(order.transfer_id, order.object_id, silent, silent=True), child.peer)
    # then it is not given up, and all get the object
    assert not forest.is_suspended(silent) and not forest.is_slow(silent)
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {Outcome.SUCCESS} and len(world.results) == 10


def test_who_calls_itself_slow_feeds_nobody() -> None:
    world, _ = spreading(40)
    slow = an_interior_worker(world)
    calls_slow(world, slow, next(iter(slow.fetching.values())), slow.worker_id)
    assert not children_of(world, slow.worker_id) and slow.fetching


def test_who_was_slow_for_many_objects_is_far_from_the_roots_of_new_ones() -> None:
    # given workers of which one was slow in several objects' forests
    world = World(workers=40)
    slow = None
    for number in range(config.slow_objects_max):
        a_task_each(world, world.local_file(f"file{number}", chunks=CHUNKS))
        slow = slow or an_interior_worker(world)
        calls_slow(world, slow, next(iter(slow.fetching.values())), slow.worker_id)
        world.settle()
    assert slow is not None and world.core.state.ranks.rank(slow.worker_id) == ranks.LAST
    # when another file spreads
    a_task_each(world, world.local_file("another", chunks=CHUNKS))
    # then whom it feeds with a stripe feed nobody with that one
    fed = [(w.worker_id, stripe, edge.source) for w, o in orders(world) for stripe, edge in enumerate(o.sources)]
    children = {(child, stripe) for child, stripe, source in fed if source == slow.worker_id}
    assert not children & {(source, stripe) for _, stripe, source in fed}


def test_whose_receivers_are_slow_is_ranked_below_those_whose_are_not() -> None:
    world = World(workers=20)
    file = world.local_file(chunks=20)
    children: set[str] = set()
    world.seconds = lambda worker: 8.0 if worker.worker_id in children else 1.0
    a_task_each(world, file)
    source = an_interior_worker(world)
    children = {child.worker_id for child, _ in children_of(world, source.worker_id)}
    world.settle()
    assert world.core.state.ranks.rank(source.worker_id) > 0
    assert world.core.state.ranks.rank(MANAGER) == 0


def test_a_transfer_whose_sources_changed_says_nothing_of_the_new_ones() -> None:
    # given a worker that was called slow, and a child that has another source since
    world = World(workers=20)
    world.seconds = lambda worker: 0.1 if changes(worker) else 1.0
    a_task_each(world, world.local_file(chunks=20))
    slow = an_interior_worker(world).worker_id
    child, order = children_of(world, slow)[0]
    calls_slow(world, child, order, slow)
    new = {edge.source for edge in child.fetching[order.transfer_id].sources} - {MANAGER}
    # when that transfer ends at another rate than all others
    world.settle()
    # then that is nothing that the new one has shown
    assert new and {world.core.state.ranks.rank(WorkerId(source)) for source in new} == {0}


def test_what_a_worker_has_sent_by_its_own_count_raises_it() -> None:
    world = World(workers=8)
    a_task_each(world, world.local_file(chunks=20))
    world.seconds = lambda worker: 1.0
    world.settle()
    (name, worker), *_ = world.workers.items()
    for sent in (0, 1 << 30):
        world.pass_time(1.0)
        world.say(WorkerStatus(0, 0, sent, 0, 0, 0, 0), worker.peer)
    assert world.core.state.ranks.rank(name) < 0


def test_what_is_said_of_a_source_that_is_not_the_reporter_s_changes_nothing() -> None:
    world, _ = spreading(40)
    slow = an_interior_worker(world).worker_id
    strangers = [(w, o) for w, o in orders(world) if slow not in [edge.source for edge in o.sources]]
    child, order = children_of(world, slow)[0]
    for worker, own in strangers:
        if worker.worker_id != slow:
            calls_slow(world, worker, own, slow)  # It is fed by others.
            calls_slow(world, worker, order, slow)  # The transfer is another's.
            calls_slow(world, worker, order, worker.worker_id)
    world.say(SourceSlow(TransferId(1, 10**6), order.object_id, slow), child.peer)
    assert not world.sent(ChangeSources)


def test_an_object_that_must_not_be_shared_any_more_comes_from_the_manager_alone() -> None:
    # given an object on its way to eight workers
    world, tasks = spreading(8)
    # when the same content is declared again, as private
    world.bind(world.declare(FileKind.LOCAL, path="/data/big", peer_transfer=False), "big", CHUNKS)
    # then nobody asks a worker for it
    asked = {edge.source for w in world.workers.values() for o in w.fetching.values() for edge in o.sources}
    assert asked == {MANAGER}
    assert not flows(world).forests
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {Outcome.SUCCESS}


def test_an_object_of_few_chunks_has_one_source_and_no_plan() -> None:
    world = World(workers=8)
    a_task_each(world, world.local_file(chunks=3))
    assert not flows(world).forests
    assert {len(a.message.sources) for a in world.sent(FetchObject)} == {1}  # type: ignore[attr-defined]
    world.settle()
    assert len(world.results) == 8


def test_objects_that_compete_for_slots_all_come() -> None:
    world = World(workers=6, cores=4)
    files = [world.local_file(f"file{number}", chunks=chunks) for number, chunks in enumerate((12, 12, 2, 12, 2, 12))]
    for file in [file for file in files for _ in range(4)]:
        world.submit((file,))
    world.settle()
    assert len(world.results) == 24
    assert not flows(world).slots.used


def test_an_object_that_nobody_needs_gives_all_slots_back() -> None:
    world, _ = spreading(8)
    world.say(m.ClientBye())
    assert not flows(world).slots.used and not flows(world).forests and not flows(world).active
