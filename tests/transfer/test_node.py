from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.transfer.nodes import BufferObjects, Net, Peer, StoreObjects, open_net, until
from vine import config
from vine.errors import DiskFull, FileChanged
from vine.transfer.events import Fetched, FetchFailed
from vine.wire.messages import FetchFault, Role

pytestmark = pytest.mark.live

KIB = 1 << 10
DATA = random.Random(1).randbytes(5000 * KIB + 17)  # 20 chunks, the last one short


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    with open_net(tmp_path / "run") as net:
        yield net


@pytest.fixture
def source(net: Net) -> Peer:
    return net.add("manager", BufferObjects(), Role.SERVER)


def worker(net: Net, folder: Path, name: str, **options: int) -> Peer:
    return net.add(name, StoreObjects(folder / name), **options)


def test_an_object_is_fetched_verified_and_committed(net: Net, source: Peer, tmp_path: Path) -> None:
    wanter = worker(net, tmp_path, "w1")
    what = source.objects.put(DATA)
    order = net.order(what, wanter, source)
    wanter.node.fetch(order)
    event = wanter.event()
    assert isinstance(event, Fetched)
    assert (event.transfer_id, event.object_id, event.received_bytes) == (order.transfer_id, what[0], len(DATA))
    assert wanter.objects.store.path(what[0]).read_bytes() == DATA
    assert not wanter.objects.store.altered(what[0])
    assert source.node.stats().sent_bytes == len(DATA)


def test_an_object_without_bytes_needs_no_source(net: Net, source: Peer, tmp_path: Path) -> None:
    wanter = worker(net, tmp_path, "w1")
    what = source.objects.put(b"")
    wanter.node.fetch(net.order(what, wanter))
    assert isinstance(wanter.event(), Fetched)
    assert wanter.objects.store.path(what[0]).read_bytes() == b""


def test_what_is_here_already_is_not_fetched(net: Net, source: Peer, tmp_path: Path) -> None:
    wanter = worker(net, tmp_path, "w1")
    what = wanter.objects.put(DATA)
    wanter.node.fetch(net.order(what, wanter, source))
    event = wanter.event()
    assert isinstance(event, Fetched) and event.received_bytes == 0


def test_chunks_come_from_several_sources(net: Net, tmp_path: Path) -> None:
    sources = [worker(net, tmp_path, name) for name in ("w1", "w2", "w3")]
    [what, _, _] = [source.objects.put(DATA) for source in sources]
    wanter = worker(net, tmp_path, "w4")
    wanter.node.fetch(net.order(what, wanter, *sources))
    assert isinstance(wanter.event(), Fetched)
    sent = [source.node.stats().sent_bytes for source in sources]
    assert sum(sent) == len(DATA) and min(sent) >= 6 * 256 * KIB


def test_a_node_that_still_receives_passes_on_what_it_has(net: Net, source: Peer, tmp_path: Path) -> None:
    source.objects.held_back = True
    what = source.objects.put(DATA)
    first, second = worker(net, tmp_path, "w1"), worker(net, tmp_path, "w2")
    second.node.fetch(net.order(what, second, first))  # before `first` has heard of the object
    first.node.fetch(net.order(what, first, source))
    # Ten chunks only leave the source; the second node cannot have any but through the first.
    source.objects.allowed.release(10)
    until(lambda: second.node.stats().received_bytes == 10 * 256 * KIB)
    assert first.node.stats().received_bytes == 10 * 256 * KIB
    source.objects.allowed.release(100)
    assert isinstance(first.event(), Fetched) and isinstance(second.event(), Fetched)
    assert source.node.stats().sent_bytes == first.node.stats().sent_bytes == len(DATA)
    assert second.objects.store.path(what[0]).read_bytes() == DATA


def test_a_source_with_damaged_bytes_is_found_out_and_another_one_resumes(
    net: Net, source: Peer, tmp_path: Path
) -> None:
    good, wanter = worker(net, tmp_path, "w1"), worker(net, tmp_path, "w2")
    what = source.objects.put(DATA)
    good.objects.put(DATA)
    source.objects.damage = True
    wanter.node.fetch(net.order(what, wanter, source))
    event = wanter.event()
    assert isinstance(event, FetchFailed)
    assert (event.fault, event.source) == (FetchFault.BAD_CHUNKS, source.id)
    wanter.node.fetch(net.order(what, wanter, good))
    assert isinstance(wanter.event(), Fetched)
    assert wanter.node.stats().bad_chunks >= config.bad_chunks_max


def test_a_fetch_resumes_what_an_abandoned_one_had_got(net: Net, source: Peer, tmp_path: Path) -> None:
    wanter = worker(net, tmp_path, "w1")
    source.objects.held_back = True
    what = source.objects.put(DATA)
    order = net.order(what, wanter, source)
    wanter.node.fetch(order)
    source.objects.allowed.release(4)
    until(lambda: wanter.node.stats().received_bytes >= 4 * 256 * KIB)
    wanter.node.abandon(order.transfer_id)
    event = wanter.event()
    assert isinstance(event, FetchFailed) and event.fault is FetchFault.ABANDONED
    source.objects.allowed.release(1000)
    wanter.node.fetch(net.order(what, wanter, source))
    event = wanter.event()
    assert isinstance(event, Fetched) and event.received_bytes <= len(DATA) - 3 * 256 * KIB
    assert wanter.objects.store.path(what[0]).read_bytes() == DATA


def test_a_want_with_a_forged_token_gets_nothing(net: Net, source: Peer, tmp_path: Path) -> None:
    wanter = worker(net, tmp_path, "w1")
    what = source.objects.put(DATA)
    forged = net.order(what, wanter, source, forged=True)
    wanter.node.fetch(forged)
    until(lambda: source.node.stats().unauthorised > 0)
    wanter.node.abandon(forged.transfer_id)
    assert isinstance(wanter.event(), FetchFailed)
    assert source.node.stats().sent_bytes == 0 == wanter.node.stats().received_bytes


def test_a_node_serves_no_more_than_its_cap_and_the_others_get_their_turn(net: Net, tmp_path: Path) -> None:
    source = net.add("w0", BufferObjects(), transfers_max=1)
    what = source.objects.put(DATA)
    wanters = [worker(net, tmp_path, f"w{number}") for number in (1, 2, 3)]
    for wanter in wanters:
        wanter.node.fetch(net.order(what, wanter, source))
    assert all(isinstance(wanter.event(), Fetched) for wanter in wanters)
    assert source.node.stats().flows_out_max == 1


def test_a_changed_file_at_the_source_is_told_as_such(net: Net, source: Peer, tmp_path: Path) -> None:
    wanter = worker(net, tmp_path, "w1")
    what = source.objects.put(DATA)
    source.objects.error = FileChanged("data.bin has changed since it was declared: declare it again")
    wanter.node.fetch(net.order(what, wanter, source))
    event = wanter.event()
    assert isinstance(event, FetchFailed)
    assert (event.fault, event.source) == (FetchFault.SOURCE_CHANGED, source.id)


def test_a_full_disk_ends_the_fetch_and_not_the_node(net: Net, source: Peer, tmp_path: Path) -> None:
    wanter = worker(net, tmp_path, "w1")
    what = source.objects.put(DATA)

    def full(*_: object) -> None:
        raise DiskFull("no room")

    begin, wanter.objects.store.begin = wanter.objects.store.begin, full
    wanter.node.fetch(net.order(what, wanter, source))
    event = wanter.event()
    assert isinstance(event, FetchFailed) and event.fault is FetchFault.DISK_FULL and event.source is None
    wanter.objects.store.begin = begin
    wanter.node.fetch(net.order(what, wanter, source))
    assert isinstance(wanter.event(), Fetched)


def test_forgetting_an_arriving_object_stops_it_and_leaves_nothing(net: Net, source: Peer, tmp_path: Path) -> None:
    wanter = worker(net, tmp_path, "w1")
    source.objects.held_back = True
    what = source.objects.put(DATA)
    wanter.node.fetch(net.order(what, wanter, source))
    source.objects.allowed.release(3)
    until(lambda: wanter.node.stats().received_bytes >= 3 * 256 * KIB)
    wanter.node.forget(what[0])
    event = wanter.event()
    assert isinstance(event, FetchFailed) and event.fault is FetchFault.ABANDONED
    source.objects.allowed.release(1000)
    wanter.node.fetch(net.order(what, wanter, source))  # waits for the discarding, then starts anew
    event = wanter.event()
    assert isinstance(event, Fetched) and event.received_bytes == len(DATA)


def test_a_later_order_for_an_object_replaces_the_one_that_runs(net: Net, source: Peer, tmp_path: Path) -> None:
    wanter = worker(net, tmp_path, "w1")
    source.objects.held_back = True
    what = source.objects.put(DATA)
    first, second = net.order(what, wanter, source), net.order(what, wanter, source)
    wanter.objects.before_begin.clear()
    wanter.node.fetch(first)
    wanter.node.fetch(second)
    wanter.objects.before_begin.set()
    event = wanter.event()
    assert isinstance(event, FetchFailed)
    assert (event.transfer_id, event.fault) == (first.transfer_id, FetchFault.ABANDONED)
    source.objects.allowed.release(1000)
    event = wanter.event()
    assert isinstance(event, Fetched) and event.transfer_id == second.transfer_id


def test_an_object_can_be_fetched_to_a_place_of_its_own_and_is_not_served_from_there(
    net: Net, source: Peer, tmp_path: Path
) -> None:
    wanter = worker(net, tmp_path, "w1")
    elsewhere = StoreObjects(tmp_path / "elsewhere")
    what = source.objects.put(DATA)
    wanter.node.fetch(net.order(what, wanter, source), elsewhere.begin)
    assert isinstance(wanter.event(), Fetched)
    assert elsewhere.store.path(what[0]).read_bytes() == DATA
    assert not wanter.objects.store.has(what[0])
