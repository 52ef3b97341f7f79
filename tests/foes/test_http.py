"""Whatever a web server answers, a download has come or has its trouble."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.foes.hostile import bytes_like
from vine_worker.web import Body, Line, Trouble, Version, ask, trouble_of

_READ_MAX = 1000  # Of a body: no honest one here is longer.

_HEADERS = {
    "Content-Length": ["5", "0", "6", "-1", "five", "9" * 20],
    "Transfer-Encoding": ["chunked", "gzip, chunked", "nonsense"],
    "Content-Encoding": ["gzip", "x" * 70_000],
    "Content-Range": ["bytes 3-4/5", "bytes 0-4/5", "bytes 9-4/*", "bytes */5", "bytes 0-1/" + "9" * 30],
    "Location": ["/again", "file:///etc/passwd", "http://[", "ftp://host/x", "\x80"],
    "ETag": ['"tag"', 'W/"tag"', '"other"', ""],
    "Retry-After": ["1", "-1", "9" * 30, "Thu, 99 Foo 2026", "Thu, 01 Jan 1970 00:00:00 GMT"],
}
_headers = st.sampled_from([(name, value) for name, values in _HEADERS.items() for value in values])
_statuses = st.sampled_from([200, 200, 206, 206, 204, 301, 304, 307, 401, 404, 416, 429, 500, 503, 999, -1])
_bodies = st.sampled_from([b"hello", b"", b"lo", b"5\r\nhello\r\n0\r\n\r\n", b"ffffffff\r\n", b"-1\r\n", b"x" * 5000])


def _reply(status: int, headers: list[tuple[str, str]], body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status} So", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


_replies = st.builds(_reply, _statuses, st.lists(_headers, max_size=3), _bodies)


class Liar:
    """A server that says the same bytes to whoever connects, and closes."""

    def __init__(self) -> None:
        self.says = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/data"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(65536)
                    connection.sendall(self.says)
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # It has heard enough.

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture(scope="module")
def liar() -> Iterator[Liar]:
    server = Liar()
    yield server
    server.close()


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(says=_replies | bytes_like(_replies), first=st.sampled_from([0, 0, 3]))
def test_any_answer_is_a_body_or_trouble(liar: Liar, says: bytes, first: int) -> None:
    liar.says = says
    line = Line()
    try:
        body = ask(liar.url, line, first, Version('"tag"', 5))
        try:
            assert body.first in (0, first)
            _read_all(body)
        finally:
            body.close()
    except Trouble as trouble:
        assert "\n" not in str(trouble) and len(str(trouble)) < 20_000
    finally:
        line.close()


def _read_all(body: Body) -> None:
    """As a download does."""
    try:
        while body.read(_READ_MAX):
            continue
    except Exception as error:
        raise trouble_of(error) from error
    body.check()
