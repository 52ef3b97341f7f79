"""How do calls get to a function host and its answers back: the worker's end of the host's socket and pipes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import struct
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from vine import config
from vine_function_host import frames

_socket_buffer_bytes = 4 * config.host_frame_bytes_max  # Asked for; the kernel may grant less.
_KINDS = frozenset((frames.READY, *frames.CALL_ENDS))
_PLACES = (frames.INLINE, frames.AT_PATH)
_SECONDS_MAX = 1e9  # As in messages.
_CODE_MAX = 1 << 31
_buffer = memoryview(bytearray(2 * config.host_frame_bytes_max))


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What a host has said; made once a call, and so of the kind that is made fastest."""

    number: int
    brings: bytes  # frames.READY, or one of frames.CALL_ENDS
    at_path: bool  # the content is the path of the file that holds it
    content: bytes
    run_s: float
    words: str = ""  # what an exception says
    use: tuple[float, int, int] = frames.NO_USE


class HostChannel:
    """What lies between the worker and one host.

    Calls go through a socket that keeps frames whole, several in one frame, and their numbers through a pipe.
    The host takes a number out of the pipe before it begins that call; the worker takes calls back by taking
    their numbers. So either has each call, however the host buffers them. Answers come through a second pipe,
    which keeps what a host said before it died. The far ends stay open here too.
    """

    def __init__(self, spill_folder: Path) -> None:
        self._spill_folder = spill_folder  # where long values lie that the host has answered with
        self.folder = Path(tempfile.mkdtemp(prefix="host-", dir=spill_folder))  # What is in it at the end is nobody's.
        self._values_folder = os.fsencode(self.folder)  # where the host leaves them
        self._unsent: deque[tuple[int, bytes]] = deque()
        self._spilled: dict[int, Path] = {}
        self._received = bytearray()
        self.malformed = False  # Something else than the host program writes to its end: the user's code.
        self._pipes: list[int] = []  # our descriptors that do not close themselves
        self._near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._open()
        except BaseException:
            self.close()  # Of what there is few of, nothing may be lost.
            raise

    def _open(self) -> None:
        for end in (self._near, self._far):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _socket_buffer_bytes)
        self._near.setblocking(False)
        self._permits_out, self._permits_in = self._pipe()
        # Opened anew, for whether reading waits belongs to an opening: the host's reading does, ours does not.
        self._permits_back = os.open(f"/proc/self/fd/{self._permits_out}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._pipes.append(self._permits_back)
        self._answers_out, self._answers_in = self._pipe()
        os.set_blocking(self._answers_out, False)
        with contextlib.suppress(OSError):  # It may be more than a user is allowed: then hosts wait for us sooner.
            fcntl.fcntl(self._answers_in, fcntl.F_SETPIPE_SZ, config.host_answers_bytes)

    def _pipe(self) -> tuple[int, int]:
        ends = os.pipe2(os.O_CLOEXEC)
        self._pipes += ends
        return ends

    def fileno(self) -> int:
        """Readable when answers have come."""
        return self._answers_out

    @property
    def far_descriptors(self) -> tuple[int, int, int]:
        """The host's ends: calls, their numbers, answers."""
        return self._far.fileno(), self._permits_out, self._answers_in

    def send(self, number: int, common: bytes, blobs: Sequence[frames.Blob]) -> None:
        """Gives the host a call, with the next `flush`; a long one goes by a file. Numbers ascend."""
        frame = frames.call_frame(number, common, blobs)
        if len(frame) + frames.LENGTH.size > config.host_frame_bytes_max:
            path = self.folder / f"call-{number}"
            try:
                path.write_bytes(frame)
            except OSError:
                path.unlink(missing_ok=True)  # What was written of it would keep a full disk full.
                raise
            self._spilled[number] = path
            frame = frames.SPILLED_HEAD.pack(frames.SPILLED, number) + os.fsencode(path)
        self._unsent.append((number, frame))

    def flush(self) -> bool:
        """Sends what the socket takes; tells whether something is left."""
        while self._unsent:
            numbers, frame = self._next_frame()
            try:
                self._near.send(frame)
            except BlockingIOError:
                return True
            for _ in numbers:
                self._unsent.popleft()
            os.write(self._permits_in, b"".join(map(frames.PERMIT.pack, numbers)))  # After the calls that they are for.
        return False

    def _next_frame(self) -> tuple[list[int], bytes]:
        """The calls that wait, as many as a frame holds."""
        numbers: list[int] = []
        parts: list[bytes] = []
        left = config.host_frame_bytes_max
        for number, frame in self._unsent:
            left -= len(frame) + frames.LENGTH.size
            if left < 0 or len(numbers) == config.calls_ahead_max:
                break
            numbers.append(number)
            parts += (frames.LENGTH.pack(len(frame)), frame)
        return numbers, b"".join(parts)

    def receive(self) -> list[Answer]:
        """The answers that have come."""
        with contextlib.suppress(BlockingIOError):
            while not self.malformed:
                said = os.read(self._answers_out, config.host_answers_bytes)
                self._received += said
                if len(said) < config.host_answers_bytes:
                    break
        answers = list(self._take_answers())
        for position, answer in enumerate(answers):
            self._spilled.pop(answer.number, None)
            if answer.at_path:
                answers[position] = self._with_kept_value(answer)
        return answers

    def _with_kept_value(self, answer: Answer) -> Answer:
        """The value is the worker's from now on, however its host ends."""
        kept = os.path.join(os.fsencode(self._spill_folder), os.path.basename(answer.content))
        try:
            os.rename(answer.content, kept)
        except OSError:  # What runs in the host has taken it away; who collects it tells.
            return answer
        return msgspec.structs.replace(answer, content=kept)

    def _take_answers(self) -> Iterator[Answer]:
        at, received = 0, self._received
        while not self.malformed and len(received) >= at + frames.LENGTH.size:  # What follows may be anybody's.
            (length,) = frames.LENGTH.unpack_from(received, at)
            begin = at + frames.LENGTH.size
            if length > 2 * config.host_frame_bytes_max:
                self.malformed = True
            elif len(received) < begin + length:
                break
            else:
                try:
                    yield _answer(received[begin : begin + length], self._values_folder)
                except (struct.error, ValueError):
                    self.malformed = True
                at = begin + length
        del received[:at]

    def take_back(self) -> list[int]:
        """The numbers of the calls that the host has not begun; it never will."""
        unbegun = self._take_permits()
        for number, frame in self._take_frames():
            if number not in unbegun:  # The host is about to read it: it has its permit.
                self._near.send(frames.LENGTH.pack(len(frame)) + frame)
        numbers = [*unbegun, *(number for number, _ in self._unsent)]
        self._unsent.clear()
        for number in numbers:
            if number in self._spilled:
                self._spilled.pop(number).unlink()
        return numbers

    def _take_permits(self) -> dict[int, None]:
        try:
            permits = os.read(self._permits_back, frames.PIPE_BYTES)
        except BlockingIOError:
            permits = b""
        return dict.fromkeys(number for (number,) in frames.PERMIT.iter_unpack(permits))

    def _take_frames(self) -> Iterator[tuple[int, bytes]]:
        """The calls in the frames that the host has not read."""
        unread = []
        with contextlib.suppress(BlockingIOError):
            while length := self._far.recv_into(_buffer, 0, socket.MSG_DONTWAIT):
                unread.append(bytes(_buffer[:length]))
        for frame in unread:
            yield from frames.calls_of(frame)

    def close(self) -> None:
        # A call that its host has not read before it ended, a value that it was writing.
        shutil.rmtree(self.folder, ignore_errors=True)
        self._near.close()
        self._far.close()
        for end in self._pipes:
            os.close(end)


def _answer(frame: bytes | bytearray, values_folder: bytes) -> Answer:
    """ValueError, or struct.error, if it says what no host says: what runs in one may write here, too."""
    number, brings, where, run_s, *use, words_bytes = frames.ANSWER_HEAD.unpack_from(frame)
    content_at = frames.ANSWER_HEAD.size + words_bytes
    words = str(frame[frames.ANSWER_HEAD.size : content_at], "utf-8") if words_bytes else ""
    content = bytes(frame[content_at:])
    if brings not in _KINDS or where not in _PLACES or content_at > len(frame):
        raise ValueError("no answer")
    if not (0 <= run_s <= _SECONDS_MAX and 0 <= use[0] <= _SECONDS_MAX):  # Nor is what is no number.
        raise ValueError("no time")
    if brings in (frames.EXIT, frames.DIED) and not -_CODE_MAX <= int(content) <= _CODE_MAX:
        raise ValueError("no exit code")
    # What lies there is served, and then removed: with any other path it would be an order to remove that file.
    if where == frames.AT_PATH and (os.path.dirname(content) != values_folder or b"\0" in content):
        raise ValueError("no place of a long value")
    return Answer(number, brings, where == frames.AT_PATH, content, run_s, words, tuple(use))
