"""Does the spawner start, watch, protect and end programs?"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vine.errors import VineError
from vine_worker.programs import ProgramEnded, Programs

pytestmark = pytest.mark.live


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    folder = tmp_path / "objects"
    folder.mkdir()
    (folder / "data").write_bytes(b"stored")
    return folder


@pytest.fixture
def programs(objects: Path) -> Iterator[Programs]:
    started = Programs(objects, "auto")
    yield started
    started.close()


def shell(programs: Programs, folder: Path, command: str) -> int:
    null = os.open(os.devnull, os.O_RDWR)
    with (folder / "out").open("wb") as out:
        number = programs.start(
            ["/bin/sh", "-c", command], folder, dict(os.environ), (null, out.fileno(), out.fileno())
        )
    os.close(null)
    return number


def end_of_one(programs: Programs) -> ProgramEnded:
    while True:
        assert select.select([programs], [], [], 20)[0], "no program has ended"
        for ended in programs.receive():
            return ended


def test_a_program_runs_in_its_folder_and_its_exit_code_is_told(programs: Programs, tmp_path: Path) -> None:
    number = shell(programs, tmp_path, "pwd; exit 7")
    assert end_of_one(programs) == ProgramEnded(number, 7)
    assert (tmp_path / "out").read_text() == f"{tmp_path}\n"


def test_a_program_that_cannot_be_started_is_told_with_the_reason(programs: Programs, tmp_path: Path) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    number = programs.start(["/no/such/program"], tmp_path, {}, (null, null, null))
    os.close(null)
    ended = end_of_one(programs)
    assert (ended.number, ended.code) == (number, None)
    assert "/no/such/program" in ended.message


def test_a_program_sees_the_objects_but_cannot_write_to_them(programs: Programs, objects: Path, tmp_path: Path) -> None:
    if not programs.protected:
        assert programs.reason, "why not is told, and the worker checks inputs instead"
        return
    shell(programs, tmp_path, f"cat {objects}/data; echo more >> {objects}/data; rm -f {objects}/data")
    end_of_one(programs)
    said = (tmp_path / "out").read_text()
    assert said.startswith("stored")
    assert said.count("Read-only file system") == 2


def test_objects_that_come_later_are_seen(programs: Programs, objects: Path, tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"later")
    (tmp_path / "new").rename(objects / "new")
    shell(programs, tmp_path, f"cat {objects}/new")
    end_of_one(programs)
    assert (tmp_path / "out").read_text() == "later"


def test_protection_can_be_switched_off(objects: Path, tmp_path: Path) -> None:
    programs = Programs(objects, "check")
    assert not programs.protected
    shell(programs, tmp_path, f"echo more >> {objects}/data")
    assert end_of_one(programs).code == 0
    programs.close()


def test_a_killed_program_takes_its_group_with_it(programs: Programs, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    number = shell(programs, tmp_path, f"sleep 60 & echo $! > {gate}; wait")
    child = gate.read_text().strip()
    programs.kill(number, force=False)
    assert end_of_one(programs) == ProgramEnded(number, -15)
    end_s = time.monotonic() + 20
    while running(child):  # It has its signal, and needs a moment to die of it.
        assert time.monotonic() < end_s, "the child outlives its program"


def test_what_left_its_group_ends_with_its_program_and_not_with_another(programs: Programs, tmp_path: Path) -> None:
    gate, end = tmp_path / "gate", tmp_path / "end"
    os.mkfifo(gate)
    os.mkfifo(end)
    shell(programs, tmp_path, f"setsid sh -c 'echo $$ > {gate}; exec sleep 60' & cat {end}")
    stray = gate.read_text().strip()
    other = tmp_path / "other"
    other.mkdir()
    shell(programs, other, "true")
    end_of_one(programs)
    assert running(stray), "it was taken for a stray of the other program"
    end.write_text("")
    end_of_one(programs)
    programs.close()
    assert not running(stray)


def test_the_end_of_the_spawner_is_not_taken_for_silence(programs: Programs) -> None:
    programs._spawner.kill()
    programs._spawner.wait()
    with pytest.raises(VineError, match="helper program was killed"):
        programs.receive()


def running(pid: str) -> bool:
    """Whether a process lives: a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_many_starts_at_once_do_not_wait_for_their_own_reports(programs: Programs, tmp_path: Path) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    numbers = [programs.start(["/bin/true"], tmp_path, {}, (null, null, null)) for _ in range(600)]
    os.close(null)
    ended: list[ProgramEnded] = []
    while len(ended) < len(numbers):
        waits = [] if programs.has_reports else [programs]
        assert not waits or select.select(waits, [], [], 20)[0], "the spawner and we wait for each other"
        ended += programs.receive()
    assert sorted(end.number for end in ended) == numbers


def test_what_runs_does_not_outlive_a_spawner_that_was_killed(programs: Programs, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    shell(programs, tmp_path, f"setsid sh -c 'echo $$ > {gate}; exec sleep 60' & sleep 60")
    stray = gate.read_text().strip()
    programs._spawner.kill()
    programs._spawner.wait()
    programs.close()
    assert not running(stray)
    assert not sleeping_in(tmp_path)


def sleeping_in(folder: Path) -> list[Path]:
    """The processes whose folder this is."""
    return [path for path in Path("/proc").glob("[0-9]*/cwd") if os.path.realpath(path) == str(folder)]
