"""Are processes known by whose they are, and does all of a family end, however it answers that?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.worker.programs import Held, end_of_one, shell
from vine_worker import families
from vine_worker.programs import Programs


def test_children_are_found_with_and_without_the_kernels_list() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        try:
            assert child.pid in families.children()
            assert sorted(families.children_by_parent()[os.getpid()]) == sorted(families.children())
        finally:
            child.kill()
    assert child.pid not in families.children()


# --- a line of processes: each is the parent of the next, and the last has left its session ---

LINE = """
import os
for _ in range(2):
    if os.fork():
        break
else:
    os.setsid()
    os.write(1, b"!")
os.read(0, 1)
"""


@pytest.fixture
def line() -> Iterator[list[int]]:
    """The pids of three, parents first. They end when we do."""
    with subprocess.Popen(
        [sys.executable, "-c", LINE], bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as first:
        assert first.stdout is not None
        assert first.stdout.read(1) == b"!"
        pids = [first.pid, *families.children(first.pid)]
        yield pids + families.children(pids[-1])
        assert first.stdin is not None
        first.stdin.close()


def listdir_with(monkeypatch: pytest.MonkeyPatch, answer: Callable[[str, list[str]], list[str]]) -> None:
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: answer(path, listdir(path)))


def test_children_are_killed_before_their_parents_for_the_kernel_wakes_who_loses_its_own(
    line: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    kill = os.kill
    killed: list[int] = []

    def told(pid: int, number: int) -> None:
        if number == signal.SIGKILL:
            killed.append(pid)
        kill(pid, number)

    monkeypatch.setattr(os, "kill", told)
    families.kill_family(lambda: line[:1])
    assert killed == line[::-1]


def test_a_kernel_without_lists_is_searched_once_for_all_of_a_family(
    line: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a kernel without lists of children
    exists, read = os.path.exists, families._read
    searches: list[str] = []

    def read_but_lists(path: str) -> bytes:
        if path.endswith("/children"):
            raise FileNotFoundError(path)
        return read(path)

    def counted(path: str, names: list[str]) -> list[str]:
        searches.extend([path] * (path == "/proc"))
        return names

    monkeypatch.setattr(families, "_read", read_but_lists)
    monkeypatch.setattr(os.path, "exists", lambda path: not path.endswith("/children") and exists(path))
    listdir_with(monkeypatch, counted)
    # when a family of three is looked at
    alone = families.is_one_group(line[0])
    # then the last, which is in a group of its own, is found, by one search
    assert not alone
    assert len(searches) == 1


def test_a_look_at_a_family_that_multiplies_as_fast_as_it_is_looked_at_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a family of which each has one more child, and a clock by which each look takes a tenth of the time
    looks: Iterator[int] = count()
    killed: list[int] = []

    def one_more(of: int) -> list[int]:
        assert of < 1000, "it has no end"
        return [of + 1]

    monkeypatch.setattr(families, "_listed_children", one_more)
    monkeypatch.setattr(families, "_can_start_others", lambda _pid: True)
    monkeypatch.setattr(families, "kill", lambda pid, number: number == signal.SIGKILL and not killed.append(pid))
    clock = SimpleNamespace(monotonic=lambda: next(looks) * families.STOPPING_MAX_S / 10)
    monkeypatch.setattr(families, "time", clock)
    # when it is killed, then those that were found are
    families.kill_family(lambda: [1])
    assert killed[-1] == 1


def test_what_hides_its_children_is_killed_all_the_same(line: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(path: str, names: list[str]) -> list[str]:
        if path == f"/proc/{line[0]}/task":  # As with /proc mounted `hidepid=1`.
            raise PermissionError(path)
        return names

    listdir_with(monkeypatch, hidden)
    assert families.children(line[0]) == []
    families.kill_family(lambda: line[:1])
    assert os.waitstatus_to_exitcode(os.waitpid(line[0], 0)[1]) == -signal.SIGKILL


def test_a_thread_that_ends_while_we_look_hides_no_children_of_the_others(
    line: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    listdir_with(monkeypatch, lambda path, names: ["0", *names] if path.endswith("/task") else names)
    assert families.children(line[0]) == line[1:2]


# --- whose they are ---


@pytest.mark.parametrize(("variables", "mark"), [({families.MARK: "7"}, 7), ({families.MARK: "?"}, None), ({}, None)])
def test_a_process_is_known_by_its_mark(variables: dict[str, str], mark: int | None) -> None:
    variables = {"PATH": os.defpath, **variables}
    with subprocess.Popen(["cat"], env=variables, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"?")
        assert child.stdout.read(1) == b"?"  # It has its variables when it runs, which is after Popen returns.
        assert families.mark_of(child.pid) == mark
        child.stdin.close()
        child.wait()
    assert families.mark_of(child.pid) is None, "it is gone"


@pytest.mark.parametrize("error", [PermissionError, ProcessLookupError])
def test_what_runs_as_somebody_else_or_is_gone_ends_nobody_else(
    error: type[OSError], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def refuse(pid: int, number: int) -> None:
        asked.append(number)
        raise error

    monkeypatch.setattr(os, "kill", refuse)
    monkeypatch.setattr(os, "killpg", refuse)
    families.kill(7, signal.SIGKILL)
    families.kill_group(7, signal.SIGTERM)
    assert asked == [signal.SIGKILL, signal.SIGTERM]


def test_what_runs_as_somebody_else_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def refuse(pid: int, number: int) -> None:
        asked.append(number)
        raise PermissionError

    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        monkeypatch.setattr(os, "kill", refuse)
        families.kill_family(lambda: [child.pid])
        assert child.stdin is not None
        child.stdin.close()
    assert asked == [signal.SIGSTOP, signal.SIGKILL]


# --- a family that answers the death of its own by more of them ---

HEADS, BIRTHS_MAX = 5, 50
HYDRA = f"""
import os, sys
held, births = os.open(sys.argv[1], os.O_WRONLY), os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def head(parent_lives):
    os.setsid()
    os.read(parent_lives, 1)  # Until the parent has ended.
    for _ in range(2):
        if os.fstat(births).st_size >= {BIRTHS_MAX}:
            break
        os.write(births, b"x")
        grow(1)
    os.read(os.pipe()[0], 1)  # For ever.

def grow(heads):
    ours, lives = os.pipe()
    for _ in range(heads):
        if not os.fork():
            os.close(lives)
            os.write(held, b"up\\n")
            head(ours)
    os.close(ours)

grow({HEADS})
os.read(os.pipe()[0], 1)
"""


def by_signal(programs: Programs, number: int) -> None:
    programs.kill(number, force=True)
    end_of_one(programs)


def by_the_end_of_the_worker(programs: Programs, number: int) -> None:
    programs.close()


def with_the_spawner(programs: Programs, number: int) -> None:
    programs._spawner.kill()
    programs._spawner.wait()
    programs.close()


@pytest.mark.live
@pytest.mark.parametrize("killed", [by_signal, by_the_end_of_the_worker, with_the_spawner])
def test_what_answers_a_death_by_new_sessions_is_stopped_before_it_can(
    programs: Programs, tmp_path: Path, killed: Callable[[Programs, int], None]
) -> None:
    # given processes, each in a session of its own, that start others when their parent ends
    held, births = Held(tmp_path / "held"), tmp_path / "births"
    (tmp_path / "hydra.py").write_text(HYDRA)
    number = shell(programs, tmp_path, f"exec {sys.executable} hydra.py {held.path} {births}")
    assert [held.wait_for_start(), *(held.next_line() for _ in range(HEADS - 1))] == ["up"] * HEADS
    # when that is killed, which is the parent of all
    killed(programs, number)
    # then all of them end, and none has been started meanwhile
    held.wait_for_end()
    assert births.stat().st_size == 0


@pytest.mark.live
def test_a_line_of_processes_that_leave_their_sessions_and_end_at_once_is_caught_up_with(
    programs: Programs, tmp_path: Path
) -> None:
    held, line = Held(tmp_path / "held"), tmp_path / "line.py"
    line.write_text(
        "import os, sys\nheld = os.open(sys.argv[1], os.O_WRONLY)\nfirst = os.getpid()\n"
        "if os.fork():\n    os.read(os.pipe()[0], 1)\n"
        f"for number in range({BIRTHS_MAX}):\n    os.setsid()\n    number == 5 and os.write(held, b'on\\n')\n"
        "    if os.fork():\n        os._exit(0)\nos.read(os.pipe()[0], 1)\n"
    )
    number = shell(programs, tmp_path, f"exec {sys.executable} line.py {held.path}")
    held.wait_for_start()
    by_signal(programs, number)
    held.wait_for_end()
