"""How does a warm interpreter run function calls: read one, run it, answer, read the next.

This one file needs nothing but the standard library, because the interpreter of the user's software
environment runs it. It also holds the frames' layout, which the worker's end imports.

Calls come through a SOCK_SEQPACKET socket, several in a frame; the number of each comes through a pipe,
and is taken out of it before the call begins: the worker takes calls back by taking their numbers. Every
answer goes into a second pipe at once: what has been answered survives the death of this process there.
With `--fork` each call runs in a fork of this process, which has loaded its function and run nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import os
import pickle
import resource
import socket
import struct
import sys
import time
import traceback
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # Nothing below is evaluated: environments may bring an older Python than ours.
    from collections.abc import Callable, Iterator, Sequence
    from typing import NoReturn

    Blob = tuple[bytes, bytes]  # INLINE or AT_PATH, and the bytes or the path

CALL, SPILLED = b"C", b"F"  # a call; the path of a file that holds one
INLINE, AT_PATH = b"i", b"p"  # the bytes themselves; the path of a file that holds them
READY, VALUE, EXCEPTION, EXIT = b"r", b"v", b"e", b"x"  # what an answer brings
UNSENDABLE, DIED = b"u", b"d"  # ... a result that cannot travel; the exit code of a fork, or its signal's, negative
CALL_ENDS = (VALUE, EXCEPTION, EXIT, UNSENDABLE, DIED)

PIPE_BYTES = 65536  # A pipe's capacity on Linux, unless it is asked to be another.
LENGTH = struct.Struct("<I")  # before each call in a frame, and before each answer
PERMIT = struct.Struct("<Q")  # a call's number: whoever takes it out of the pipe has the call
NUMBER = struct.Struct("<xQ")  # where both kinds of calls have their number
SPILLED_HEAD = struct.Struct("<cQ")  # SPILLED, number; the path follows
CALL_HEAD = struct.Struct("<cQHIH")  # CALL, number, bytes of the function's path and of the settings, blobs
BLOB_HEAD = struct.Struct("<cI")  # INLINE or AT_PATH, bytes that follow
# Number, what it brings, INLINE or AT_PATH, seconds of the body, its USE, bytes of words.
ANSWER_HEAD = struct.Struct("<QccdfIIH")

PICKLE, DILL = b"P", b"D"  # the first byte of everything serialised
MANY = b"M"  # before the arguments of a chunk of calls, and before its results, each of which has its LENGTH before it
RESULT_AT = ("vine.client.serialise", "result_at")  # the function that stands in arguments for another task's result
PROTOCOL = min(5, pickle.HIGHEST_PROTOCOL)
NO_USE = (0.0, 0, 0)  # processor seconds; kilobytes that this process had at most, and has left
FUNCTIONS_MAX = 256  # Loaded functions that a host keeps.
HINTS = {"generator": "return a list of it", "coroutine": "submit a function that calls asyncio.run()"}
WORDS_CHARS_MAX = 1000  # Of an exception, for those who may not unpickle it.


def calls_of(frame: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The calls in a frame of the socket, each with its number."""
    at = 0
    while at < len(frame):
        (length,) = LENGTH.unpack_from(frame, at)
        at += LENGTH.size
        yield NUMBER.unpack_from(frame, at)[0], frame[at : at + length]
        at += length


class Call:
    """One call as it was read from its frame."""

    __slots__ = ("blobs", "function", "number", "settings")

    def __init__(self, frame: memoryview) -> None:
        _kind, self.number, function_bytes, settings_bytes, blob_count = CALL_HEAD.unpack_from(frame)
        at = CALL_HEAD.size
        self.function = bytes(frame[at : at + function_bytes])
        at += function_bytes
        self.settings = bytes(frame[at : at + settings_bytes])
        at += settings_bytes
        self.blobs: list[Blob] = []
        for _ in range(blob_count):
            where, length = BLOB_HEAD.unpack_from(frame, at)
            at += BLOB_HEAD.size
            self.blobs.append((where, bytes(frame[at : at + length])))
            at += length


def read_blob(blob: Blob) -> bytes:
    where, content = blob
    if where == INLINE:
        return content
    with open(content, "rb") as file:
        return file.read()


class Serialiser:
    """Pickle where it can, dill where it must; dill comes from the environment, else from beside the worker."""

    def __init__(self, dill_folder: str | None) -> None:
        self._dill_folder = dill_folder
        self._dill: Any = None

    def dill(self) -> Any:
        if self._dill is None:
            try:
                import dill
            except ImportError:
                if self._dill_folder is None:
                    raise
                sys.path.append(self._dill_folder)
                import dill
            self._dill = dill
        return self._dill

    def load(self, data: bytes, result_at: Callable[[int], Any] | None = None) -> Any:
        """What was serialised; references to other tasks' results are asked of `result_at`."""
        content = memoryview(data)[1:]
        if result_at is None:
            return (pickle if data[:1] == PICKLE else self.dill()).loads(content)
        base: Any = pickle.Unpickler if data[:1] == PICKLE else self.dill().Unpickler

        def find_class(reader: Any, module: str, name: str) -> Any:
            return result_at if (module, name) == RESULT_AT else base.find_class(reader, module, name)

        reader = type("Reader", (base,), {"find_class": find_class})
        return reader(io.BytesIO(content)).load()

    def arguments(self, blobs: Sequence[Blob]) -> tuple[bool, Sequence[Any], dict[str, Any]]:
        """Whether they are of many calls, positional ones, named ones; with other tasks' values in their places."""
        payload = read_blob(blobs[0])
        many = payload[:1] == MANY
        payload = payload[1:] if many else payload
        if len(blobs) == 1:
            args, kwargs = self.load(payload)
            return many, args, kwargs
        loaded: dict[int, Any] = {}  # a value that is named twice is one object, as it was at the client

        def result_at(place: int) -> Any:
            if place not in loaded:
                loaded[place] = self.load(read_blob(blobs[1 + place]))
            return loaded[place]

        args, kwargs = self.load(payload, result_at)
        return many, args, kwargs

    def dump(self, value: Any) -> bytes:
        try:
            return PICKLE + pickle.dumps(value, PROTOCOL)
        except Exception as why:  # noqa: BLE001 - reducers are the user's code and raise what they like
            try:
                stream = io.BytesIO()
                pickler = self.dill().Pickler(stream, PROTOCOL)
                pickler.reducer_override = refuse_open_files
                pickler.dump(value)
                return DILL + stream.getvalue()
            except ImportError:
                raise why from None


class UnsendableError(Exception):
    """A result that stays where it is; the words are for its author."""


def refuse_open_files(value: Any) -> Any:
    """A pickler's `reducer_override`: dill would have the client open a file of that name, or its own descriptor."""
    files = (io.TextIOWrapper, io.BufferedReader, io.BufferedWriter, io.BufferedRandom, io.FileIO)
    if isinstance(value, files) and getattr(value, "name", None) not in ("<stdin>", "<stdout>", "<stderr>"):
        raise TypeError("an open file stays where it was opened; return its content, or write to an output")
    return NotImplemented


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


class Host:
    """The loop: calls in, answers out, one at a time."""

    def __init__(self, channel: Channel, serialiser: Serialiser, options: argparse.Namespace) -> None:
        self._channel = channel
        self._serialiser = serialiser
        self._options = options
        self._functions: dict[bytes, Callable[..., Any]] = {}
        self._home = os.getcwd()
        self._process_id = os.getpid()
        self._settings = b""
        self._replaced: dict[str, str | None] = {}  # what the call's variables hide
        self._times_before = os.times()

    def serve(self, once: bool) -> int:
        """Runs calls until the worker is gone, or one call only; returns the exit code."""
        self._answer(0, READY, sys.version.split()[0].encode(), 0.0)
        while True:
            call = self._channel.next_call()
            if call is None:
                return 0
            exit_code = self._fork(call) if self._options.fork else self._run(call)
            if once:
                return exit_code

    def _fork(self, call: Call) -> int:
        with contextlib.suppress(BaseException):  # The fork tries again, and tells.
            self._prepared(call)
        gc.freeze()  # Its garbage collector need not touch, and so copy, what is here.
        flush_output()  # Or what loading has printed would be printed twice.
        readable, writable = os.pipe()
        child = os.fork()
        if not child:
            self._process_id = os.getpid()
            self._channel.replace(writable)
            if "numpy.random" in sys.modules:  # Python's own `random` sees to itself.
                sys.modules["numpy.random"].seed()
            os._exit(self._run(call))
        os.close(writable)
        answer = read_answer(readable)
        os.close(readable)
        _pid, status = os.waitpid(child, 0)
        if answer:
            self._channel.answer(answer)
        else:
            code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            self._answer(call.number, DIED, str(code).encode(), 0.0)
        return 0

    def _run(self, call: Call) -> int:
        started_s = time.perf_counter()
        try:
            function = self._prepared(call)
            many, args, kwargs = self._serialiser.arguments(call.blobs)
            self._times_before = os.times()
            started_s = time.perf_counter()
            if many:
                return self._run_many(call.number, function, args, kwargs)
            result = function(*args, **kwargs)
            run_s = time.perf_counter() - started_s
            self._answer(call.number, VALUE, self._dump_result(result), run_s)
        except UnsendableError as why:
            self._answer(call.number, UNSENDABLE, b"", time.perf_counter() - started_s, str(why))
        except SystemExit as exit_request:
            code = exit_code_of(exit_request)
            self._answer(call.number, EXIT, str(code).encode(), time.perf_counter() - started_s)
            return code
        except BaseException as error:  # noqa: BLE001 - whatever the user's function raises is the call's result
            run_s = time.perf_counter() - started_s
            self._answer(call.number, EXCEPTION, self._dump_exception(error), run_s, safe_words(error))
        return 0

    def _prepared(self, call: Call) -> Callable[..., Any]:
        """The call's function, loaded; we are in its folder, with its variables."""
        if call.settings != self._settings:
            self._apply(call.settings)
        function = self._functions.get(call.function)
        if function is None:
            loaded: Callable[..., Any] = self._serialiser.load(read_blob((AT_PATH, call.function)))
            if len(self._functions) >= FUNCTIONS_MAX:
                self._functions.pop(next(iter(self._functions)))
            function = self._functions[call.function] = loaded
        return function

    def _run_many(self, number: int, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> int:
        """Calls the function with each row of arguments; a failure is answered with what came before it."""
        first, rows = args
        started_s = time.perf_counter()
        results, brings, words = [MANY], VALUE, ""
        try:
            for row in rows:
                value = self._dump_result(function(*first, *row, **kwargs))
                results += (LENGTH.pack(len(value)), value)
        except UnsendableError as why:
            brings, words = UNSENDABLE, str(why)
        except SystemExit:
            raise
        except BaseException as error:  # noqa: BLE001 - as in `_run`
            failure = self._dump_exception(error)
            results += (LENGTH.pack(len(failure)), failure)
            brings, words = EXCEPTION, safe_words(error)
        self._answer(number, brings, b"".join(results), time.perf_counter() - started_s, words)
        return 0

    def _apply(self, settings: bytes) -> None:
        """Goes to the call's folder and sets its variables, after undoing those of the call before."""
        for name, value in self._replaced.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._replaced = {}
        self._settings = b""  # Should the next lines raise, the next call starts afresh.
        wanted = json.loads(settings.decode()) if settings else {}
        os.chdir(wanted.get("folder") or self._home)
        for name, value in wanted.get("variables", {}).items():
            self._replaced[name] = os.environ.get(name)
            os.environ[name] = value
        self._settings = settings

    def _dump_result(self, result: Any) -> bytes:
        try:
            return self._serialiser.dump(result)
        except Exception as why:
            kind = type(result).__qualname__
            hint = HINTS.get(kind, "return plain data")
            raise UnsendableError(f"the result is a {kind}, which cannot travel ({safe_words(why)}): {hint}") from why

    def _dump_exception(self, error: BaseException) -> bytes:
        """The exception with its traceback as text; one that does not survive the way is told in words."""
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next  # Our own frames above the function say nothing to its author.
        text = "".join(traceback.format_exception(type(error), error, trace))
        try:
            data = self._serialiser.dump((error, text))
            self._serialiser.load(data)  # Many exceptions go out and do not come in.
        except Exception:  # noqa: BLE001 - as above: the user's own reducers
            data = self._serialiser.dump((RuntimeError(safe_words(error)), text))
        return data

    def _answer(self, number: int, brings: bytes, content: bytes, run_s: float, words: str = "") -> None:
        flush_output()  # Whoever has the answer may end us.
        if os.getpid() != self._process_id:
            # A process that the call has forked came back here: the call is its parent's to answer.
            os._exit(int(content) if brings == EXIT else int(brings == EXCEPTION))
        where, said = INLINE, words.encode(errors="replace")
        if len(content) > self._options.inline_bytes:
            path = os.path.join(self._options.spill, f"value-{os.getpid()}-{time.time_ns():x}").encode()
            try:
                with open(path, "wb") as file:
                    file.write(content)
            except OSError:
                if os.path.exists(path):
                    os.unlink(path)  # What was written of it would keep a full disk full.
                raise
            where, content = AT_PATH, path
        use = self._use() if run_s >= self._options.measure_from else NO_USE
        self._channel.answer(ANSWER_HEAD.pack(number, brings, where, run_s, *use, len(said)) + said + content)

    def _use(self) -> tuple[float, int, int]:
        """What the call has used; the most of the next one is counted anew, where the kernel can do that."""
        cpu_s = sum(os.times()[:4]) - sum(self._times_before[:4])
        most_kb = left_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            with open("/proc/self/statm", "rb") as file:
                _, resident, of_files, *_ = map(int, file.read().split())
            left_kb = (resident - of_files) * (resource.getpagesize() >> 10)
            # Of files that are mapped much may be resident, and none of it need stay.
            with open("/proc/self/clear_refs", "wb") as file:
                file.write(b"5")
        except OSError:
            pass  # Then the most of all calls until now is told, which is too much rather than too little.
        if self._options.fork:
            left_kb = 0  # It goes with this process.
        return max(0.0, cpu_s), most_kb, left_kb


def read_answer(pipe: int) -> bytes:
    """The answer of a fork; nothing if that has died before it was complete."""
    answer = b""
    while len(answer) < LENGTH.size or len(answer) < LENGTH.size + LENGTH.unpack_from(answer)[0]:
        part = os.read(pipe, PIPE_BYTES)
        if not part:
            return b""
        answer += part
    return answer[LENGTH.size :]


def exit_code_of(request: SystemExit) -> int:
    """The code with which Python would have ended."""
    if request.code is None:
        return 0
    if isinstance(request.code, int):
        return request.code & 0xFF
    sys.stderr.write(f"{request.code}\n")
    return 1


def safe_words(error: BaseException) -> str:
    """The exception in one line."""
    try:
        words = f"{type(error).__qualname__}: {error}"
    except Exception:  # noqa: BLE001 - the user's __str__
        words = type(error).__qualname__
    return " ".join(words.split())[:WORDS_CHARS_MAX].rstrip(": ")


def flush_output() -> None:
    """The log shows what a call printed when the call is over."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):  # The call closed or replaced it.
            stream.flush()


def leave_main() -> None:
    """Gives the name `__main__` to an empty module: functions that dill carried resolve their globals there."""
    ours = sys.modules["__main__"]
    ours.__name__ = "vine_function_host"
    sys.modules["vine_function_host"] = ours
    sys.modules["__main__"] = types.ModuleType("__main__")
    sys.path[0] = ""  # As with `python -c`: modules beside the call's inputs, not those beside this file.


def main() -> NoReturn:
    parser = argparse.ArgumentParser(description="Runs function calls for vine-worker; not for use by hand.")
    parser.add_argument("--fd", required=True)
    parser.add_argument("--dill")
    parser.add_argument("--spill", required=True)
    parser.add_argument("--frame-bytes", type=int, required=True)
    parser.add_argument("--inline-bytes", type=int, required=True)
    parser.add_argument("--measure-from", type=float, required=True, help="calls that run for so long, in seconds")
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--fork", action="store_true")
    options = parser.parse_args()
    leave_main()
    channel = Channel(options.fd, options.frame_bytes)
    exit_code = Host(channel, Serialiser(options.dill), options).serve(options.once)
    flush_output()
    # Threads and exit handlers that calls left behind must not hold up the worker.
    os._exit(exit_code)


if __name__ == "__main__":
    main()
