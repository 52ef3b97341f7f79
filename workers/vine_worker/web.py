"""How is a URL asked for its content, or for the rest of it, and what do the answers mean?

With the standard library's `urllib.request`: it has what is needed of redirects, proxies and certificates. A library
with retries of its own would still leave to us what matters here: resuming a body, and redirects that are refused.
"""

from __future__ import annotations

import base64
import email.utils
import http.client
import os
import re
import socket
import ssl
import stat
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from email.message import Message
from http import HTTPStatus
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from vine import config
from vine.urls import label_of
from vine.wire.parts import DownloadFault

_AGAIN = frozenset({408, 425, 429})  # Of the 4xx, what a later try may change; 5xx all may.
_BUSY = 429
_BAD_RANGE = 416
_TLS_CUT = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


class Trouble(Exception):  # noqa: N818 - it is what happened to one try, and told to nobody as it is
    """A try has failed; `again`: the next one may not. `pause_s`: the server asks to wait so long before it."""

    def __init__(
        self, fault: DownloadFault, message: str, again: bool = False, pause_s: float = 0.0, anew: bool = False
    ) -> None:
        super().__init__(message)
        self.fault = fault
        self.again = again
        self.pause_s = pause_s
        self.anew = anew  # What came before is of no use to the next try.


class Line:
    """The connection that a download uses at present, for others to cut it, at any moment and for good."""

    def __init__(self) -> None:
        self.was_cut = threading.Event()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def use(self, used: socket.socket) -> None:
        # A second descriptor, which nobody else closes: that of a closed socket may be another file's by then.
        mine = socket.socket(fileno=os.dup(used.fileno()))
        with self._lock:
            former, self._socket = self._socket, mine
        if former is not None:
            former.close()
        if self.was_cut.is_set():
            self.cut()

    def cut(self) -> None:
        self.was_cut.set()
        with self._lock:
            if self._socket is not None:
                try:
                    self._socket.shutdown(socket.SHUT_RDWR)
                except OSError:
                    return  # It was closed by the other side.

    def close(self) -> None:
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None


@dataclass(frozen=True, slots=True)
class Version:
    """By what the rest of a body can be asked for; a `tag` is what a server promises to change with every byte."""

    tag: str
    size: int


@dataclass(slots=True)
class Body:
    """What a URL has answered with: the content from an offset on."""

    first: int
    size: int | None  # of the whole content; None if nobody said
    tag: str  # "" if the rest cannot be asked for
    read: Callable[[int], bytes]
    close: Callable[[], None]
    check: Callable[[], None] = lambda: None  # Trouble if what was read is no one version.


def ask(url: str, line: Line, first: int = 0, version: Version | None = None) -> Body:
    """The content from byte `first` on, if it is still of that version, else from the beginning; or Trouble."""
    if urlsplit(url).scheme == "file":
        return _open_file(url)
    request = _request(url)
    if first and version is not None and version.tag:
        request.add_header("Range", f"bytes={first}-")
        request.add_header("If-Range", version.tag)
    try:
        response = _opener(line).open(request, timeout=config.download_connect_max_s)
    except Exception as error:
        raise trouble_of(error) from error
    try:
        return _body_of(response, first, version)
    except BaseException:
        response.close()
        raise


# --- asking --------------------------------------------------------------------------------------


def _request(url: str) -> urllib.request.Request:
    parts = urlsplit(url)
    login, _, place = parts.netloc.rpartition("@")
    request = urllib.request.Request(parts._replace(netloc=place).geturl())  # noqa: S310 - http or https
    if login:
        # Unredirected: it is for this host only.
        secret = base64.b64encode(unquote(login).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {secret}")
    return request


def _opener(line: Line) -> urllib.request.OpenerDirector:
    """What `build_opener` would make, without its handlers of files, ftp and data."""
    opener = urllib.request.OpenerDirector()
    opener.addheaders = [("User-Agent", "vine-runtime")]
    for handler in (
        urllib.request.ProxyHandler(),
        _Connections(line),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    return opener


class _Connections(urllib.request.AbstractHTTPHandler):
    """Connections that can be cut, with a time limit for silence other than that for connecting.

    With TLS, certificates are checked against those that the system trusts.
    """

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._that_can_be_cut(http.client.HTTPConnection), req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        context = ssl.create_default_context()
        return self.do_open(self._that_can_be_cut(http.client.HTTPSConnection), req, context=context)

    def _that_can_be_cut(self, kind: type[http.client.HTTPConnection]) -> type[http.client.HTTPConnection]:
        line = self._line

        class Connection(kind):  # type: ignore[misc, valid-type] # mypy knows no class that is an argument
            def connect(self) -> None:
                super().connect()
                self.sock.settimeout(config.download_silence_max_s)
                line.use(self.sock)

        return Connection


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows where a server leads, but not out of TLS, and to web servers only."""

    max_redirections = config.download_redirects_max
    http_error_308 = urllib.request.HTTPRedirectHandler.http_error_302  # Python 3.10 does not know it.

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if after.scheme not in ("http", "https") or (before.scheme == "https" and after.scheme != "https"):
            fp.close()
            raise Trouble(DownloadFault.REFUSED, f"it leads from {before.scheme} to {label_of(newurl)}: not followed")
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None:
            fp.close()  # Else urllib reads all that comes with the redirect, however long, into memory.
        login = req.unredirected_hdrs.get("Authorization")
        if following is not None and login and (before.scheme, before.netloc) == (after.scheme, after.netloc):
            following.add_unredirected_header("Authorization", login)
        return following


# --- answers -------------------------------------------------------------------------------------


def _body_of(response: Any, first: int, version: Version | None) -> Body:
    headers, length = response.headers, response.length
    if response.status == HTTPStatus.OK:
        return Body(0, length, _tag_of(headers), response.read, response.close)
    if response.status != HTTPStatus.PARTIAL_CONTENT:
        raise Trouble(DownloadFault.REFUSED, f"its server answered {response.status} {response.reason}, no content")
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    size = None if found is None or found[3] == "*" else int(found[3])
    asked = version is not None and found is not None and int(found[1]) == first and size == version.size
    # Some servers send a part of whatever they have now, and never mind the If-Range.
    if not asked or version is None or headers.get("ETag", version.tag) != version.tag:
        raise Trouble(DownloadFault.TRUNCATED, "its server sent another part than was asked for", again=True, anew=True)
    return Body(first, size, version.tag, response.read, response.close)


def _tag_of(headers: Message) -> str:
    """What is good for If-Range (RFC 9110, 13.1.5): a strong ETag, or a date that is a strong validator (8.8.2.2)."""
    if headers.get("Accept-Ranges", "").strip().lower() == "none":
        return ""
    tag = headers.get("ETag", "")
    if tag:
        return tag if tag.startswith('"') else ""
    changed, sent = _time_of(headers.get("Last-Modified", "")), _time_of(headers.get("Date", ""))
    if changed is None or sent is None or sent - changed < timedelta(seconds=1):
        return ""
    return str(headers["Last-Modified"])


def _time_of(text: str) -> Any:
    try:
        found = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return found if found.tzinfo is not None else None


def trouble_of(error: Exception) -> Trouble:
    """What an error of asking or reading means."""
    if isinstance(error, Trouble):
        return error
    if isinstance(error, urllib.error.HTTPError):
        return _trouble_of_status(error)
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, http.client.InvalidURL | ValueError) and not isinstance(reason, OSError):
        return Trouble(DownloadFault.REFUSED, "its host, or one that it leads to, has no valid name")
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Trouble(DownloadFault.UNTRUSTED, f"its certificate does not hold ({reason.verify_message})")
    if isinstance(reason, ssl.SSLError) and not isinstance(reason, _TLS_CUT):
        return Trouble(DownloadFault.UNTRUSTED, f"no secure connection comes about ({reason.reason or reason})")
    if isinstance(reason, http.client.IncompleteRead):
        return Trouble(DownloadFault.TRUNCATED, "its body broke off", again=True)
    if isinstance(reason, socket.gaierror):
        known = reason.errno != socket.EAI_NONAME
        return Trouble(DownloadFault.UNREACHABLE, f"its host is not found ({reason.strerror})", again=known)
    if isinstance(reason, TimeoutError):
        return Trouble(DownloadFault.UNREACHABLE, "its host does not answer, or stopped sending", again=True)
    if isinstance(reason, OSError):
        what = reason.strerror or str(reason) or type(reason).__name__
        return Trouble(DownloadFault.UNREACHABLE, f"no connection to its host, or a broken one ({what})", again=True)
    if isinstance(reason, http.client.HTTPException):
        what = f"its server does not speak HTTP ({type(reason).__name__})"
        return Trouble(DownloadFault.SERVER_FAILED, what, again=True)
    if isinstance(reason, str):  # What urllib says of proxies that it cannot use.
        return Trouble(DownloadFault.UNREACHABLE, reason)
    raise error


def _trouble_of_status(error: urllib.error.HTTPError) -> Trouble:
    status, headers = error.code, error.headers
    error.close()
    said = f"its server answered {status} {_name_of(status)}".rstrip()
    if status == _BAD_RANGE:
        return Trouble(DownloadFault.SERVER_FAILED, said, again=True, anew=True)
    if status < 400:
        return Trouble(DownloadFault.REFUSED, f"it leads on and on, or nowhere ({status})")
    if status < 500 and status not in _AGAIN:
        return Trouble(DownloadFault.REFUSED, said)
    pause_s = _retry_after_s(headers)
    if pause_s > config.download_retry_after_max_s:
        return Trouble(DownloadFault.SERVER_FAILED, f"{said}, and asks to come back in {pause_s:.0f} s")
    return Trouble(DownloadFault.SERVER_FAILED, said, again=True, pause_s=pause_s)


def _name_of(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _retry_after_s(headers: Message) -> float:
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    until, sent = _time_of(text), _time_of(headers.get("Date", ""))
    return 0.0 if until is None or sent is None else max(0.0, (until - sent).total_seconds())


# --- files ---------------------------------------------------------------------------------------


def _open_file(url: str) -> Body:
    """A file of this worker's own host, or of a file system that hosts share."""
    path = unquote(urlsplit(url).path)
    try:
        # Without O_NONBLOCK a FIFO would hold us here for ever.
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:  # ValueError: of a zero byte in its name.
        raise _unreadable(error) from error
    before = os.fstat(number)

    def read(count: int) -> bytes:
        try:
            return os.read(number, count)
        except OSError as error:
            raise _unreadable(error) from error

    def check() -> None:
        now = os.fstat(number)
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise Trouble(DownloadFault.UNREADABLE, "it changed while it was read", again=True)

    if not stat.S_ISREG(before.st_mode):
        os.close(number)
        raise Trouble(DownloadFault.UNREADABLE, "it is no plain file there")
    return Body(0, before.st_size, "", read, lambda: os.close(number), check)


def _unreadable(error: OSError | ValueError) -> Trouble:
    why = error.strerror if isinstance(error, OSError) else "its name is none"
    return Trouble(DownloadFault.UNREADABLE, f"it cannot be read there ({why})")
