"""How do calls get to a function host and its answers back: the worker's end of the host's socket."""

from __future__ import annotations

import os
import socket
import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vine import config
from vine_worker.functions import host

_socket_buffer_bytes = 4 * config.host_frame_bytes_max  # Asked for; the kernel may grant less.
_buffer = memoryview(bytearray(2 * config.host_frame_bytes_max))


@dataclass(frozen=True, slots=True)
class Answer:
    number: int
    brings: bytes  # one of host.READY, VALUE, EXCEPTION, EXIT
    at_path: bool  # the content is the path of the file that holds it
    content: bytes
    run_s: float
    words: str = ""  # what an exception says


class HostChannel:
    """The socket pair of one host. The far end stays open here too, to take back what was not read there."""

    def __init__(self, spill_folder: Path) -> None:
        self._near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._near, self._far):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _socket_buffer_bytes)
        self._near.setblocking(False)
        self._spill_folder = spill_folder
        self._unsent: deque[bytes] = deque()
        self.malformed = False  # Something else than the host program writes to its end: the user's code.

    def fileno(self) -> int:
        return self._near.fileno()

    @property
    def far_descriptor(self) -> int:
        return self._far.fileno()

    def send(self, number: int, function: bytes, settings: bytes, blobs: Sequence[host.Blob]) -> None:
        """Gives the host a call; a long one goes by a file."""
        frame = host.call_frame(number, function, settings, blobs)
        if len(frame) > config.host_frame_bytes_max:
            path = self._spill_folder / f"call-{self.fileno()}-{number}"
            try:
                path.write_bytes(frame)
            except OSError:
                path.unlink(missing_ok=True)  # What was written of it would keep a full disk full.
                raise
            frame = host.SPILLED_HEAD.pack(host.SPILLED, number) + os.fsencode(path)
        self._unsent.append(frame)
        self.flush()

    def flush(self) -> bool:
        """Sends what the socket takes; tells whether something is left."""
        while self._unsent:
            try:
                self._near.send(self._unsent[0])
            except BlockingIOError:
                return True
            self._unsent.popleft()
        return False

    def receive(self) -> list[Answer]:
        """The answers that have come."""
        answers: list[Answer] = []
        while not self.malformed:  # What follows may be anybody's.
            try:
                length = self._near.recv_into(_buffer)
            except (BlockingIOError, ConnectionResetError):
                return answers
            if not length:
                return answers
            try:
                answers.append(_answer(_buffer[:length]))
            except (struct.error, UnicodeDecodeError):
                self.malformed = True
        return answers

    def take_back(self) -> list[int]:
        """The numbers of the calls that the host has not read; it never will."""
        frames = []
        while True:
            try:
                length = self._far.recv_into(_buffer, 0, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            if not length:
                break
            frames.append(bytes(_buffer[:length]))
        frames += self._unsent
        self._unsent.clear()
        for frame in frames:
            if frame[:1] == host.SPILLED:
                os.unlink(frame[host.SPILLED_HEAD.size :])
        return [host.NUMBER.unpack_from(frame)[0] for frame in frames]

    def close(self) -> None:
        self._near.close()
        self._far.close()


def _answer(frame: memoryview) -> Answer:
    number, brings, where, run_s, words_bytes = host.ANSWER_HEAD.unpack_from(frame)
    content_at = host.ANSWER_HEAD.size + words_bytes
    words = str(frame[host.ANSWER_HEAD.size : content_at], "utf-8")
    return Answer(number, brings, where == host.AT_PATH, bytes(frame[content_at:]), run_s, words)
