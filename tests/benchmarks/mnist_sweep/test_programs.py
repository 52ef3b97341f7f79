"""Programs beside a run are missed when they end, and end with it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.mnist_sweep.programs import Programs
from vine.errors import VineError

# Ends at the end of the pipe that --parent-fd names, as ours do; it heeds no signal.
WATCHER = (
    "import os, signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); "
    "os.read(int(sys.argv[sys.argv.index('--parent-fd') + 1]), 1); os.write(1, b'alone')"
)


def test_all_end_and_what_they_said_is_kept(tmp_path: Path) -> None:
    with Programs(tmp_path / "logs") as programs:
        watcher = programs.start("watcher", [sys.executable, "-c", WATCHER], watching=True)
        sleeper = programs.start("sleeper", ["sleep", "1000"])
        while (tmp_path / "logs" / "watcher.log").read_text() != "up\n":
            programs.check()
    assert not psutil.pid_exists(sleeper) and not psutil.pid_exists(watcher)
    assert (tmp_path / "logs" / "watcher.log").read_text() == "up\nalone"


def test_one_that_ended_is_named_with_its_last_words(tmp_path: Path) -> None:
    with Programs(tmp_path) as programs:
        number = programs.start("server", ["sh", "-c", "echo one; echo 'no such key' >&2; exit 3"])
        os.waitid(os.P_PID, number, os.WEXITED | os.WNOWAIT)
        with pytest.raises(VineError, match=r"server has ended with code 3: no such key \(log: .*server.log\)"):
            programs.check()


def test_a_program_gets_its_variables_and_only_watchers_the_pipe(tmp_path: Path) -> None:
    with Programs(tmp_path) as programs:
        number = programs.start("shell", ["sh", "-c", "echo $0 $# $NAME"], {"NAME": "value"})
        os.waitid(os.P_PID, number, os.WEXITED | os.WNOWAIT)
    assert (tmp_path / "shell.log").read_text() == "sh 0 value\n"


def test_a_program_is_awaited_by_its_word(tmp_path: Path) -> None:
    with Programs(tmp_path) as programs:
        programs.start("server", ["sh", "-c", "echo not ready; echo ready 10.0.0.1; exec sleep 1000"])
        programs.await_word("server", "ready ", 60.0)
        with pytest.raises(VineError, match=r"server has not said 'steady' within 0 s \(log: .*server.log\)"):
            programs.await_word("server", "steady", 0.0)


def test_a_program_that_ends_without_its_word_is_told(tmp_path: Path) -> None:
    with Programs(tmp_path) as programs:
        programs.start("server", ["sh", "-c", "echo address in use; exit 1"])
        with pytest.raises(VineError, match="server has ended with code 1: address in use"):
            programs.await_word("server", "ready", 60.0)
