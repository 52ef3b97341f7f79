"""How does one process that has loaded a library become many: it forks a host whenever its worker asks for one.

What the library has loaded is there once, for all forks: memory is copied when it is written to. Requests come
through a SOCK_SEQPACKET socket as JSON: {"fork": number, "folder"}, with the host's descriptors attached, or
{"kill": number, "signal"}. Answers are JSON too: {"loaded", "why"} (why not it cannot be forked, if so), or
{"failed"} with a line feed and the serialised exception behind it; {"forked": number, "pid"}, {"ended": number,
"code", "cpu_s", "memory_kb"}.
"""

from __future__ import annotations

import array
import gc
import json
import os
import select
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

from vine_function_host import forks
from vine_function_host.channel import Channel
from vine_function_host.failures import dump_exception, text_of
from vine_function_host.host import Host, Options
from vine_function_host.library import load_library
from vine_function_host.words import flush_output, safe_words

if TYPE_CHECKING:
    from vine_function_host.serialiser import Loaded, Serialiser

REQUEST_BYTES_MAX = 16384  # A folder's path and two numbers.
DESCRIPTORS_MAX = 8


class Zygote:
    """Single-threaded, and it runs no calls itself: so its forks are as good as fresh processes."""

    def __init__(self, descriptor: str, serialiser: Serialiser, options: Options) -> None:
        self._control = socket.socket(fileno=int(descriptor))
        self._control.set_inheritable(False)
        self._serialiser = serialiser
        self._options = options
        self._functions: dict[bytes, Loaded] = {}
        self._pids: dict[int, int] = {}  # of the forks that live, by the worker's number
        self._woken, self._wakes = socket.socketpair()

    def serve(self) -> int:
        """Loads, tells how that went, and forks until the worker is gone; returns the exit code."""
        if not self._load():
            return 1
        why = forks.hindrance()
        if why:
            sys.stderr.write(f"vine: this library is not forked, for {why}: each slot loads it for itself\n")
        flush_output()  # Or what loading has printed would be printed once more by each fork.
        self._say({"loaded": True, "why": why})
        gc.collect()
        gc.freeze()  # The garbage collectors of forks need not touch, and so copy, what is here.
        self._take_signals()
        while True:
            for ready in select.select([self._control, self._woken], [], [])[0]:
                if ready is self._woken:
                    self._woken.recv(4096)
                    self._reap()
                elif not self._handle():
                    return 0

    def _load(self) -> bool:
        try:
            self._functions = load_library(self._options.library, self._serialiser)
        except BaseException as error:  # noqa: BLE001 - whatever the user's code raises is why all its calls fail
            sys.stderr.write(text_of(error))
            flush_output()
            raised = dump_exception(self._serialiser, error)
            if len(raised) > self._options.inline_bytes:
                raised = dump_exception(self._serialiser, RuntimeError(safe_words(error)))
            self._say({"failed": safe_words(error)}, raised)
            return False
        return True

    def _say(self, message: dict[str, Any], content: bytes = b"") -> None:
        self._control.send(json.dumps(message).encode() + b"\n" + content)

    def _take_signals(self) -> None:
        for end in (self._woken, self._wakes):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._wakes.fileno(), warn_on_full_buffer=False)

    def _handle(self) -> bool:
        """Does what the worker asks for; False when it is gone."""
        descriptors = array.array("i")
        space = socket.CMSG_SPACE(DESCRIPTORS_MAX * descriptors.itemsize)
        data, attached, _flags, _address = self._control.recvmsg(REQUEST_BYTES_MAX, space)
        if not data:
            return False
        for level, kind, content in attached:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
        request = json.loads(data.decode())
        if "fork" in request:
            self._fork(request, list(descriptors))
        elif request["kill"] in self._pids:
            kill_group(self._pids[request["kill"]], request["signal"])
        return True

    def _fork(self, request: dict[str, Any], descriptors: list[int]) -> None:
        number = request["fork"]
        try:
            child = os.fork()
        except OSError as why:
            self._say({"ended": number, "code": None, "message": str(why), "cpu_s": 0.0, "memory_kb": 0})
            child = -1
        if not child:
            self._become_host(request["folder"], request["spill"], descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        if child > 0:
            self._pids[number] = child
            self._say({"forked": number, "pid": child})

    def _become_host(self, folder: str, spill: str, descriptors: list[int]) -> None:
        """In a fork: runs calls until there are no more. Whatever happens, it does not go on as a zygote."""
        exit_code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for end in (self._control, self._woken, self._wakes):
                end.close()
            os.setsid()
            os.chdir(folder)
            self._options.spill = spill
            forks.settle()
            channel = Channel(",".join(map(str, descriptors)), self._options.frame_bytes)
            exit_code = Host(channel, self._serialiser, self._options, self._functions).serve()
        except BaseException as error:  # noqa: BLE001 - as above
            sys.stderr.write(text_of(error))
        finally:
            flush_output()
            os._exit(exit_code)

    def _reap(self) -> None:
        """Tells which forks have ended. Processes that loading has started are not ours to wait for."""
        for number, pid in list(self._pids.items()):
            # The zombie keeps its pid, and so its group's, until the rest of the group is killed.
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            kill_group(pid, signal.SIGKILL)
            _pid, status, use = os.wait4(pid, 0)
            del self._pids[number]
            code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            cpu_s = use.ru_utime + use.ru_stime
            self._say({"ended": number, "code": code, "cpu_s": cpu_s, "memory_kb": use.ru_maxrss})


def kill_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        try:
            os.kill(pid, number)  # It has not made its own group yet; it is not reaped, so it is this one.
        except (ProcessLookupError, PermissionError):
            return
