from __future__ import annotations

from pathlib import Path

import pytest

from tests.transfer.nodes import CHUNK, DATA, BufferObjects, Net, Peer, until, worker
from vine.errors import FileChanged
from vine.transfer.events import Fetched, FetchFailed
from vine.wire.parts import FetchFault

pytestmark = pytest.mark.live


def test_a_node_that_still_receives_passes_on_what_it_has(net: Net, source: Peer, tmp_path: Path) -> None:
    source.objects.held_back = True
    what = source.objects.put(DATA)
    first, second = worker(net, tmp_path, "w1"), worker(net, tmp_path, "w2")
    second.node.fetch(net.order(what, second, first))  # before `first` has heard of the object
    first.node.fetch(net.order(what, first, source))
    # Ten chunks only leave the source; the second node cannot have any but through the first.
    source.objects.allowed.release(10)
    until(lambda: second.node.stats().received_bytes == 10 * CHUNK)
    assert first.node.stats().received_bytes == 10 * CHUNK
    source.objects.allowed.release(100)
    assert isinstance(first.event(), Fetched) and isinstance(second.event(), Fetched)
    assert source.node.stats().sent_bytes == first.node.stats().sent_bytes == len(DATA)
    assert second.objects.store.path(what[0]).read_bytes() == DATA


def test_who_wants_what_is_not_here_yet_is_connected_to_at_once(net: Net, source: Peer, tmp_path: Path) -> None:
    # given a node that has been told to pull, and a source that gives out nothing yet
    first, second = worker(net, tmp_path, "w1"), worker(net, tmp_path, "w2")
    what = source.objects.put(DATA)
    source.objects.held_back = True
    first.node.fetch(net.order(what, first, source))
    # when another one wants of it what it has not got
    second.node.fetch(net.order(what, second, first))
    # then it connects to that one, as it has to its own source
    until(lambda: len(first.node._edges) == 2)
    source.objects.allowed.release(100)
    assert isinstance(second.event(), Fetched)


def test_a_want_with_a_forged_token_gets_nothing(net: Net, source: Peer, tmp_path: Path) -> None:
    wanter = worker(net, tmp_path, "w1")
    what = source.objects.put(DATA)
    forged = net.order(what, wanter, source, forged=True)
    wanter.node.fetch(forged)
    until(lambda: source.node.stats().unauthorised > 0)
    wanter.node.abandon(forged.transfer_id)
    assert isinstance(wanter.event(), FetchFailed)
    assert source.node.stats().sent_bytes == 0 == wanter.node.stats().received_bytes
    assert len(source.node._edges) == 0, "a stranger's word made us connect to somewhere"


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
