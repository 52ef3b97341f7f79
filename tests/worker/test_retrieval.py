"""Does a URL's content come whole, or a trouble that says why not? Against a true web server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web import Reply, WebServer, a_web_server
from vine import config
from vine.content.growing import Growing
from vine.content.store import Store
from vine.errors import DiskFull
from vine.wire.parts import DownloadFault
from vine_worker.retrieval import Retrieval
from vine_worker.web import Line, Trouble

DATA = os.urandom(3_000_000)
RANGES = {"ETag": '"one"', "Accept-Ranges": "bytes"}


@pytest.fixture
def server() -> Iterator[WebServer]:
    with a_web_server() as server:
        yield server


class Bench:
    """A store, and downloads into it that do not wait between their tries."""

    def __init__(self, folder: Path, capacity_bytes: int = 10_000_000) -> None:
        self.store = Store(folder / "store", capacity_bytes)
        self.line = Line()
        self.pauses: list[float] = []
        self.growing: Growing = self.store.begin_growing()
        self.received = 0

    def retrieve(self, url: str) -> bytes:
        retrieval = Retrieval(url, self.growing, self.line, self._pause)
        try:
            retrieval.run()
        finally:
            self.received = retrieval.received
            self.line.close()
        key, _manifest = self.store.keep_grown(self.growing)
        return self.store.path(key).read_bytes()

    def trouble(self, url: str) -> Trouble:
        with pytest.raises(Trouble) as raised:
            self.retrieve(url)
        return raised.value

    def _pause(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return self.line.was_cut.is_set()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.growing.discard()
    made.store.leave()


def rest(data: bytes, first: int, **headers: str) -> Reply:
    """The part of the data from a byte on, as a server sends it."""
    found = {"Content-Range": f"bytes {first}-{len(data) - 1}/{len(data)}", **RANGES, **headers}
    return Reply(data[first:], 206, found)


# --- what comes ----------------------------------------------------------------------------------


def test_a_body_comes_whole_and_is_counted(server: WebServer, bench: Bench) -> None:
    assert bench.retrieve(server.serve(Reply(DATA))) == DATA
    assert bench.received == bench.store.used_bytes == len(DATA)
    assert bench.pauses == []


def test_an_empty_body_is_content_too(server: WebServer, bench: Bench) -> None:
    assert bench.retrieve(server.serve(Reply(b""))) == b""


def test_a_body_without_a_known_length_comes_whole(server: WebServer, bench: Bench) -> None:
    assert bench.retrieve(server.serve(Reply(DATA, chunked=True))) == DATA


def test_a_file_of_this_host_is_copied(tmp_path: Path, bench: Bench) -> None:
    path = tmp_path / "a file"
    path.write_bytes(DATA)
    assert bench.retrieve(f"file://{tmp_path}/a%20file") == DATA
    assert path.read_bytes() == DATA


# --- resumption ----------------------------------------------------------------------------------


def test_a_body_that_breaks_off_is_resumed_where_the_server_can(server: WebServer, bench: Bench) -> None:
    # given a server that breaks off, and can tell versions apart
    url = server.serve(Reply(DATA, headers=RANGES, cut_after=1_000_000), rest(DATA, 1_000_000))
    # when
    content = bench.retrieve(url)
    # then only the rest was asked for, of that version, after a pause
    assert content == DATA
    assert server.requests[1].headers["Range"] == "bytes=1000000-"
    assert server.requests[1].headers["If-Range"] == '"one"'
    assert bench.received == len(DATA)
    assert bench.pauses == [config.download_backoff_s]


def test_a_body_that_breaks_off_begins_anew_where_the_server_cannot_tell_versions(
    server: WebServer, bench: Bench
) -> None:
    url = server.serve(Reply(DATA, headers={"ETag": 'W/"weak"'}, cut_after=1_000_000), Reply(DATA))
    assert bench.retrieve(url) == DATA
    assert server.requests[1].headers["Range"] is None
    assert bench.received == len(DATA) + 1_000_000


def test_a_content_that_changed_between_two_parts_is_not_mixed(server: WebServer, bench: Bench) -> None:
    other = os.urandom(2_000_000)
    url = server.serve(Reply(DATA, headers=RANGES, cut_after=1_000_000), Reply(other, headers={"ETag": '"two"'}))
    assert bench.retrieve(url) == other


@pytest.mark.parametrize(
    "part",
    [
        rest(DATA[:-1] + b"?", 1_000_000, ETag='"two"'),  # of another version, whatever it was asked for
        rest(DATA, 999_999),
        rest(DATA + b"?", 1_000_000),
        Reply(DATA[1_000_000:], 206, {"ETag": '"one"'}),
        Reply(b"", 416),
    ],
    ids=["another version", "another place", "another size", "no place", "no part"],
)
def test_a_part_that_was_not_asked_for_is_not_taken(server: WebServer, bench: Bench, part: Reply) -> None:
    url = server.serve(Reply(DATA, headers=RANGES, cut_after=1_000_000), part, Reply(DATA, headers=RANGES))
    assert bench.retrieve(url) == DATA
    assert [request.headers["Range"] for request in server.requests] == [None, "bytes=1000000-", None]


def test_a_body_that_always_breaks_off_is_truncated(server: WebServer, bench: Bench) -> None:
    trouble = bench.trouble(server.serve(Reply(DATA, headers={"Content-Length": "4000000"})))
    assert trouble.fault is DownloadFault.TRUNCATED
    assert str(trouble) == "its body broke off after 3000000 of 4000000 bytes, 5 times"
    assert len(server.requests) == config.download_tries_max
    assert bench.pauses == [0.5, 1.0, 2.0, 4.0]


def test_a_chunked_body_that_breaks_off_is_truncated(server: WebServer, bench: Bench) -> None:
    trouble = bench.trouble(server.serve(Reply(DATA, chunked=True, cut_after=1_000_000)))
    assert trouble.fault is DownloadFault.TRUNCATED


# --- what does not come --------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_what_a_server_refuses_is_not_asked_for_again(server: WebServer, bench: Bench, status: int) -> None:
    trouble = bench.trouble(server.serve(Reply(status=status)))
    assert trouble.fault is DownloadFault.REFUSED
    assert str(status) in str(trouble)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_in_trouble_is_asked_again(server: WebServer, bench: Bench, status: int) -> None:
    assert bench.retrieve(server.serve(Reply(status=status), Reply(DATA))) == DATA
    assert bench.pauses == [config.download_backoff_s]


def test_a_server_that_asks_for_a_pause_gets_it(server: WebServer, bench: Bench) -> None:
    assert bench.retrieve(server.serve(Reply(status=503, headers={"Retry-After": "7"}), Reply(DATA))) == DATA
    assert bench.pauses == [7.0]


def test_a_server_that_asks_for_a_very_long_pause_is_given_up(server: WebServer, bench: Bench) -> None:
    trouble = bench.trouble(server.serve(Reply(status=429, headers={"Retry-After": "3600"}), Reply(DATA)))
    assert trouble.fault is DownloadFault.SERVER_FAILED
    assert "3600 s" in str(trouble)
    assert bench.pauses == []


def test_a_server_that_stays_in_trouble_is_given_up(server: WebServer, bench: Bench) -> None:
    trouble = bench.trouble(server.serve(Reply(status=503)))
    assert trouble.fault is DownloadFault.SERVER_FAILED
    assert str(trouble) == "its server answered 503 Service Unavailable, 5 times"


def test_what_has_no_room_is_found_out_before_it_is_read(server: WebServer, tmp_path: Path) -> None:
    bench = Bench(tmp_path, capacity_bytes=2_000_000)
    with pytest.raises(DiskFull):
        bench.retrieve(server.serve(Reply(DATA)))
    assert bench.received == 0


def test_what_outgrows_the_room_is_given_up_and_leaves_nothing(server: WebServer, tmp_path: Path) -> None:
    bench = Bench(tmp_path, capacity_bytes=1_500_000)
    with pytest.raises(DiskFull):
        bench.retrieve(server.serve(Reply(DATA, chunked=True)))
    bench.growing.discard()
    assert bench.store.used_bytes == 0


def test_a_download_that_was_cut_is_abandoned(server: WebServer, bench: Bench) -> None:
    # given a server that has the request and says nothing, until the download is cut
    server.hold = bench.line.cut
    # when
    trouble = bench.trouble(server.serve(Reply(DATA)))
    # then
    assert trouble.fault is DownloadFault.ABANDONED
