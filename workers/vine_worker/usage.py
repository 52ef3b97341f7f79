"""How much do bodies use now: their processes, the memory and processor time of these, and the disk of their sandboxes?

It is read from /proc, and on threads of its own, for a machine may have thousands of processes and a sandbox as
many files.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from vine import config
from vine.names import AttemptId
from vine.wire.parts import Measured
from vine_worker import actions as act
from vine_worker import mistakes
from vine_worker.bodies import Bodies
from vine_worker.families import mark_of
from vine_worker.functions.hosts import Hosts
from vine_worker.functions.logs import HostLogs
from vine_worker.places import Places
from vine_worker.programs import Programs
from vine_worker.sandbox import disk_bytes

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_MB = 1_000_000


class _Process(NamedTuple):
    parent: int
    session: int
    ticks: int  # of the processor, with those of the children that it has waited for


@dataclass(slots=True)
class Family:
    """A program and all that descends from it."""

    members: list[int]
    cpu_s: float = 0.0
    memory_bytes: int = 0  # What several of them share counts for each.


class Census:
    """Whose is each process of this machine? Those that are nobody's are looked at once only."""

    def __init__(self, spawner: int) -> None:
        self._spawner = spawner  # the parent of what has lost its own
        self._owners: dict[int, int] = {}  # the program that a process descends from, by pid
        self._strangers: set[int] = set()

    def families(self, leaders: Mapping[int, int]) -> dict[int, Family]:
        """By the number of the program; `leaders` are the pids of the programs, by number."""
        by_pid = {pid: number for number, pid in leaders.items()}
        there = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        self._strangers.intersection_update(there)
        seen = {pid: found for pid in there if pid not in self._strangers and (found := _read(pid)) is not None}
        before, self._owners = self._owners, {}
        families = {number: Family([]) for number in leaders}
        for pid in seen:
            number = self._owner(pid, seen, by_pid, before)
            if number is None:
                self._strangers.add(pid)
            elif number in families:
                self._owners[pid] = number
                family = families[number]
                family.members.append(pid)
                family.cpu_s += seen[pid].ticks / _TICKS_A_SECOND
                family.memory_bytes += _memory_bytes(pid)
        return families

    def _owner(
        self, pid: int, seen: Mapping[int, _Process], by_pid: Mapping[int, int], before: Mapping[int, int]
    ) -> int | None:
        """The program whose session it is in, or whose descendant it is."""
        asked: set[int] = set()
        while pid in seen and pid not in asked:
            asked.add(pid)
            process = seen[pid]
            number = by_pid.get(pid, by_pid.get(process.session, before.get(pid)))
            if number is not None:
                return number
            if process.parent == self._spawner:
                return mark_of(pid)
            pid = process.parent
        return None


def _read(pid: int) -> _Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None  # It ended while we looked.
    return _Process(int(fields[1]), int(fields[3]), sum(map(int, fields[11:15])))


def _memory_bytes(pid: int) -> int:
    return _own_bytes(f"/proc/{pid}/status", (b"RssAnon:", b"RssShmem:")) or 0


def _own_bytes(path: str, names: tuple[bytes, ...]) -> int | None:
    """What these lines add up to: memory of its own, for pages of files that it maps can be read again.

    None where the process is gone, or hides it.
    """
    try:
        with open(path, "rb") as file:
            return sum(int(line.split()[1]) << 10 for line in file if line.startswith(names))
    except OSError:
        return None


def private_bytes(pids: Iterable[int]) -> int:
    """The memory that these processes share with no others, as they do what was there when they were forked."""
    rollups = (_own_bytes(f"/proc/{pid}/smaps_rollup", (b"Private_Clean:", b"Private_Dirty:")) for pid in pids)
    return sum(rollup or 0 for rollup in rollups)


def shared_once_bytes(pids: Iterable[int]) -> int:
    """The memory of these processes, with what several of them share counted once."""
    return sum(map(_share_bytes, pids))


def _share_bytes(pid: int) -> int:
    """Older kernels do not tell files from the rest here; a process that has given up rights hides all of it."""
    rollup = f"/proc/{pid}/smaps_rollup"
    return _own_bytes(rollup, (b"Pss_Anon:", b"Pss_Shmem:")) or _own_bytes(rollup, (b"Pss:",)) or _memory_bytes(pid)


@dataclass(frozen=True, slots=True)
class _Probed:
    """A body that runs, and the number of its program."""

    attempt: AttemptId
    number: int
    alone: bool  # The program is this body's only: its processor time is the body's.
    memory_limit_mb: float | None
    forked: bool = False  # from a library, whose memory is not the body's
    loaded_bytes: int = 0  # ... or it has loaded that itself
    streams: tuple[Path, ...] = ()  # where it prints; a call: as those before it did, but for a library's


class Usage:
    """Measures when it is asked to; reports `Used`."""

    def __init__(
        self, programs: Programs, bodies: Bodies, hosts: Hosts, places: Places, report: Callable[[object], None]
    ) -> None:
        self._programs = programs
        self._bodies = bodies
        self._hosts = hosts
        self._places = places
        self._report = report  # takes local events, from any thread
        self._census = Census(programs.spawner_pid)
        self._threads = ThreadPoolExecutor(2, "usage")
        self._disks: dict[AttemptId, int] = {}  # as they were when last looked at
        self._printed_before: dict[AttemptId, int] = {}  # what streams of calls had when these were first looked at
        self._walk: Future[None] | None = None
        self._walk_not_before_s = 0.0
        self._logs = HostLogs()
        self._trim: Future[None] | None = None

    def trim_logs(self) -> None:
        """To be called now and then, whether or not anything runs: a library may print of itself."""
        if self._trim is None or self._trim.done():
            self._trim = self._threads.submit(self._trim_logs, self._hosts.logs())

    def _trim_logs(self, paths: frozenset[Path]) -> None:
        with mistakes.told_to(self._report):
            self._logs.trim(paths)

    def measure(self, action: act.MeasureUse) -> None:
        self.trim_logs()
        self._threads.submit(self._look, list(self._probed(action.probes)), dict(self._programs.pids))
        limited = [
            each.attempt for each in action.probes if each.limits is not None and each.limits.disk_mb is not None
        ]
        resting = time.monotonic() < self._walk_not_before_s
        if limited and not resting and (self._walk is None or self._walk.done()):
            sandboxes = {attempt: self._places.sandbox(attempt).folder for attempt in limited}
            self._walk = self._threads.submit(self._look_at_disks, sandboxes)

    def _probed(self, probes: Iterable[act.Probe]) -> Iterator[_Probed]:
        for probe in probes:
            alone = probe.host is None
            number = self._bodies.number_of(probe.attempt) if probe.host is None else self._hosts.number_of(probe.host)
            if number is not None:
                limit_mb = None if probe.limits is None else probe.limits.memory_mb
                loaded = (False, 0) if probe.host is None else self._hosts.loaded(probe.host)
                yield _Probed(probe.attempt, number, alone, limit_mb, *loaded, self._streams_of(probe))

    def _streams_of(self, probe: act.Probe) -> tuple[Path, ...]:
        if probe.host is None:
            sandbox = self._places.sandbox(probe.attempt)
            return (sandbox.stdout, sandbox.stderr)
        host_log = self._hosts.own_log(probe.host)
        return () if host_log is None else (host_log,)

    def _look(self, probed: list[_Probed], pids: Mapping[int, int]) -> None:
        with mistakes.told_to(self._report):
            families = self._census.families(pids)
            uses = [(each.attempt, self._use_of(each, families[each.number])) for each in probed if each.number in pids]
            self._report(act.Used(tuple(uses), tuple(self._printed(probed))))

    def _printed(self, probed: list[_Probed]) -> Iterator[tuple[AttemptId, int]]:
        before, self._printed_before = self._printed_before, {}
        for each in probed:
            printed_bytes = sum(map(self._logs.printed_bytes, each.streams))
            if not each.alone:
                self._printed_before[each.attempt] = already = before.get(each.attempt, printed_bytes)
                printed_bytes -= already
            if printed_bytes > 0:
                yield each.attempt, printed_bytes

    def _use_of(self, each: _Probed, family: Family) -> Measured:
        memory_bytes, limit_mb = max(0, family.memory_bytes - each.loaded_bytes), each.memory_limit_mb
        if each.forked:
            memory_bytes = private_bytes(family.members)
        elif limit_mb is not None and memory_bytes > limit_mb * _MB and len(family.members) > 1:
            memory_bytes = shared_once_bytes(family.members)
        cpu_s = family.cpu_s if each.alone else 0.0
        disk_mb = self._disks.get(each.attempt, 0) / _MB
        return Measured(cpu_s, memory_bytes / _MB, disk_mb, len(family.members))

    def _look_at_disks(self, sandboxes: Mapping[AttemptId, Path]) -> None:
        began_s = time.monotonic()
        with mistakes.told_to(self._report):
            self._disks = {attempt: disk_bytes(sandbox) for attempt, sandbox in sandboxes.items()}
        now_s = time.monotonic()
        self._walk_not_before_s = now_s + (now_s - began_s) * config.disk_look_rest

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
