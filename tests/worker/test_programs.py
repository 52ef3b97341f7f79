"""Does the worker's end of the spawner start programs, and hear of every end, its own helper's too?"""

from __future__ import annotations

import os
import select
import signal
import sys
from pathlib import Path

import pytest

from tests.worker.programs import Held, end_of_one, ends_of, shell
from vine.errors import VineError
from vine_worker.programs import ProgramEnded, Programs, open_null

pytestmark = pytest.mark.live


def test_a_program_runs_in_its_folder_and_its_exit_code_is_told(programs: Programs, tmp_path: Path) -> None:
    number = shell(programs, tmp_path, "pwd; exit 7")
    assert end_of_one(programs) == ProgramEnded(number, 7)
    assert (tmp_path / "out").read_text() == f"{tmp_path}\n"


def test_a_program_has_the_variables_that_it_was_given_and_no_other(programs: Programs, tmp_path: Path) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    with (tmp_path / "out").open("wb") as out:
        programs.start(["/usr/bin/env"], tmp_path, {"COLOUR": "red"}, (null, out.fileno(), null))
    os.close(null)
    assert end_of_one(programs).code == 0
    names = {line.partition("=")[0] for line in (tmp_path / "out").read_text().splitlines()}
    assert names == {"COLOUR", "VINE_PROGRAM"}


def test_the_pid_of_a_program_is_known_though_it_does_not_end(programs: Programs, tmp_path: Path) -> None:
    number = shell(programs, tmp_path, "exec sleep 60")
    while number not in programs.pids:
        assert select.select([programs], [], [], 20)[0], "nothing is said of its start"
        programs.receive()
    os.kill(programs.pids[number], signal.SIGKILL)
    assert end_of_one(programs).code == -signal.SIGKILL
    assert not programs.pids


def test_a_program_that_cannot_be_started_is_told_with_the_reason(programs: Programs, tmp_path: Path) -> None:
    null = open_null()
    number = programs.start(["/no/such/program"], tmp_path, {}, (null, null, null))
    os.close(null)
    ended = end_of_one(programs)
    assert (ended.number, ended.code) == (number, None)
    assert "/no/such/program" in ended.message


def test_a_report_that_does_not_come_in_one_piece_is_put_together(programs: Programs, tmp_path: Path) -> None:
    null = open_null()
    long = "/no/such/" + "x" * 300_000
    programs.start([long], tmp_path, {}, (null, null, null))
    os.close(null)
    assert long in end_of_one(programs).message


def test_every_one_of_many_ends_is_told(programs: Programs, tmp_path: Path) -> None:
    codes = {shell(programs, tmp_path, f"exit {code}"): code for code in range(20)}
    assert {ended.number: ended.code for ended in ends_of(programs, len(codes))} == codes


def test_one_that_ignores_being_asked_ends_when_it_is_made_to(programs: Programs, tmp_path: Path) -> None:
    held = Held(tmp_path / "held")
    number = shell(programs, tmp_path, f"trap '' TERM; exec > {held.path}; echo up; exec sleep 60")
    assert held.wait_for_start() == "up"
    programs.kill(number, force=False)
    programs.kill(number, force=True)
    assert end_of_one(programs) == ProgramEnded(number, -signal.SIGKILL)
    held.wait_for_end()


def test_to_kill_what_has_ended_harms_nobody(programs: Programs, tmp_path: Path) -> None:
    number = shell(programs, tmp_path, "true")
    end_of_one(programs)
    programs.kill(number, force=True)
    again = shell(programs, tmp_path, "exit 3")
    assert end_of_one(programs) == ProgramEnded(again, 3)


def test_protection_can_be_switched_off(objects: Path, tmp_path: Path) -> None:
    programs = Programs(objects, "check")
    assert not programs.protected
    shell(programs, tmp_path, f"echo more >> {objects}/data")
    assert end_of_one(programs).code == 0
    programs.close()


def test_the_end_of_the_spawner_is_not_taken_for_silence(programs: Programs) -> None:
    programs._spawner.kill()
    programs._spawner.wait()
    with pytest.raises(VineError, match="helper program was killed"):
        programs.receive()


def test_a_helper_program_that_cannot_run_is_told_at_once(objects: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(VineError, match="/bin/false could not run"):
        Programs(objects, "auto")


def test_many_starts_at_once_do_not_wait_for_their_own_reports(programs: Programs, tmp_path: Path) -> None:
    null = open_null()
    numbers = [programs.start(["/bin/true"], tmp_path, {}, (null, null, null)) for _ in range(600)]
    os.close(null)
    ended = programs.receive()  # What came while there was no room for more starts.
    while len(ended) < len(numbers):
        assert select.select([programs], [], [], 20)[0], "the spawner and we wait for each other"
        ended += programs.receive()
    assert sorted(end.number for end in ended) == numbers


def test_what_runs_does_not_outlive_a_spawner_that_was_killed(programs: Programs, tmp_path: Path) -> None:
    stray = Held(tmp_path / "stray")
    shell(programs, tmp_path, f"setsid sh -c 'exec 9>{stray.path}; echo >&9; exec sleep 60' & sleep 60")
    stray.wait_for_start()
    programs._spawner.kill()
    programs._spawner.wait()
    programs.close()
    stray.wait_for_end()


def test_a_program_that_is_to_follow_another_starts_when_that_ends(programs: Programs, tmp_path: Path) -> None:
    go = Held(tmp_path / "go")
    first = shell(programs, tmp_path, f"cat {go.path}; echo first >> {tmp_path}/order")
    second = shell(programs, tmp_path, f"echo second >> {tmp_path}/order", after=first)
    third = shell(programs, tmp_path, "true")
    assert end_of_one(programs).number == third, "the second has not begun"
    go.path.write_text("")
    assert [end.number for end in ends_of(programs, 2)] == [first, second]
    assert (tmp_path / "order").read_text() == "first\nsecond\n"
    late = shell(programs, tmp_path, "exit 7", after=first)
    assert end_of_one(programs) == ProgramEnded(late, 7), "what it was to follow has ended long ago"


def test_a_program_that_waits_for_another_can_be_taken_back_and_one_that_runs_cannot(
    programs: Programs, tmp_path: Path
) -> None:
    go = Held(tmp_path / "go")
    first = shell(programs, tmp_path, f"cat {go.path}")
    second = shell(programs, tmp_path, f"touch {tmp_path}/begun", after=first)
    programs.take_back(first)
    programs.take_back(second)
    assert end_of_one(programs) == ProgramEnded(second, None, begun=False)
    go.path.write_text("")
    assert end_of_one(programs) == ProgramEnded(first, 0)
    assert not (tmp_path / "begun").exists()
