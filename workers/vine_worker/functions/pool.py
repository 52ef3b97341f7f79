"""Which function host runs a call: one host a slot and kind, reused while calls of its kind come."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from vine import config
from vine.names import AttemptId, ObjectId
from vine.wire.parts import Resources
from vine_worker.resources import Grant


class HostKind(NamedTuple):
    """What is settled when a host's interpreter starts: calls that differ in it need different hosts."""

    environment: ObjectId | None
    threads: int  # numerical libraries read it once, when they are loaded
    devices: tuple[int, ...]  # ... and CUDA does the same
    forks: bool = False  # for each call, and so runs none itself
    library: int | None = None  # the instance of the library that it has loaded


@dataclass(slots=True)
class HostRecord:
    """One host: the first of its calls runs, the others wait in its socket."""

    number: int
    kind: HostKind
    born_s: float
    calls: deque[AttemptId] = field(default_factory=deque)
    grant: Grant | None = None  # held while it has calls
    started_s: float = 0.0  # when its first call started
    left_mb: float = 0.0  # memory that it had when its last long call had ended
    ready: bool = False  # its interpreter has come up
    loaded_mb: float = 0.0  # by its library, before any call
    forked: bool = False  # from a process of that, whose memory this is
    ending: bool = False
    recalled: bool = False  # its waiting calls have been asked back; none are added


class HostPool:
    """The hosts that live, idle or busy."""

    def __init__(self, hosts_max: int) -> None:
        self._hosts_max = hosts_max
        self._last_number = 0
        self._idle: dict[int, HostRecord] = {}  # least recently used first
        self.hosts: dict[int, HostRecord] = {}

    def take_idle(self, kind: HostKind) -> HostRecord | None:
        """The idle host of this kind that was used last: its caches are warmest."""
        for number in reversed(self._idle):
            if self._idle[number].kind == kind:
                return self._idle.pop(number)
        return None

    def add(self, kind: HostKind, now: float) -> HostRecord:
        self._last_number += 1
        host = HostRecord(self._last_number, kind, now)
        self.hosts[host.number] = host
        return host

    def surplus(self) -> HostRecord | None:
        """The idle host that must go before another one starts. Those of libraries come and go with these."""
        living = sum(not host.ending for host in self.hosts.values() if host.kind.library is None)
        idle = next((number for number, host in self._idle.items() if host.kind.library is None), None)
        return self._idle.pop(idle) if idle is not None and living >= self._hosts_max else None

    def rest(self, host: HostRecord) -> None:
        """The host has run all its calls."""
        assert not host.calls, "a host with calls cannot rest"
        host.recalled = False
        if not host.ending:
            self._idle[host.number] = host

    def withdraw(self, host: HostRecord) -> None:
        """The host is being ended: it gets no calls any more."""
        host.ending = True
        self._idle.pop(host.number, None)

    def remove(self, number: int) -> HostRecord | None:
        self._idle.pop(number, None)
        return self.hosts.pop(number, None)

    def idle_of(self, environment: ObjectId) -> list[HostRecord]:
        """Takes the idle hosts of an environment out of use."""
        idle = [host for host in self._idle.values() if host.kind.library is None]
        numbers = [host.number for host in idle if host.kind.environment == environment]
        return [self._idle.pop(number) for number in numbers]

    def of_library(self, instance: int) -> list[HostRecord]:
        """The hosts of a library, idle or busy, and those that are being ended."""
        return [host for host in self.hosts.values() if host.kind.library == instance]

    def to_hand_ahead(
        self,
        environment: ObjectId | None,
        forks: bool,
        allotment: Resources,
        depth_max: int,
        now: float,
        library: int | None = None,
    ) -> HostRecord | None:
        """The busy host that takes this call behind those that it has, without a wait for its resources."""
        chosen = None
        for host in self.hosts.values():
            if (
                host.calls
                and len(host.calls) <= depth_max
                and not host.ending
                and not host.recalled
                and host.ready
                and host.grant is not None
                and host.grant.resources == allotment
                and host.kind.environment == environment
                and host.kind.forks == forks
                and host.kind.library == library
                and now < _overdue_at(host)
                and (chosen is None or len(host.calls) < len(chosen.calls))
            ):
                chosen = host
        return chosen

    @property
    def has_waiting(self) -> bool:
        """Whether a host has calls beside the one that it runs."""
        return any(len(host.calls) > 1 for host in self.hosts.values())

    def busy_s(self) -> float:
        """How long each host that has calls takes at least before it has none: known of those that fork."""
        waiting = [len(host.calls) - 1 if host.kind.forks else 0 for host in self.hosts.values() if host.calls]
        return min(waiting, default=0) * config.fork_s

    def overdue(self, now: float) -> Iterator[HostRecord]:
        """Hosts whose running call keeps others waiting that expected to be short."""
        for host in self.hosts.values():
            if len(host.calls) > 1 and not host.recalled and now >= _overdue_at(host):
                yield host

    def stuck(self, now: float) -> list[HostRecord]:
        """Hosts whose interpreter does not come up."""
        return [host for host in self.hosts.values() if not host.ready and not host.ending and now >= _stuck_at(host)]

    def next_deadline(self) -> float | None:
        """When a host is overdue or stuck, if nothing comes before."""
        times = []
        for host in self.hosts.values():
            if len(host.calls) > 1 and not host.recalled:
                times.append(_overdue_at(host))
            if not host.ready and not host.ending:
                times.append(_stuck_at(host))
        return min(times, default=None)

    def check(self) -> None:
        for host in self._idle.values():
            assert not host.calls and host.grant is None and not host.ending, "an idle host that is not"
        for host in self.hosts.values():
            assert (host.grant is not None) == bool(host.calls), "a host holds resources exactly while it has calls"


def _overdue_at(host: HostRecord) -> float:
    """When its running call turns out to be long. (Times are compared as the deadline is told: sums and differences
    are rounded to different sides, and what is due but not yet long would be asked for again at once.)"""
    return host.started_s + config.calls_ahead_s


def _stuck_at(host: HostRecord) -> float:
    """When it should have come up."""
    longest_s = config.host_start_max_s if host.kind.library is None else config.library_start_max_s
    return host.born_s + longest_s
