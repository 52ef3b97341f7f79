"""A web server that answers as a test has written down, and remembers what it was asked."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Reply:
    """One answer. `cut_after`: so many bytes of the body are sent, and then the connection is closed."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    chunked: bool = False


@dataclass
class Request:
    path: str
    headers: Message


class WebServer:
    """Serves each path its replies in their order, and the last one for ever."""

    def __init__(self, certificate: Path | None = None, key: Path | None = None) -> None:
        self.requests: list[Request] = []
        self.replies: dict[str, list[Reply]] = {}
        self.hold: Callable[[], object] = lambda: None  # called before each answer
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.scheme = "https"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def url(self, path: str = "/data") -> str:
        return f"{self.scheme}://127.0.0.1:{self._server.server_port}{path}"

    def serve(self, *replies: Reply, path: str = "/data") -> str:
        """Lets the path answer so; returns its URL."""
        self.replies[path] = list(replies)
        return self.url(path)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _next(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            replies = self.replies.get(request.path, [Reply(status=404)])
            return replies.pop(0) if len(replies) > 1 else replies[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                reply = server._next(Request(self.path, self.headers))
                server.hold()
                self.close_connection = True
                self.send_response(reply.status)
                length = {"Transfer-Encoding": "chunked"} if reply.chunked else {"Content-Length": str(len(reply.body))}
                for name, value in {**length, **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                body = reply.body[: reply.cut_after]
                if reply.chunked and body:
                    body = b"%x\r\n%s\r\n" % (len(body), body)
                self.wfile.write(body + (b"0\r\n\r\n" if reply.chunked and reply.cut_after is None else b""))

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def a_web_server(certificate: Path | None = None, key: Path | None = None) -> Iterator[WebServer]:
    server = WebServer(certificate, key)
    try:
        yield server
    finally:
        server.close()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that it has signed itself, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["-keyout", str(key), "-out", str(certificate), "-days", "1", "-nodes", "-newkey", "ec"]
    subprocess.run(
        ["openssl", "req", "-x509", *made, "-pkeyopt", "ec_paramgen_curve:prime256v1", *subject],
        check=True,
        capture_output=True,
    )
    return certificate, key
