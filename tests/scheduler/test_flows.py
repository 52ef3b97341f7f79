"""The table of flows: slots are taken and given back, and what may change a node's part is noted."""

from __future__ import annotations

from vine.names import MANAGER, HostId, ObjectId, PeerKey, TransferId, WorkerId
from vine.scheduler.flows import Transfer, Transfers
from vine.scheduler.workers import WorkerRecord
from vine.wire.parts import Resources
from vine.wire.worker_messages import WorkerHello

FILE = ObjectId("f" * 64)
A, B, C = WorkerId("a"), WorkerId("b"), WorkerId("c")


def flow(number: int, source: WorkerId, destination: WorkerId, in_forest: bool = False) -> Transfer:
    return Transfer(TransferId(1, number), FILE, (source,), destination, 0.0, 1, None, in_forest)


def test_a_single_pull_takes_a_slot_of_its_source_and_gives_it_back() -> None:
    transfers = Transfers(transfers_max=3)
    transfers.add(flow(1, MANAGER, A))
    assert transfers.slots.free(MANAGER) == 2 and transfers.is_coming(A, FILE)
    transfers.remove(transfers.active[TransferId(1, 1)])
    assert transfers.slots.free(MANAGER) == 3 and not transfers.is_coming(A, FILE)
    assert not transfers.receiving


def test_a_forest_has_taken_the_slots_of_its_flows_itself() -> None:
    transfers = Transfers(transfers_max=3)
    transfers.add(flow(1, MANAGER, A, in_forest=True))
    assert transfers.slots.free(MANAGER) == 3
    transfers.remove(transfers.active[TransferId(1, 1)])
    assert transfers.slots.free(MANAGER) == 3


def test_what_may_change_a_node_s_part_makes_it_dirty() -> None:
    transfers = Transfers(transfers_max=3)
    transfers.want(A, FILE)
    transfers.shun(B, FILE)
    assert transfers.dirty == {FILE: {A: None, B: None}}
    transfers.dirty.clear()
    transfers.pardon([(A, FILE), (B, FILE)])
    assert transfers.dirty == {FILE: {B: None}}
    transfers.dirty.clear()
    assert transfers.want_no_more(A, FILE) is None
    assert transfers.dirty == {FILE: {A: None}} and not transfers.wanting


def test_a_flow_of_a_forest_may_change_its_sources_and_a_backup_that_is_gone_is_noted() -> None:
    # given a flow with a backup
    transfers = Transfers(transfers_max=3)
    transfers.add(Transfer(TransferId(1, 1), FILE, (A,), B, 0.0, 1, None, in_forest=True, backups=(MANAGER,)))
    transfers.dirty.clear()
    # when the backup is gone
    transfers.backup_gone(MANAGER, FILE)
    # then its receiver is to be told, and no longer waits for that when it was
    assert transfers.unbacked == {TransferId(1, 1)} and transfers.dirty == {FILE: {B: None}}
    changed = transfers.change(transfers.active[TransferId(1, 1)], (MANAGER,), (A,))
    assert transfers.active == {TransferId(1, 1): changed} and changed.changed
    assert not transfers.unbacked and list(transfers.backed) == [(A, FILE)]
    transfers.remove(changed)
    assert not transfers.backed


def test_who_makes_an_object_is_known_by_the_worker_and_by_the_object() -> None:
    transfers = Transfers(transfers_max=3)
    hello = WorkerHello(A, HostId("h"), "h", 1, Resources(1), (), "3.11", "tcp://h:1", "tcp://h:2")
    worker = WorkerRecord(PeerKey("p"), hello, 0.0, 0.0)
    transfers.make(worker, FILE)
    assert worker.making == {FILE} and transfers.makers == {FILE: {A}}
    for _ in range(2):  # It may be told twice.
        transfers.make_no_more(worker, FILE)
    assert not worker.making and not transfers.makers


def test_who_hangs_on_a_node_that_turns_out_to_get_nothing_is_found_also_when_that_has_just_come_about() -> None:
    # given a line from the manager, by way of a, to b and on to c
    transfers = Transfers(transfers_max=3)
    for number, (source, destination) in enumerate(((MANAGER, A), (A, B), (B, C))):
        transfers.add(flow(number, source, destination))
    for node in (A, B, C):
        transfers.touch(node, FILE)
    assert transfers.hanging(FILE, holders={MANAGER}) is None
    # when the first one is to wait, and so the second
    transfers.remove(transfers.active[transfers.into[A, FILE]])
    hangs_on_the_first = transfers.hanging(FILE, holders={MANAGER})
    assert hangs_on_the_first is not None and hangs_on_the_first.destination == B
    transfers.remove(hangs_on_the_first)
    # then so does the third; unless the second has it by now
    hangs_on_the_second = transfers.hanging(FILE, holders={MANAGER})
    assert hangs_on_the_second is not None and hangs_on_the_second.destination == C
    assert transfers.hanging(FILE, holders={MANAGER, B}) is None
