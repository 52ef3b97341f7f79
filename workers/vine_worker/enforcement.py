"""Which bodies use more than they may, or their libraries, and what is the most that each has used?"""

from __future__ import annotations

import math
from collections.abc import Iterator

from vine import config
from vine.wire.parts import Outcome
from vine_worker import actions as act
from vine_worker.attempts import Attempt, State
from vine_worker.board import Board
from vine_worker.functions.pool import HostPool


class Enforcement:
    """Has what runs measured now and then, as soon as it has run for a while."""

    def __init__(self, board: Board, pool: HostPool) -> None:
        self._board = board
        self._pool = pool
        self._asked = False

    def tick(self) -> None:
        board = self._board
        if self._asked or board.now < board.use_due_s:
            return
        running = [
            attempt for attempt in board.attempts.values() if attempt.state is State.RUNNING and attempt.stop is None
        ]
        board.use_due_s = board.now + config.use_interval_s if running else math.inf
        since_s = board.now - config.use_interval_s
        probes = tuple(
            act.Probe(attempt.attempt_id, attempt.host, attempt.assignment.limits)
            for attempt in running
            if 0.0 < attempt.started_s <= since_s
        )
        if probes:
            self._asked = True
            board.actions.append(act.MeasureUse(probes))

    def next_deadline(self) -> float | None:
        return None if self._asked or self._board.use_due_s == math.inf else self._board.use_due_s

    def used(self, event: act.Used) -> Iterator[tuple[Attempt, Outcome]]:
        """Notes what was measured; yields the attempts that are to be stopped, and why."""
        self._asked = False
        of_libraries: dict[int, list[tuple[float, Attempt]]] = {}  # memory of their calls, by instance
        for attempt_id, use in event.uses:
            attempt = self._board.attempts.get(attempt_id)
            if attempt is None or attempt.state is not State.RUNNING:
                continue  # It has ended meanwhile.
            instance = None if attempt.host is None else self._pool.hosts[attempt.host].kind.library
            if instance is not None and attempt.stop is None:
                of_libraries.setdefault(instance, []).append((use.memory_mb, attempt))
            attempt.cpu_s = max(attempt.cpu_s, use.cpu_s)
            attempt.memory_mb = max(attempt.memory_mb, use.memory_mb)
            attempt.disk_mb = max(attempt.disk_mb, use.disk_mb or 0.0)
            attempt.processes = max(attempt.processes, use.processes)
            limits = attempt.assignment.limits
            if use.processes > config.processes_max:  # Whatever was asked for: it harms the whole machine.
                yield attempt, Outcome.PROCESS_LIMIT
            elif limits is None:
                continue
            elif limits.memory_mb is not None and use.memory_mb > limits.memory_mb:
                yield attempt, Outcome.MEMORY_LIMIT
            elif limits.disk_mb is not None and (use.disk_mb or 0.0) > limits.disk_mb:
                yield attempt, Outcome.DISK_LIMIT
        for attempt_id, printed_bytes in event.printed:
            attempt = self._board.attempts.get(attempt_id)
            if attempt is not None and attempt.state is State.RUNNING and printed_bytes > config.printed_bytes_max:
                attempt.printed_bytes = printed_bytes
                yield attempt, Outcome.OUTPUT_LIMIT
        for instance, calls in of_libraries.items():
            yield from self._over_its_library(instance, calls)

    def _over_its_library(self, instance: int, calls: list[tuple[float, Attempt]]) -> Iterator[tuple[Attempt, Outcome]]:
        """The call that uses most, where all of its library here use more than that may."""
        largest = max(calls, key=lambda call: call[0])[1]
        library = largest.assignment.library
        if library is None or library.memory_mb is None or largest.stop is not None:
            return
        hosts = self._pool.of_library(instance)
        loaded_mb = sum(host.loaded_mb for host in hosts if not host.forked)
        loaded_mb += max((host.loaded_mb for host in hosts if host.forked), default=0.0)
        together_mb = loaded_mb + sum(memory_mb for memory_mb, _attempt in calls)
        if together_mb > library.memory_mb:
            largest.together_mb = together_mb
            yield largest, Outcome.MEMORY_LIMIT
