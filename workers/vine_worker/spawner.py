"""Who starts the commands, interpreters and function hosts: one small process with its own view of the mounts.

The worker starts this file before anything else. Where the kernel allows it, its mount namespace shows the
store's objects read-only, and so does everything that it starts. It watches what it started, and when its
worker is gone, it kills all of it. It needs nothing but the standard library and `families.py`, and it has one thread.

A request is `<II` (bytes of what follows, number of file descriptors), with the descriptors attached, then, as
`marshal` writes it for the same interpreter to read, {"start": number, "argv", "folder", "variables", "without",
"after"}, {"kill": number, "signal"} or {"take_back": number}. A program that is to start after another one starts at
once where that has ended; until it does, it can be taken back, which is reported as {"returned"}. Programs have our
own variables, but for those that the request sets, and those that they are to be without. The first three
descriptors become the standard streams, others are kept, and `{fd}` in argv becomes their numbers. Reports are
framed alike: {"started", "pid"}, {"failed", "message"}, {"ended", "code", "cpu_s", "memory_kb", "alone"}: processor
seconds of the program and the processes that it has waited for, the memory of the largest of them at its most, and
whether no process is left that any program which has ended has started.
"""

from __future__ import annotations

import array
import ctypes
import errno
import marshal
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from functools import partial
from typing import Any

if __name__ == "__main__":  # Started by its path, by an interpreter that looks for modules nowhere else.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from vine_worker.families import MARK, children, is_one_group, kill_family, kill_group, mark_of

HEAD = struct.Struct("<II")
DESCRIPTORS_MAX = 8
STARTED_TOLD_S = 0.05  # That a program has started is told so much later, and not at all if it has ended by then.

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_SLAVE = 1, 32, 4096, 16384, 1 << 19
PR_SET_CHILD_SUBREAPER = 36


def send(channel: socket.socket, message: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
    """One framed message; the descriptors travel with its head."""
    frame, attached = framed(message, descriptors)
    sent = channel.sendmsg([frame], attached)
    if sent < len(frame):
        channel.sendall(frame[sent:])


def framed(message: dict[str, Any], descriptors: tuple[int, ...]) -> tuple[bytes, list[Any]]:
    """The bytes of a message, and what is to be attached to the first of them."""
    body = marshal.dumps(message)
    attached = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    return HEAD.pack(len(body), len(descriptors)) + body, attached


def loaded(body: bytes | bytearray) -> dict[str, Any]:
    return marshal.loads(body)  # type: ignore[no-any-return] # noqa: S302 - no program has this socket, only we two


def receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """The next message with its descriptors; None when the other end is gone."""
    head = b""
    descriptors = array.array("i")
    space = socket.CMSG_SPACE(DESCRIPTORS_MAX * descriptors.itemsize)
    while len(head) < HEAD.size:
        data, attached, _flags, _address = channel.recvmsg(HEAD.size - len(head), space)
        if not data:
            return None
        head += data
        for level, kind, content in attached:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
    length, count = HEAD.unpack(head)
    assert count == len(descriptors), "descriptors were lost on the way"
    body = bytearray()
    while len(body) < length:
        data = channel.recv(min(length - len(body), 1 << 16))
        if not data:
            return None
        body += data
    return loaded(body), list(descriptors)


# --- the mounts ----------------------------------------------------------------------------------


class Kernel:
    """The system calls that Python 3.10 does not have."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)

    def unshare(self, flags: int) -> None:
        self._check(self._library.unshare(flags), "unshare")

    def mount(self, source: str | None, target: str, flags: int) -> None:
        origin = None if source is None else os.fsencode(source)
        result = self._library.mount(origin, os.fsencode(target), None, ctypes.c_ulong(flags), None)
        self._check(result, "mount")

    def become_subreaper(self) -> None:
        self._check(self._library.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")

    @staticmethod
    def _check(result: int, name: str) -> None:
        if result != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{name}: {os.strerror(number)}")


def protect(kernel: Kernel, folder: str) -> None:
    """Makes the folder read-only for this process and all that it starts; OSError where that cannot be."""
    folder = os.path.realpath(folder)
    try:
        kernel.unshare(CLONE_NEWNS)
    except OSError as why:
        if why.errno != errno.EPERM:
            raise
        enter_user_namespace(kernel)
    # Slave, not private: file systems that the host mounts later are to be seen here too.
    kernel.mount(None, "/", MS_REC | MS_SLAVE)
    kernel.mount(folder, folder, MS_BIND)
    kernel.mount(None, folder, MS_REMOUNT | MS_BIND | MS_RDONLY | kept_flags(folder))
    check_protected(folder)


def enter_user_namespace(kernel: Kernel) -> None:
    """The way for those who are not root: a namespace in which they may mount, with their own ids unchanged."""
    user, group = os.geteuid(), os.getegid()
    kernel.unshare(CLONE_NEWUSER | CLONE_NEWNS)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def kept_flags(folder: str) -> int:
    """The mount's nosuid, nodev and noexec: a user namespace may not take them off. (Access times are kept unasked.)"""
    flags = os.statvfs(folder).f_flag
    named = ((os.ST_NOSUID, 2), (os.ST_NODEV, 4), (os.ST_NOEXEC, 8))
    return sum(mount_flag for flag, mount_flag in named if flags & flag)


def check_protected(folder: str) -> None:
    probe = os.path.join(folder, ".probe")
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as why:
        if why.errno == errno.EROFS:
            return
        raise
    os.unlink(probe)
    raise OSError(errno.EPERM, "the read-only mount can be written to")


# --- the processes -------------------------------------------------------------------------------


class Spawner:
    """Starts, watches and kills on request; one process group for each."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._processes: dict[int, subprocess.Popen[bytes]] = {}  # by pid
        self._pids: dict[int, int] = {}  # by the worker's number
        self._numbers: dict[int, int] = {}  # by pid
        self._waiting: dict[int, tuple[dict[str, Any], list[int]]] = {}  # to be started, by whose end that is
        self._untold: dict[int, int] = {}  # what has started: numbers, with pids
        self._tell_at_s = 0.0
        self._variables = dict(os.environ)
        self._woken, self._wakes = socket.socketpair()
        self._take_signals()

    def _take_signals(self) -> None:
        self._wakes.setblocking(False)
        self._woken.setblocking(False)
        signal.set_wakeup_fd(self._wakes.fileno(), warn_on_full_buffer=False)
        # The worker decides when the end is; its death is heard as EOF. Handlers that do nothing, not SIG_IGN:
        # what is ignored here would be ignored in every program too.
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda _number, _frame: None)

    def run(self) -> None:
        """Serves the worker until it is gone, then leaves nothing behind."""
        poll = select.poll()
        for readable in (self._channel, self._woken):
            poll.register(readable, select.POLLIN)
        try:
            while self._serve(poll.poll(self._patience_ms())):
                if self._untold and time.monotonic() >= self._tell_at_s:
                    self._tell_started()
        except (BrokenPipeError, ConnectionResetError):
            pass  # The worker is gone: that is what the next lines are for.
        finally:
            self._kill_all()

    def _patience_ms(self) -> float | None:
        return max(0.0, self._tell_at_s - time.monotonic()) * 1e3 if self._untold else None

    def _tell_started(self) -> None:
        untold, self._untold = self._untold, {}
        for number, pid in untold.items():
            send(self._channel, {"started": number, "pid": pid})

    def _serve(self, ready: list[tuple[int, int]]) -> bool:
        for descriptor, _events in ready:
            if descriptor == self._woken.fileno():
                self._woken.recv(4096)
                self._reap()
            else:
                request = receive(self._channel)
                if request is None:
                    return False
                self._handle(*request)
        return True

    def _handle(self, request: dict[str, Any], descriptors: list[int]) -> None:
        if "start" in request:
            after = request.get("after")
            if after in self._pids:
                self._waiting[after] = request, descriptors
            else:
                self._start(request, descriptors)
        elif "take_back" in request:
            self._take_back(request["take_back"])
        else:
            number, pid = request["kill"], self._pids.get(request["kill"])
            if pid is not None and request["signal"] == signal.SIGKILL:
                self._kill(number, pid)
            elif pid is not None:
                kill_group(pid, request["signal"])  # Not reaped yet, so the group is still this one.

    def _kill(self, number: int, pid: int) -> None:
        """All of a program, of which some may have left its group."""
        if self._strays_of(number) or not is_one_group(pid):
            kill_family(lambda: [pid, *self._strays_of(number)])
        kill_group(pid)

    def _take_back(self, number: int) -> None:
        """What runs already stays: the end of the one before it says so."""
        for before, (request, descriptors) in self._waiting.items():
            if request["start"] == number:
                del self._waiting[before]
                for descriptor in descriptors:
                    os.close(descriptor)
                send(self._channel, {"returned": number})
                return

    def _start_next(self, number: int) -> None:
        """What was to start after this one."""
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            self._start(*waiting)

    def _start(self, request: dict[str, Any], descriptors: list[int]) -> None:
        number = request["start"]
        standard_input, output, errors, *kept = descriptors
        argv = request["argv"]
        if kept:  # Their numbers are known only here.
            numbers = ",".join(map(str, kept))
            argv = [numbers if part == "{fd}" else part for part in argv]
        try:
            process = subprocess.Popen(
                argv,
                stdin=standard_input,
                stdout=output,
                stderr=errors,
                cwd=request["folder"],
                env=self._variables_for(request, number),
                pass_fds=kept,
                start_new_session=True,
            )
        except (OSError, ValueError) as why:
            send(self._channel, {"failed": number, "message": str(why)})
        else:
            self._processes[process.pid] = process
            self._pids[number] = process.pid
            self._numbers[process.pid] = number
            if not self._untold:
                self._tell_at_s = time.monotonic() + STARTED_TOLD_S
            self._untold[number] = process.pid
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _variables_for(self, request: dict[str, Any], number: int) -> dict[str, str]:
        variables = {**self._variables, **request["variables"], MARK: str(number)}
        for name in request["without"]:
            variables.pop(name, None)
        return variables

    def _reap(self) -> None:
        strays = False  # Perhaps.
        while True:
            try:
                # The zombie keeps its pid, and so its group's, until the rest of the group is killed.
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                if strays:
                    self._kill_strays()
                return
            # What it has left, whatever that is a child of, has an ancestor that has become our own child.
            alone = {*self._processes, ended.si_pid} >= set(children())
            strays = strays or not alone
            process = self._processes.pop(ended.si_pid, None)
            if process is not None:
                number = self._numbers.pop(ended.si_pid)
                if not alone:
                    kill_family(partial(self._strays_of, number))
                kill_group(ended.si_pid)  # And what hides whose it is.
            _pid, status, use = os.wait4(ended.si_pid, 0)
            if process is not None:
                process.returncode = os.waitstatus_to_exitcode(status)
                del self._pids[number]
                self._untold.pop(number, None)
                self._start_next(number)
                cpu_s = use.ru_utime + use.ru_stime
                report = {"ended": number, "code": process.returncode, "cpu_s": cpu_s, "memory_kb": use.ru_maxrss}
                send(self._channel, {**report, "alone": alone})

    def _strays(self) -> dict[int, int]:
        """What has left the group of its program, and lost its parents, is our child: whose it is, by pid."""
        marks = {pid: mark_of(pid) for pid in children() if pid not in self._processes}
        return {pid: mark for pid, mark in marks.items() if mark is not None}

    def _strays_of(self, number: int) -> list[int]:
        return [pid for pid, mark in self._strays().items() if mark == number]

    def _kill_strays(self) -> None:
        """Kills what is left of programs that have ended."""
        kill_family(lambda: [pid for pid, mark in self._strays().items() if mark not in self._pids])

    def _kill_all(self) -> None:
        while True:
            kill_family(children)
            try:
                os.waitpid(-1, 0)
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return


def main() -> None:
    descriptor, mode, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    channel = socket.socket(fileno=descriptor)
    channel.set_inheritable(False)
    os.setsid()  # A Ctrl-C at the terminal is the worker's to handle.
    kernel = Kernel()
    kernel.become_subreaper()
    protected, reason = False, "protection was switched off"
    if mode != "check":
        try:
            protect(kernel, folder)
            protected, reason = True, ""
        except OSError as why:
            reason = str(why)
    serving = Spawner(channel)
    send(channel, {"protected": protected, "reason": reason})
    serving.run()


if __name__ == "__main__":
    main()
