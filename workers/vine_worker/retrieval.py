"""How does a URL's content get into a file whole: tries, their pauses, and what is kept from one to the next?"""

from __future__ import annotations

from collections.abc import Callable

from vine import config
from vine.content.growing import Growing
from vine.wire.parts import DownloadFault
from vine_worker.web import Body, Line, Trouble, Version, ask, trouble_of


class Retrieval:
    """One download. `pause` waits so many seconds and tells whether it was cut short."""

    def __init__(self, url: str, growing: Growing, line: Line, pause: Callable[[float], bool]) -> None:
        self._url = url
        self._growing = growing
        self._line = line
        self._pause = pause
        self._version: Version | None = None  # of what has come
        self.received = 0  # in all tries

    def run(self) -> None:
        """Returns when the content is in the file; Trouble if it cannot be had, DiskFull if it does not fit."""
        for number in range(1, config.download_tries_max + 1):
            try:
                self._try()
                return
            except Trouble as trouble:
                if self._line.was_cut.is_set():
                    raise _abandoned() from trouble
                if not trouble.again:
                    raise
                if number == config.download_tries_max:
                    raise Trouble(trouble.fault, f"{trouble}, {number} times") from trouble
                if trouble.anew:
                    self._version = None
                backoff_s = min(config.download_backoff_s * 2 ** (number - 1), config.download_backoff_max_s)
                if self._pause(max(backoff_s, trouble.pause_s)):
                    raise _abandoned() from trouble

    def _try(self) -> None:
        first = self._growing.size if self._version is not None else 0
        body = ask(self._url, self._line, first, self._version)
        try:
            if body.first == 0:
                self._growing.restart()
            self._version = Version(body.tag, body.size) if body.tag and body.size is not None else None
            self._take(body)
            body.check()
        finally:
            body.close()

    def _take(self, body: Body) -> None:
        growing = self._growing
        if body.size is not None:
            growing.make_room(body.size)
        while body.size is None or growing.size < body.size:
            data = self._read(body)
            if not data:
                break
            growing.write(data)
            self.received += len(data)
        if self._line.was_cut.is_set():
            raise _abandoned()
        if body.size is not None and growing.size != body.size:
            message = f"its body broke off after {growing.size} of {body.size} bytes"
            raise Trouble(DownloadFault.TRUNCATED, message, again=True)

    def _read(self, body: Body) -> bytes:
        if self._line.was_cut.is_set():
            raise _abandoned()
        try:
            return body.read(config.download_read_bytes)
        except Exception as error:
            raise trouble_of(error) from error


def _abandoned() -> Trouble:
    return Trouble(DownloadFault.ABANDONED, "it was stopped")
