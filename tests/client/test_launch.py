"""Do the programs that the client starts say why they failed, and end with it?"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from vine import errors
from vine.client import launch
from vine.client.manager import Manager

pytestmark = pytest.mark.live

UNTIL_THE_LIFELINE_IS_CUT = """
    import os, sys
    print("ready here", flush=True)
    print("started well", file=sys.stderr, flush=True)
    os.read(int(sys.argv[sys.argv.index("--parent-fd") + 1]), 1)
    sys.exit(5)
"""


def program(folder: Path, text: str, lifeline: launch.Lifeline) -> launch.Program:
    (folder / "scripted.py").write_text(textwrap.dedent(text))
    log = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - the program closes it
    return launch.Program(["scripted"], lifeline, log, {"PYTHONPATH": str(folder)})


def test_a_program_ends_when_the_lifeline_is_cut_and_its_last_words_are_kept(tmp_path: Path) -> None:
    lifeline = launch.Lifeline()
    started = program(tmp_path, UNTIL_THE_LIFELINE_IS_CUT, lifeline)
    assert started.first_line(30) == "ready here"
    ended = threading.Event()
    started.watch(ended.set)
    lifeline.cut()
    assert ended.wait(30)
    assert started.last_words() == "exit code 5: started well"
    started.stop(0)
    assert started.exit_code == 5


def test_a_program_that_does_not_end_by_itself_is_stopped(tmp_path: Path) -> None:
    # given one that rests for ever, as far as a test goes
    lifeline = launch.Lifeline()
    started = program(tmp_path, "import time\nprint('ready', flush=True)\ntime.sleep(600)", lifeline)
    assert started.first_line(30) == "ready"
    started.stop(0)
    assert started.exit_code == -15
    lifeline.cut()


def test_a_killed_client_takes_its_programs_along(tmp_path: Path) -> None:
    (tmp_path / "client.py").write_text(
        textwrap.dedent(
            f"""
            import os, sys, tempfile
            sys.path[:0] = {[p for p in sys.path if p]!r}
            from vine.client import launch
            lifeline = launch.Lifeline()
            log = tempfile.TemporaryFile()
            started = launch.Program(["scripted"], lifeline, log, {{"PYTHONPATH": {str(tmp_path)!r}}})
            started.first_line(30)
            if os.fork() == 0:  # A forked child that lives on does not keep them either.
                sys.stdin.read()
                os._exit(0)
            print(started.pid, flush=True)
            os.kill(os.getpid(), 9)
            """
        )
    )
    (tmp_path / "scripted.py").write_text(
        "import os, sys\nprint('ready', flush=True)\nos.read(int(sys.argv[-1]), 1)\nopen('ended', 'w').close()\n"
    )
    client = subprocess.Popen(
        [sys.executable, "client.py"], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert client.stdout is not None
    assert client.stdin is not None
    pid = int(client.stdout.readline())
    assert client.wait(30) == -9
    handle = os.pidfd_open(pid) if os.path.exists(f"/proc/{pid}") else None
    if handle is not None:
        import select

        assert select.select([handle], [], [], 30)[0]
        os.close(handle)
    assert (tmp_path / "ended").exists()
    client.stdin.close()
    client.stdout.close()


@pytest.mark.parametrize(
    ("code", "kind"), [(2, errors.UsageError), (3, errors.CannotBind), (6, errors.DiskFull), (1, errors.ManagerLost)]
)
def test_a_manager_that_cannot_start_says_why_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[errors.VineError]
) -> None:
    stand_in = tmp_path / "failing"
    stand_in.write_text(f"#!/bin/sh\necho 'vine-manager: it cannot, do this' >&2\nexit {code}\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stand_in))
    lifeline = launch.Lifeline()
    with pytest.raises(kind) as caught:
        launch.start_manager(lifeline, str(tmp_path), "127.0.0.1", 0, None)
    assert str(caught.value) == (
        f"the manager could not be started (exit code {code}: vine-manager: it cannot, do this)"
    )
    lifeline.cut()


def test_local_workers_find_the_modules_beside_the_script_but_not_its_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = tmp_path / "script_folder"
    beside.mkdir()
    monkeypatch.setattr(sys, "path", [str(beside), f"{sys.prefix}/lib/python/site-packages", "/no/such/folder"])
    monkeypatch.setenv("PYTHONPATH", "/given")
    assert launch.own_module_path() == f"{beside}{os.pathsep}/given"


@pytest.mark.parametrize(
    ("port", "text"), [(0, "0"), (9123, "9123"), ([9000, 9100], "9000-9100"), ((5, 5), "5-5"), (range(7, 10), "7-9")]
)
def test_a_port_is_one_or_the_lowest_and_the_highest(port: launch.Port, text: str) -> None:
    assert launch._port_text(port) == text


@pytest.mark.parametrize("port", [-1, 70_000, True, "9123", [9100, 9000], [1, 2, 3], [], [1.5, 2], None])
def test_a_port_that_cannot_be_meant_is_refused(port: Any) -> None:
    with pytest.raises(errors.UsageError, match=r"is none: give a number from 0"):
        launch._port_text(port)


def test_of_a_range_of_ports_the_first_free_one_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        low = taken.getsockname()[1]
        with Manager(port=[low, low + 100], run_info_path=tmp_path / "runs") as manager:
            assert low < manager.port <= low + 100
        with pytest.raises(errors.CannotBind, match=f"no port from {low} to {low}|{low}"):
            Manager(port=[low, low], run_info_path=tmp_path / "runs")
