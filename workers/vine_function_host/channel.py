"""What lies between a function host and its worker, seen from the host."""

from __future__ import annotations

import os
import socket

from vine_function_host.frames import (
    AT_PATH,
    LENGTH,
    PERMIT,
    PIPE_BYTES,
    SPILLED,
    SPILLED_HEAD,
    Call,
    calls_of,
    read_blob,
)


class Channel:
    """This process's ends of what lies between it and the worker."""

    def __init__(self, descriptors: str, frame_bytes: int) -> None:
        calls, self._permits, self._answers = map(int, descriptors.split(","))
        self._calls = socket.socket(fileno=calls)
        for descriptor in (calls, self._permits, self._answers):
            os.set_inheritable(descriptor, False)
        self._buffer = memoryview(bytearray(frame_bytes))
        self._read: list[tuple[int, memoryview]] = []  # calls of the frame that was read last, the next one last

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
            self._read = list(calls_of(memoryview(bytes(self._buffer[:length]))))[::-1]

    def replace(self, answers: int) -> None:
        """In a fork: our answer goes through this pipe, which processes that the call forks must not hold open."""
        os.close(self._permits)
        os.close(self._answers)
        self._calls.close()
        self._answers = answers
        os.register_at_fork(after_in_child=lambda: os.close(answers))

    def answer(self, frame: bytes) -> None:
        left = memoryview(LENGTH.pack(len(frame)) + frame)
        while left:
            left = left[os.write(self._answers, left) :]

    @staticmethod
    def _opened(content: memoryview) -> Call:
        if content[:1] == SPILLED:
            path = bytes(content[SPILLED_HEAD.size :])
            content = memoryview(read_blob((AT_PATH, path)))
            os.unlink(path)
        return Call(content)


def read_answer(pipe: int) -> bytes:
    """The answer of a fork; nothing if that has died before it was complete."""
    answer = b""
    while len(answer) < LENGTH.size or len(answer) < LENGTH.size + LENGTH.unpack_from(answer)[0]:
        part = os.read(pipe, PIPE_BYTES)
        if not part:
            return b""
        answer += part
    return answer[LENGTH.size :]
