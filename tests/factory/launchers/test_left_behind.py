"""Is a process that an earlier factory has noted known again, and no other? (test_local.py has a killed one.)"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.factory.made import plan_in
from tests.waiting import until
from vine.names import WorkerId
from vine_factory.launchers.left_behind import Notes

LEFT = WorkerId("local-1-1")


def test_a_noted_process_is_known_until_it_ends(tmp_path: Path) -> None:
    notes = Notes(plan_in(tmp_path))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        notes.write(LEFT, process.pid, ("GPU-1",))
        [(worker_id, (found, devices))] = notes.left_behind().items()
        assert (worker_id, devices, found.poll()) == (LEFT, ("GPU-1",), None)
        found.terminate()
        until(lambda: found.poll() == 0, "it has ended, whoever is told how")
        found.kill()  # Said too late, it does nothing.
    assert notes.left_behind() == {}
    assert not list((tmp_path / "scratch").glob("*.process"))


def test_a_process_that_only_has_the_number_of_a_worker_that_was_left_is_let_alone(tmp_path: Path) -> None:
    notes = Notes(plan_in(tmp_path))
    notes.write(LEFT, os.getpid(), ())
    assert list(notes.left_behind()) == [LEFT]
    [note] = (tmp_path / "scratch").glob("*.process")
    note.write_text(re.sub(r'"began_s":[0-9.]+', '"began_s":5.0', note.read_text()))
    assert notes.left_behind() == {}
    assert not note.exists()


def test_a_note_of_another_factory_or_one_that_was_cut_is_nobodys(tmp_path: Path) -> None:
    notes = Notes(plan_in(tmp_path))
    notes.write(WorkerId("local-2-1-1"), os.getpid(), ())  # of the factory local-2
    notes.write(LEFT, os.getpid(), ())
    mine = tmp_path / "scratch" / f"vine.run.{LEFT}.process"
    mine.write_text(mine.read_text()[:10])
    assert notes.left_behind() == {}
    assert [path.name for path in (tmp_path / "scratch").glob("*.process")] == ["vine.run.local-2-1-1.process"]
