"""How does a warm interpreter run function calls: read one, run it, answer, read the next.

With the option `fork` each call runs in a fork of this process, which has loaded its function and run nothing else.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import pickle
import sys
import time
from typing import TYPE_CHECKING, Any

from vine_function_host import forks, use
from vine_function_host.channel import Shelf
from vine_function_host.failures import dump_exception
from vine_function_host.frames import (
    ANSWER_HEAD,
    AT_PATH,
    DIED,
    EXCEPTION,
    EXIT,
    FOREIGN,
    INLINE,
    LENGTH,
    NO_USE,
    READY,
    UNSENDABLE,
    VALUE,
    WORDS_BYTES_MAX,
    Call,
    Commons,
    call_frame,
    common_part,
    read_blob,
)
from vine_function_host.payload import LEFT, MANY, PICKLE, RESULT_FILE, ForeignPythonError, body_of
from vine_function_host.registered import UnsendableError
from vine_function_host.serialiser import Loaded
from vine_function_host.words import exit_code_of, flush_output, safe_words

if TYPE_CHECKING:  # Nothing below is evaluated: environments may bring an older Python than ours.
    from collections.abc import Sequence

    from vine_function_host.channel import Channel
    from vine_function_host.registered import Registered
    from vine_function_host.serialiser import Content, Serialiser

FUNCTIONS_MAX = 256  # Loaded functions that a host keeps.
WARM_UPS = 20  # Python's interpreter has then settled for how it runs a call's way, and writes no more about it.
HINTS = {"generator": "return a list of it", "coroutine": "submit a function that calls asyncio.run()"}


class Options:
    """What the worker wants of a host; it says so in JSON."""

    __slots__ = (
        "dill", "fork", "frame_bytes", "inline_bytes", "library", "measured_run_s_min", "once", "spill", "zygote",
    )  # fmt: skip

    dill: str | None  # a folder that has dill, should the environment have none
    fork: bool  # a fork for each call
    frame_bytes: int  # the most that a frame holds
    inline_bytes: int  # a longer result goes into a file
    library: str  # the path of one that is loaded before all calls; none is ""
    measured_run_s_min: float  # what a shorter call used is not measured
    once: bool  # one call only
    spill: str  # the folder of these files
    zygote: bool  # it forks hosts when it is asked to, and is none itself

    def __init__(self, text: str) -> None:
        for name, value in json.loads(text).items():
            setattr(self, name, value)


class Host:
    """The loop: calls in, answers out, one at a time."""

    def __init__(
        self, channel: Channel, serialiser: Serialiser, options: Options, functions: dict[bytes, Loaded]
    ) -> None:
        """`functions` are those of its library, by their names."""
        self._channel = channel
        self._serialiser = serialiser
        self._options = options
        self._functions = dict(functions)
        self._loaded_kb = use.own_kb() if functions else 0  # What a library has loaded is not its calls' use.
        self._home = os.getcwd()
        self._process_id = os.getpid()
        self._settings = b""
        self._replaced: dict[str, str | None] = {}  # what the call's variables hide
        self._cpu_before_s = 0.0  # as in a fork
        self._needs: object = None  # what the call before has in common with others
        self._unsettled = True  # whether forks have something to put right
        self._shelf = Shelf(ANSWER_HEAD.size + WORDS_BYTES_MAX + options.inline_bytes) if options.fork else None
        self._answers: Channel | Shelf = channel  # takes what is answered

    def serve(self) -> int:
        """Runs calls until the worker is gone, or one call only; returns the exit code."""
        if self._shelf is not None:
            self._warm_up(self._shelf)
        version = sys.version.split()[0].encode()
        self._answer(0, READY, [version], 0.0, used=(0.0, self._loaded_kb, self._loaded_kb))
        while True:
            call = self._channel.next_call()
            if call is None:
                return 0
            exit_code = self._run(call) if self._shelf is None else self._fork(call, self._shelf)
            if self._options.once:
                return exit_code

    def _warm_up(self, shelf: Shelf) -> None:
        """Runs calls of nothing. What is written the first times, of each fork's memory would have to be copied."""
        self._answers = shelf
        self._functions[b""] = Loaded(lambda value: value, None)
        frame = call_frame(0, common_part(b"", b""), [(INLINE, PICKLE + pickle.dumps(((0,), {})))])
        call = Call(frame, Commons())
        for _ in range(WARM_UPS):
            self._run(call)
            shelf.take()
        del self._functions[b""]
        self._answers = self._channel

    def _fork(self, call: Call, shelf: Shelf) -> int:
        self._load_ahead(call)
        child = os.fork()
        if not child:
            self._process_id = os.getpid()
            self._answers = shelf
            if self._unsettled:
                forks.settle()
            self._run(call)
            os._exit(0)
        _pid, status = os.waitpid(child, 0)
        answer = shelf.take()
        if answer:
            self._channel.answer(answer)
        else:
            code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            self._drop_value_of(child)
            self._answer(call.number, DIED, [str(code).encode()], 0.0)
        return 0

    def _drop_value_of(self, child: int) -> None:
        """What it had written of one that is too long for an answer."""
        for name in os.listdir(self._options.spill):
            if name.startswith(f"value-{child}-"):
                os.unlink(os.path.join(self._options.spill, name))

    def _load_ahead(self, call: Call) -> None:
        """Loads what the call has in common with others, unless the call before had just that."""
        common = call.common
        needs = common.function, common.settings, common.shared, call.blobs[1:]
        if needs == self._needs:
            return
        self._needs = needs
        with contextlib.suppress(BaseException):  # The fork tries again, and tells.
            self._serialiser.keep_shared(common.shared, self._prepared(call).registered)
        gc.freeze()  # Its garbage collector need not touch, and so copy, what is here.
        flush_output()  # Or what loading has printed would be printed twice.
        self._unsettled = forks.unsettled()

    def _run(self, call: Call) -> int:
        started_s = time.perf_counter()
        registered = None  # Until the function is loaded, which may fail.
        try:
            loaded = self._prepared(call)
            registered = loaded.registered
            mark, args, kwargs = self._serialiser.arguments(call.blobs, call.common.shared, registered)
            if not self._options.fork:
                self._cpu_before_s = use.cpu_s()
            started_s = time.perf_counter()
            if mark == MANY:
                return self._run_many(call.number, loaded, args, kwargs)
            result = loaded.function(*args, **kwargs)
            run_s = time.perf_counter() - started_s
            if mark:
                self._leave(result, mark, registered)
                result = None
            value = self._dump_result(result, registered, self._options.inline_bytes)
            self._answer(call.number, VALUE, value, run_s)
        except UnsendableError as why:
            self._answer(call.number, UNSENDABLE, [], time.perf_counter() - started_s, str(why))
        except ForeignPythonError as why:
            self._answer(call.number, FOREIGN, [], 0.0, str(why))
        except SystemExit as exit_request:
            code = exit_code_of(exit_request)
            self._answer(call.number, EXIT, [str(code).encode()], time.perf_counter() - started_s)
            return code
        except BaseException as error:  # noqa: BLE001 - whatever the user's function raises is the call's result
            run_s = time.perf_counter() - started_s
            failure = dump_exception(self._serialiser, error, registered)
            self._answer(call.number, EXCEPTION, [failure], run_s, safe_words(error))
        return 0

    def _prepared(self, call: Call) -> Loaded:
        """The call's function, loaded; we are in its folder, with its variables."""
        common = call.common
        if common.settings != self._settings:
            self._apply(common.settings)
        loaded = self._functions.get(common.function)
        if loaded is None:
            loaded = self._serialiser.function(read_blob((AT_PATH, common.function)))
            if len(self._functions) >= FUNCTIONS_MAX:
                self._functions.pop(next(iter(self._functions)))
            self._functions[common.function] = loaded
        return loaded

    def _run_many(self, number: int, loaded: Loaded, args: Sequence[Any], kwargs: dict[str, Any]) -> int:
        """Calls the function with each row of arguments; a failure is answered with what came before it."""
        first, rows = args
        started_s = time.perf_counter()
        results: list[Content] = [MANY]
        brings, words = VALUE, ""
        try:
            for row in rows:
                (value,) = self._dump_result(loaded.function(*first, *row, **kwargs), loaded.registered)
                results += (LENGTH.pack(len(value)), value)
        except UnsendableError as why:
            brings, words = UNSENDABLE, str(why)
        except SystemExit:
            raise
        except BaseException as error:  # noqa: BLE001 - as in `_run`
            failure = dump_exception(self._serialiser, error, loaded.registered)
            results += (LENGTH.pack(len(failure)), failure)
            brings, words = EXCEPTION, safe_words(error)
        self._answer(number, brings, results, time.perf_counter() - started_s, words)
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
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._settings = settings

    def _dump_result(self, result: Any, registered: Registered | None, apart_from: int | None = None) -> list[Content]:
        try:
            return self._serialiser.dump(result, registered, apart_from)
        except UnsendableError:
            raise
        except Exception as why:
            kind = type(result).__qualname__
            hint = HINTS.get(kind, "return plain data")
            raise UnsendableError(f"the result is a {kind}, which cannot travel ({safe_words(why)}): {hint}") from why

    def _leave(self, result: Any, mark: bytes, registered: Registered | None) -> None:
        """Puts the result into a file of the call's folder, which others take as it is."""
        if mark == LEFT:
            (whole,) = self._dump_result(result, registered)
            content = body_of(whole)  # Without our mark it is a pickle like any other.
        elif isinstance(result, (bytes, bytearray, memoryview)):
            content = memoryview(result)
        else:
            raise UnsendableError(f"the result is a {type(result).__qualname__}, and no bytes: let it be serialised")
        with open(RESULT_FILE, "wb") as file:
            file.write(content)

    def _answer(
        self,
        number: int,
        brings: bytes,
        parts: Sequence[Content],
        run_s: float,
        words: str = "",
        used: tuple[float, int, int] = NO_USE,
    ) -> None:
        flush_output()  # Whoever has the answer may end us.
        if os.getpid() != self._process_id:
            # A process that the call has forked came back here: the call is its parent's to answer.
            os._exit(int(parts[0]) if brings == EXIT else int(brings == EXCEPTION))
        where, said = INLINE, words.encode(errors="replace") if words else b""
        if sum(map(len, parts)) > self._options.inline_bytes:
            path = os.path.join(self._options.spill, f"value-{os.getpid()}-{time.time_ns():x}").encode()
            try:
                with open(path, "wb") as file:
                    file.writelines(parts)  # Those that are large, right from where they lie.
            except OSError:
                if os.path.exists(path):
                    os.unlink(path)  # What was written of it would keep a full disk full.
                raise
            where, parts = AT_PATH, [path]
        if run_s >= self._options.measured_run_s_min:
            used = self._used()
        cpu_s, most_kb, left_kb = used
        head = ANSWER_HEAD.pack(number, brings, where, run_s, cpu_s, most_kb, left_kb, len(said))
        self._answers.answer(b"".join((head, said, *parts)))

    def _used(self) -> tuple[float, int, int]:
        """What the call has used; the most of the next one is counted anew, where the kernel can do that."""
        cpu_s = use.cpu_s() - self._cpu_before_s
        most_kb = left_kb = use.most_kb()
        try:
            left_kb = use.own_kb()
            use.count_most_anew()
        except OSError:
            pass  # Then the most of all calls until now is told, which is too much rather than too little.
        if self._options.fork:
            left_kb = 0  # It goes with this process.
        return max(0.0, cpu_s), max(0, most_kb - self._loaded_kb), max(0, left_kb - self._loaded_kb)
