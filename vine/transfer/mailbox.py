"""How do other threads hand work to a thread that waits for sockets?"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import ParamSpec

Arguments = ParamSpec("Arguments")


class Mailbox:
    """Calls posted by any thread and made by the one that polls `fileno()`."""

    def __init__(self) -> None:
        self._calls: deque[Callable[[], object]] = deque()
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._rung = False

    def fileno(self) -> int:
        return self._reader.fileno()

    def post(self, call: Callable[Arguments, object], /, *arguments: Arguments.args, **named: Arguments.kwargs) -> None:
        self._calls.append(partial(call, *arguments, **named))
        if self._rung:
            return
        self._rung = True
        try:
            self._writer.send(b"\0")
        except BlockingIOError:
            return  # It is full of rings already.

    def make_calls(self) -> None:
        """Make the calls posted so far, in order."""
        try:
            self._reader.recv(4096)
        except BlockingIOError:
            return
        # Cleared before the calls are taken: whoever posts from here on either is seen below or rings anew.
        self._rung = False
        for _ in range(len(self._calls)):
            self._calls.popleft()()

    def close(self) -> None:
        """Calls that are posted from now on are never made."""
        self._rung = True
        self._reader.close()
        self._writer.close()
