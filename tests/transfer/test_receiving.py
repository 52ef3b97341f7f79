from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tests.transfer.nodes import CHUNK, DATA, WAIT_S, BufferObjects, Net, Peer, StoreObjects, until, worker
from vine import config
from vine.errors import DiskFull
from vine.transfer.events import Fetched, FetchFailed, SlowSource
from vine.transfer.landing import Landing
from vine.transfer.serving import Serving
from vine.wire.data import EndOfWants, Want
from vine.wire.parts import FetchFault
from vine.wire.worker_messages import ChangeSources

pytestmark = pytest.mark.live


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
    assert sum(sent) == len(DATA) and min(sent) >= 6 * CHUNK


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
    until(lambda: wanter.node.stats().received_bytes >= 4 * CHUNK)
    wanter.node.abandon(order.transfer_id)
    event = wanter.event()
    assert isinstance(event, FetchFailed) and event.fault is FetchFault.ABANDONED
    source.objects.allowed.release(1000)
    wanter.node.fetch(net.order(what, wanter, source))
    event = wanter.event()
    assert isinstance(event, Fetched) and event.received_bytes <= len(DATA) - 3 * CHUNK
    assert wanter.objects.store.path(what[0]).read_bytes() == DATA


def test_a_node_that_was_killed_goes_on_where_it_was(net: Net, source: Peer, tmp_path: Path) -> None:
    # given a node in a process of its own, which has got seven chunks
    source.objects.held_back = True
    what = source.objects.put(DATA)
    command = [sys.executable, "-m", "tests.transfer.victim", str(tmp_path / "run"), str(tmp_path / "store")]
    root = Path(__file__).parent.parent.parent
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as victim:
        endpoint = victim.stdout.readline().decode().strip()
        order = net.order_to(what, endpoint, source)
        victim.stdin.write(msgspec.json.encode(order) + b"\n")
        victim.stdin.flush()
        source.objects.allowed.release(7)
        while victim.stdout.readline() != b"7\n":
            pass
        # when it is killed, and another one is started on what it left
        victim.kill()
    wanter = net.add("w1", StoreObjects(tmp_path / "store", resume=True))
    source.objects.allowed.release(1000)
    wanter.node.fetch(net.order(what, wanter, source))
    # then that fetches the rest only
    event = wanter.event()
    assert isinstance(event, Fetched) and event.received_bytes == len(DATA) - 7 * CHUNK
    assert wanter.objects.store.path(what[0]).read_bytes() == DATA


def test_a_source_that_stops_sending_is_told_of_and_its_backup_sends_the_rest(net: Net, tmp_path: Path) -> None:
    # given a source of one of two stripes that sends one chunk and no more
    stalled = net.add("w0", BufferObjects())
    stalled.objects.held_back = True
    stalled.objects.allowed.release(1)
    good, backup, wanter = (worker(net, tmp_path, name) for name in ("w1", "w2", "w3"))
    for holder in (stalled, good, backup):
        what = holder.objects.put(DATA)
    order = net.order(what, wanter, stalled, good)
    second = net.edge(order.transfer_id, what[0], wanter.node.chunks_endpoint, backup)
    # when the object is fetched
    wanter.node.fetch(replace(order, backups=(second, None)))
    # then the backup sends what is missing, and the manager will hear of that source
    assert wanter.event() == SlowSource(order.transfer_id, what[0], stalled.id, silent=True)
    event = wanter.event()
    assert isinstance(event, Fetched) and event.received_bytes == len(DATA)
    assert backup.node.stats().sent_bytes >= 8 * CHUNK
    assert wanter.objects.store.path(what[0]).read_bytes() == DATA


def test_a_fetch_that_runs_goes_on_from_another_source(net: Net, source: Peer, tmp_path: Path) -> None:
    # given a fetch that has got four chunks
    good, wanter = worker(net, tmp_path, "w1"), worker(net, tmp_path, "w2")
    source.objects.held_back = True
    what = source.objects.put(DATA)
    good.objects.put(DATA)
    order = net.order(what, wanter, source)
    wanter.node.fetch(order)
    source.objects.allowed.release(4)
    until(lambda: wanter.node.stats().received_bytes >= 4 * CHUNK)
    # when its source is another one from now on
    other = net.edge(order.transfer_id, what[0], wanter.node.chunks_endpoint, good)
    wanter.node.change_sources(ChangeSources(order.transfer_id, (other,)))
    # then the rest comes from that, within the same fetch, and the former has heard the end
    event = wanter.event()
    assert isinstance(event, Fetched)
    assert (event.transfer_id, event.received_bytes) == (order.transfer_id, len(DATA))
    until(lambda: source.node.stats().flows_out == 0)
    assert good.node.stats().sent_bytes == len(DATA) - 4 * CHUNK


def test_other_sources_for_a_fetch_that_does_not_run_are_ignored(net: Net, source: Peer, tmp_path: Path) -> None:
    wanter = worker(net, tmp_path, "w1")
    what = source.objects.put(DATA)
    order = net.order(what, wanter, source)
    wanter.node.change_sources(ChangeSources(order.transfer_id, order.sources))
    wanter.node.fetch(order)
    assert isinstance(wanter.event(), Fetched)
    wanter.node.change_sources(ChangeSources(order.transfer_id, order.sources))
    wanter.node.fetch(net.order(what, wanter, source))
    assert isinstance(wanter.event(), Fetched)


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
    until(lambda: wanter.node.stats().received_bytes >= 3 * CHUNK)
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


def test_a_fetch_to_a_place_of_its_own_leaves_nothing_there_when_the_node_closes(
    net: Net, source: Peer, tmp_path: Path
) -> None:
    wanter = worker(net, tmp_path, "w1")
    elsewhere = StoreObjects(tmp_path / "elsewhere")
    source.objects.held_back = True
    what = source.objects.put(DATA)
    wanter.node.fetch(net.order(what, wanter, source), elsewhere.begin)
    source.objects.allowed.release(3)
    until(lambda: wanter.node.stats().received_bytes >= 3 * CHUNK)
    wanter.node.close()
    event = wanter.event()
    assert isinstance(event, FetchFailed) and event.fault is FetchFault.ABANDONED
    assert list((tmp_path / "elsewhere" / "partial").iterdir()) == []
    assert elsewhere.store.used_bytes == 0


def test_an_object_that_is_made_here_while_it_is_fetched_is_complete_once(
    net: Net, source: Peer, tmp_path: Path
) -> None:
    wanter = worker(net, tmp_path, "w1")
    source.objects.held_back = True
    what = source.objects.put(DATA)
    wanter.node.fetch(net.order(what, wanter, source))
    source.objects.allowed.release(3)
    until(lambda: wanter.node.stats().received_bytes >= 3 * CHUNK)
    (tmp_path / "output").write_bytes(DATA)
    wanter.objects.store.adopt(tmp_path / "output")
    wanter.node.object_complete(what[0])
    source.objects.allowed.release(1000)
    assert isinstance(wanter.event(), Fetched)
    assert wanter.objects.store.path(what[0]).read_bytes() == DATA
    assert not wanter.objects.store.altered(what[0])


@pytest.mark.parametrize("abandoned_first", [True, False])
def test_what_a_broken_fetch_left_of_an_object_goes_when_that_comes_by_another_way(
    net: Net, source: Peer, tmp_path: Path, abandoned_first: bool
) -> None:
    # given a fetch of which three chunks have come
    wanter, other = worker(net, tmp_path, "w1"), worker(net, tmp_path, "w2")
    source.objects.held_back = True
    what = source.objects.put(DATA)
    order = net.order(what, wanter, source)
    wanter.node.fetch(order)
    source.objects.allowed.release(3)
    until(lambda: wanter.node.stats().received_bytes >= 3 * CHUNK)
    # when it is abandoned, and the object is made here, in either order
    if abandoned_first:
        wanter.node.abandon(order.transfer_id)
        assert isinstance(wanter.event(), FetchFailed)
    (tmp_path / "output").write_bytes(DATA)
    wanter.objects.store.adopt(tmp_path / "output")
    wanter.node.object_complete(what[0])
    if not abandoned_first:
        other.node.fetch(net.order(what, other, wanter))
        assert isinstance(other.event(), Fetched), "what had come of it was all that was served"
        wanter.node.abandon(order.transfer_id)
        assert isinstance(wanter.event(), FetchFailed)
    # then it lies here once, and is served
    until(lambda: wanter.objects.store.used_bytes == len(DATA))
    if abandoned_first:
        other.node.fetch(net.order(what, other, wanter))
        assert isinstance(other.event(), Fetched)
    assert other.objects.store.path(what[0]).read_bytes() == DATA


def test_a_folder_is_fetched_as_one_object(net: Net, tmp_path: Path) -> None:
    holder, wanter = worker(net, tmp_path, "w1"), worker(net, tmp_path, "w2")
    folder = tmp_path / "folder"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "run").write_bytes(DATA)
    (folder / "bin" / "run").chmod(0o755)
    (folder / "empty").touch()
    (folder / "link").symlink_to("bin/run")
    key, manifest = holder.objects.store.adopt(folder)
    holder.objects.manifests[key] = manifest
    wanter.node.fetch(net.order((key, manifest), wanter, holder))
    assert isinstance(wanter.event(), Fetched)
    there = wanter.objects.store.path(key)
    assert (there / "link").read_bytes() == DATA
    assert (there / "bin" / "run").stat().st_mode & 0o111
    assert (there / "empty").read_bytes() == b""


def test_a_source_of_two_stripes_hears_the_end_when_both_are_done(
    net: Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a source of two stripes, and one of the third
    said: list[EndOfWants | Want] = []
    heard, wanted = Serving.end, Serving.want
    monkeypatch.setattr(Serving, "end", lambda serving, end: (said.append(end), heard(serving, end)))
    monkeypatch.setattr(Serving, "want", lambda serving, want: (said.append(want), wanted(serving, want)))
    first, second, wanter = (worker(net, tmp_path, name) for name in ("w1", "w2", "w3"))
    what = first.objects.put(DATA)
    second.objects.put(DATA)
    # when all has come from them
    order = net.order(what, wanter, first, first, second)
    wanter.node.fetch(order)
    assert isinstance(wanter.event(), Fetched)
    tokens_of = {edge.token for edge in order.sources}
    until(lambda: tokens_of <= {end.token for end in said if isinstance(end, EndOfWants)})
    # then each heard one end, after all that was wanted of it
    assert first.node.stats().flows_out_max == second.node.stats().flows_out_max == 1
    for token in tokens_of:
        kinds = [type(message) for message in said if message.token == token]
        assert kinds.count(EndOfWants) == 1 and kinds[-1] is EndOfWants


def test_it_is_told_how_much_has_come_from_the_manager(net: Net, source: Peer, tmp_path: Path) -> None:
    peer, wanter = worker(net, tmp_path, "w1"), worker(net, tmp_path, "w2")
    what = source.objects.put(DATA)
    peer.objects.put(DATA)
    wanter.node.fetch(net.order(what, wanter, source, peer))
    event = wanter.event()
    assert isinstance(event, Fetched)
    assert event.received_bytes == len(DATA)
    assert event.from_manager_bytes == source.node.stats().sent_bytes == len(DATA) - peer.node.stats().sent_bytes


def test_what_is_being_written_when_another_order_comes_is_not_fetched_again(
    net: Net, source: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a pull whose first four chunks have come and are being written
    writing = threading.Event()
    write = Landing.write
    monkeypatch.setattr(Landing, "write", lambda *chunk: writing.wait(WAIT_S) and write(*chunk))
    wanter = worker(net, tmp_path, "w2")
    source.objects.held_back = True
    what = source.objects.put(DATA)
    wanter.node.fetch(net.order(what, wanter, source))
    source.objects.allowed.release(4)
    until(lambda: wanter.node.stats().received_bytes >= 4 * CHUNK)
    # when another order takes its place
    wanter.node.fetch(net.order(what, wanter, source))
    first = wanter.event()
    writing.set()
    source.objects.allowed.release(1000)
    second = wanter.event()
    # then both together have received it once
    assert isinstance(first, FetchFailed) and isinstance(second, Fetched)
    assert first.received_bytes + second.received_bytes == len(DATA)
