"""How does the client start a manager and a factory, and make sure that they end with it?"""

from __future__ import annotations

import collections
import contextlib
import os
import select
import site
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import IO

from vine import config, errors

Port = int | Sequence[int]  # one, or the lowest and the highest that may be taken

_lifelines: weakref.WeakSet[Lifeline] = weakref.WeakSet()
_READY = "ready "


class Lifeline:
    """A pipe whose only writing end is ours: those who hold the other end see its end when we are gone."""

    def __init__(self) -> None:
        self.read_fd, write_fd = os.pipe()  # Neither is inherited unless named in `pass_fds`.
        self._open = [self.read_fd, write_fd]
        _lifelines.add(self)

    def cut(self) -> None:
        """All programs that hold on to it are to end. Several threads may find the reason for it at once."""
        self.read_fd = -1
        with contextlib.suppress(IndexError):
            while True:
                os.close(self._open.pop())


def _drop_lifelines() -> None:
    # A forked child that kept the writing end open would keep a dead client's programs alive.
    for lifeline in list(_lifelines):
        lifeline.cut()


os.register_at_fork(after_in_child=_drop_lifelines)


class Program:
    """One started process: its first line of output, its last line of complaint, its end."""

    def __init__(
        self,
        arguments: Sequence[str],
        lifeline: Lifeline,
        log: IO[bytes],
        variables: dict[str, str],
        end_s: float = config.run_end_s,
    ) -> None:
        """`end_s` is how long it may take to end when it was asked to by a signal."""
        self._log = log
        self._end_s = end_s
        self._process = subprocess.Popen(
            [sys.executable, "-m", *arguments, "--parent-fd", str(lifeline.read_fd)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            pass_fds=(lifeline.read_fd,),
            env={**os.environ, **variables},
            # A Ctrl-C at the terminal is the client's to handle: it must not end the run under its hands.
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._on_exit: Callable[[], None] | None = None
        self._watcher = threading.Thread(target=self._watch, name=f"vine-watch-{self.pid}", daemon=True)

    def first_line(self, timeout_s: float) -> str | None:
        """What it says first; "" if it ends before, None if the time is up."""
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        deadline = time.monotonic() + timeout_s
        line = b""
        while not line.endswith(b"\n"):
            readable, _, _ = select.select([fd], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                return None
            part = os.read(fd, 1)
            if not part:
                return ""
            line += part
        return line.decode(errors="replace").strip()

    def watch(self, on_exit: Callable[[], None]) -> None:
        """Call this, on a thread of its own, when the process has ended."""
        self._on_exit = on_exit
        self._watcher.start()

    def stop(self, patience_s: float) -> None:
        """Wait for its own end so long, then ask by signal, then insist."""
        steps: list[tuple[float, Callable[[], None]]] = [
            (patience_s, self._process.terminate),
            (self._end_s, self._process.kill),
        ]
        for wait_s, signal in steps:
            try:
                self._process.wait(wait_s)
                break
            except subprocess.TimeoutExpired:
                signal()
        self._process.wait()
        if self._watcher.is_alive() and threading.current_thread() is not self._watcher:
            self._watcher.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def last_words(self) -> str:
        """Its exit and the last line that it wrote to stderr, for an error message."""
        code = self._process.wait()
        how = f"exit code {code}" if code >= 0 else f"signal {-code}"
        # The file is shared with the process, so its position is at the end; pread leaves it there.
        size = os.fstat(self._log.fileno()).st_size
        tail = os.pread(self._log.fileno(), 8192, max(0, size - 8192)).decode(errors="replace")
        lines = [line.strip() for line in tail.splitlines() if line.strip()]
        return f"{how}: {lines[-1]}" if lines else how

    def _watch(self) -> None:
        assert self._process.stdout is not None
        collections.deque(self._process.stdout, maxlen=0)  # Whatever it says must not fill the pipe.
        self._process.wait()
        if self._on_exit is not None:
            self._on_exit()


_CODE_ERRORS: dict[int, type[errors.VineError]] = {
    errors.ExitCode.USAGE: errors.UsageError,
    errors.ExitCode.CANNOT_BIND: errors.CannotBind,
    errors.ExitCode.NO_SPACE: errors.DiskFull,
}


def start_manager(
    lifeline: Lifeline, run_info_path: str, host: str, port: Port, name: str | None
) -> tuple[Program, str]:
    """A running manager, and the path of its connection file."""
    arguments = ["--run-info-path", run_info_path, "--bind", f"{host}:{_port_text(port)}"]
    return _manager(lifeline, arguments + (["--name", name] if name else []), run_info_path)


def restart_manager(lifeline: Lifeline, run_dir: str) -> Program:
    """The manager of a run that has lost the one which it had."""
    return _manager(lifeline, ["--run-dir", run_dir], run_dir)[0]


def _manager(lifeline: Lifeline, options: Sequence[str], folder: str) -> tuple[Program, str]:
    arguments = ["vine.manager.main", *options]
    log = tempfile.TemporaryFile(prefix="vine-manager-")  # noqa: SIM115 - lives as long as the program
    program = Program(arguments, lifeline, log, {})
    line = program.first_line(config.manager_start_timeout_s)
    if line is not None and line.startswith(_READY):
        return program, line[len(_READY) :]
    if line is None:
        program.stop(0)
        raise errors.ManagerLost(
            f"the manager was not ready after {config.manager_start_timeout_s:g} s: "
            f"look whether {os.path.abspath(folder)} answers, and try again"
        )
    if line:
        program.stop(0)
    words = program.last_words()
    kind = _CODE_ERRORS.get(program.exit_code or 0, errors.ManagerLost)
    program.stop(0)
    raise kind(f"the manager could not be started ({words})")


def _port_text(port: Port) -> str:
    """As `vine-manager --bind` has it."""
    numbers = [port] if isinstance(port, int) else list(port) if isinstance(port, (list, tuple, range)) else []
    ends = (numbers[0], numbers[-1]) if isinstance(port, range) and numbers else tuple(numbers)
    usable = all(isinstance(number, int) and not isinstance(number, bool) for number in ends)
    if not usable or len(ends) not in (1, 2) or not 0 <= ends[0] <= ends[-1] <= 65535:
        raise errors.UsageError(f"port={port!r} is none: give a number from 0, any free one, to 65535, or [low, high]")
    return "-".join(map(str, ends)) if ends[0] else "0"


def start_factory(lifeline: Lifeline, connection_file: str, log_path: str, options: Sequence[str]) -> Program:
    """A factory that starts; its workers find the modules that the client's script finds beside itself."""
    log = open(log_path, "ab+")  # noqa: SIM115 - lives as long as the program
    arguments = ["vine_factory.main", "--connection", connection_file, *options]
    # It ends its jobs first, and a command of the batch system may be under way.
    end_s = config.batch_command_max_s + config.batch_release_max_s + config.run_end_s
    return Program(arguments, lifeline, log, {"PYTHONPATH": own_module_path()}, end_s)


def own_module_path() -> str:
    """PYTHONPATH for local workers: the folders that hold the user's own modules, then what it was."""
    libraries = [*site.getsitepackages(), site.getusersitepackages(), sys.prefix, sys.base_prefix, sys.exec_prefix]
    folders = [os.path.abspath(entry) for entry in sys.path if os.path.isdir(entry or os.curdir)]
    own = [folder for folder in folders if not any(_is_below(folder, library) for library in libraries)]
    given = [os.path.abspath(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return os.pathsep.join(dict.fromkeys([*own, *given]))


def _is_below(folder: str, parent: str) -> bool:
    return folder == parent or folder.startswith(parent.rstrip(os.sep) + os.sep)
