"""Is what the processes of a body use seen, however they try to leave it?"""

from __future__ import annotations

import os
import queue
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.worker.assignments import ONE, assignment
from tests.worker.programs import Held, shell
from vine.wire.parts import Assignment, Limits, Measured, TaskKind
from vine_worker import actions as act
from vine_worker.bodies import Bodies
from vine_worker.functions.calls import CallWriter
from vine_worker.functions.hosts import Hosts
from vine_worker.functions.zygotes import Zygotes
from vine_worker.places import Places
from vine_worker.programs import Programs
from vine_worker.resources import Grant
from vine_worker.sandbox import disk_bytes
from vine_worker.usage import Census, Usage, private_bytes, shared_once_bytes

pytestmark = pytest.mark.live

MB = 1_000_000
HOG = f"{sys.executable} -c 'import sys, time; hog = bytearray(60_000_000); print(1, flush=True); time.sleep(600)'"


def pid_of(programs: Programs, number: int) -> int:
    while number not in programs.pids:
        programs.receive()
    return programs.pids[number]


def test_the_memory_of_all_processes_of_a_program_counts(programs: Programs, tmp_path: Path) -> None:
    pipe = Held(tmp_path / "pipe")
    number = shell(programs, tmp_path, f"({HOG}) > pipe & ({HOG}) > pipe & wait")
    pipe.wait_for_start()
    pipe.next_line()
    census = Census(programs.spawner_pid)
    family = census.families({number: pid_of(programs, number)})[number]
    assert len(family.members) >= 3
    assert family.memory_bytes > 120 * MB
    assert shared_once_bytes(family.members) <= family.memory_bytes


def test_what_a_fork_shares_with_the_process_that_it_comes_from_is_not_its_own(
    programs: Programs, tmp_path: Path
) -> None:
    pipe = Held(tmp_path / "pipe")
    body = "import os, time; shared = bytearray(60_000_000); own = b'' if os.fork() else bytearray(20_000_000)"
    shell(
        programs,
        tmp_path,
        f'{sys.executable} -c "{body}; own and print(os.getpid(), flush=True); time.sleep(600)" > pipe',
    )
    fork = int(pipe.wait_for_start())
    assert 20 * MB < private_bytes([fork]) < 40 * MB


def test_a_process_that_leaves_its_session_and_loses_its_parent_is_found(programs: Programs, tmp_path: Path) -> None:
    pipe = Held(tmp_path / "pipe")
    number = shell(programs, tmp_path, f"(setsid {HOG} > pipe &); sleep 600")
    pipe.wait_for_start()
    family = Census(programs.spawner_pid).families({number: pid_of(programs, number)})[number]
    assert family.memory_bytes > 60 * MB


def test_what_is_resident_of_files_that_are_mapped_does_not_count(programs: Programs, tmp_path: Path) -> None:
    pipe = Held(tmp_path / "pipe")
    (tmp_path / "data").write_bytes(b"x" * 60 * MB)
    text = "f = open('data', 'rb'); m = mmap.mmap(f.fileno(), 0, prot=1); print(sum(m[::4096]), flush=True)"
    text += "; time.sleep(600)"
    number = shell(programs, tmp_path, f'{sys.executable} -c "import mmap, time; {text}" > pipe')
    pipe.wait_for_start()
    family = Census(programs.spawner_pid).families({number: pid_of(programs, number)})[number]
    assert 0 < family.memory_bytes < 50 * MB


def test_two_programs_are_told_apart_and_strangers_count_for_neither(programs: Programs, tmp_path: Path) -> None:
    pipe = Held(tmp_path / "pipe")
    one, two = (shell(programs, tmp_path, command) for command in (f"{HOG} > pipe", "sleep 600"))
    pipe.wait_for_start()
    census = Census(programs.spawner_pid)
    leaders = {number: pid_of(programs, number) for number in (one, two)}
    for _ in range(2):  # The second time strangers are known.
        families = census.families(leaders)
        assert families[one].memory_bytes > 60 * MB > families[two].memory_bytes
        assert os.getpid() not in families[one].members + families[two].members


def test_a_shared_file_counts_once_and_a_link_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "data").write_bytes(b"x" * MB)
    before = disk_bytes(tmp_path)
    assert MB <= before < 2 * MB
    (tmp_path / "again").hardlink_to(tmp_path / "deep" / "data")
    (tmp_path / "link").symlink_to("/usr")
    assert disk_bytes(tmp_path) < before + MB / 2


def test_a_file_with_holes_counts_what_it_takes_up(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    assert disk_bytes(tmp_path) < MB


class Measuring:
    def __init__(self, places: Places, programs: Programs) -> None:
        self.reports: queue.Queue[Any] = queue.Queue()
        writer = CallWriter(places.holdings)
        self.bodies = Bodies(places, programs, writer, self.reports.put)
        hosts = Hosts(places, programs, Zygotes(places, programs, self.reports.put), writer, self.reports.put)
        self.usage = Usage(programs, self.bodies, hosts, places, self.reports.put)
        self.programs = programs

    def start(self, given: Assignment) -> None:
        self.bodies.start(act.StartBody(given, Grant(ONE)))
        number = self.bodies.number_of(given.attempt)
        assert number is not None
        pid_of(self.programs, number)

    def measure(self, given: Assignment) -> Measured:
        self.usage.measure(act.MeasureUse((act.Probe(given.attempt, None, given.limits),)))
        used = self.reports.get(timeout=20)
        assert isinstance(used, act.Used)
        return dict(used.uses)[given.attempt]


@pytest.fixture
def measuring(places: Places, unprotected: Programs) -> Iterator[Measuring]:
    made = Measuring(places, unprotected)
    yield made
    made.usage.close()
    made.bodies.close()


def test_memory_and_disk_of_a_body_are_told(measuring: Measuring, tmp_path: Path) -> None:
    pipe = Held(tmp_path / "pipe")
    text = f"head -c 5000000 /dev/zero > file; {HOG} > {tmp_path}/pipe"
    given = assignment(1, TaskKind.COMMAND, command=text, limits=Limits(memory_mb=1.0, disk_mb=1.0))
    measuring.start(given)
    pipe.wait_for_start()
    assert measuring.measure(given).memory_mb > 60
    while measuring.measure(given).disk_mb < 5:
        """The disk is looked at beside, and told the next time."""


def test_a_body_that_has_ended_is_not_told_of(measuring: Measuring) -> None:
    gone = assignment(1, TaskKind.COMMAND, command="true")
    measuring.usage.measure(act.MeasureUse((act.Probe(gone.attempt, None, None),)))
    assert measuring.reports.get(timeout=20) == act.Used(())
