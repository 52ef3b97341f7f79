"""What lies between a function host and its worker, seen from the host."""

from __future__ import annotations

import mmap
import os
import socket

from vine_function_host.frames import (
    AT_PATH,
    LENGTH,
    PERMIT,
    SPILLED,
    SPILLED_HEAD,
    Call,
    Commons,
    calls_of,
    read_blob,
)

_LENGTH_AT = 1  # in a shelf, after the byte that says whether there is an answer
_FRAME_AT = _LENGTH_AT + LENGTH.size


class Channel:
    """This process's ends of what lies between it and the worker."""

    def __init__(self, descriptors: str, frame_bytes: int) -> None:
        calls, self._permits, self._answers = map(int, descriptors.split(","))
        self._calls = socket.socket(fileno=calls)
        for descriptor in (calls, self._permits, self._answers):
            os.set_inheritable(descriptor, False)
        self._buffer = memoryview(bytearray(frame_bytes))
        self._commons = Commons()
        self._read: list[tuple[int, bytes]] = []  # calls of the frame that was read last, the next one last

    def next_call(self) -> Call | None:
        """Waits for the permit to run a call, and reads that call; None when the worker is gone."""
        permit = os.read(self._permits, PERMIT.size)
        if not permit:
            return None
        (wanted,) = PERMIT.unpack(permit)
        while True:
            while self._read:
                number, content = self._read.pop()
                if number == wanted:
                    return self._opened(content)
                # Those before it were taken back.
            length = self._calls.recv_into(self._buffer)
            if not length:
                return None
            # A copy, for the next frame may be read while the last calls of this one still wait.
            self._read = list(calls_of(bytes(self._buffer[:length])))[::-1]

    def answer(self, frame: bytes) -> None:
        left = LENGTH.pack(len(frame)) + frame
        while left:
            left = left[os.write(self._answers, left) :]

    def _opened(self, content: bytes) -> Call:
        if content[:1] == SPILLED:
            path = content[SPILLED_HEAD.size :]
            content = read_blob((AT_PATH, path))
            os.unlink(path)
        return Call(content, self._commons)


class Shelf:
    """Memory that a host has in common with its forks: each leaves its answer there, whole or not at all."""

    def __init__(self, frame_bytes_max: int) -> None:
        self._memory = mmap.mmap(-1, _FRAME_AT + frame_bytes_max)

    def answer(self, frame: bytes) -> None:
        """In a fork."""
        LENGTH.pack_into(self._memory, _LENGTH_AT, len(frame))
        self._memory[_FRAME_AT : _FRAME_AT + len(frame)] = frame
        self._memory[0] = True  # Comes last: from now on it is whole.

    def take(self) -> bytes:
        """What the fork before has left; nothing if it has died before that."""
        if not self._memory[0]:
            return b""
        self._memory[0] = False
        (length,) = LENGTH.unpack_from(self._memory, _LENGTH_AT)
        return self._memory[_FRAME_AT : _FRAME_AT + length]
