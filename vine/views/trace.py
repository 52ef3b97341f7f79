"""What ran where and when, as the JSON that Perfetto and chrome://tracing show: a track a slot, and the transfers."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from vine.names import MANAGER
from vine.views.reading import Run
from vine.views.spans import Span, Tracks, spans
from vine.views.transfers import Movement, movements
from vine.views.writing import written_whole

Event = dict[str, Any]

# The tracks of a node: when it was connected, its slots, and what comes to it.
_CONNECTED = 0
_SLOTS_FROM = 1
_TRANSFERS_FROM = 100_000


@dataclass(frozen=True, slots=True)
class Written:
    """What a trace holds."""

    attempts: int
    transfers: int


def write_trace(run: Run, out: Path) -> Written:
    """Write all that has happened until now to `out`, whole or not at all; UsageError if it cannot be written.

    The format is Chrome's "Trace Event Format" (JSON object form): complete events (`X`) in microseconds since the run
    began, a process for each worker and one for the manager, metadata events (`M`) that name them, counters (`C`).
    """
    counts: Counter[str] = Counter()
    with written_whole(out) as file:
        _write(file, events(run), counts)
    return Written(counts["attempt"], counts["transfer"])


def _write(file: TextIO, all_events: Iterator[Event], counts: Counter[str]) -> None:
    file.write('{"displayTimeUnit":"ms","traceEvents":[')
    for number, event in enumerate(all_events):
        counts[event.get("cat", "")] += 1
        file.write(",\n" if number else "\n")
        json.dump(event, file, separators=(",", ":"))
    file.write("\n]}\n")


def events(run: Run) -> Iterator[Event]:
    """Each event of the trace; those of one track in the order of time."""
    began_s, now_s = run.began_s(), run.latest_s()
    nodes = _Nodes()
    yield from nodes.track(MANAGER, _CONNECTED, "tasks")
    for row in run.connection.execute("SELECT worker_id, hostname, cores, joined_s, left_s, reason FROM workers"):
        yield from _connected(nodes, began_s, now_s, row)
    for span in spans(run.connection, now_s):
        yield from nodes.track(span.worker, _SLOTS_FROM + span.slot, f"slot {span.slot + 1}")
        yield _attempt(nodes.number(span.worker), began_s, span)
    tracks: dict[str, Tracks] = defaultdict(Tracks)
    for movement in movements(run.connection):
        slot, begun_s = tracks[movement.destination].take(movement.begun_s, movement.ended_s)
        place = nodes.number(movement.destination), _TRANSFERS_FROM + slot
        yield from nodes.track(movement.destination, place[1], f"receives {slot + 1}")
        yield _transfer(place, (begun_s - began_s, movement.ended_s - began_s), movement)
    for at_s, tasks in run.task_counts():
        yield {"ph": "C", "name": "tasks", "pid": 0, "ts": _us(at_s - began_s), "args": tasks}


class _Nodes:
    """Numbers for nodes and the names of their tracks, each told once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {MANAGER: 0}
        self._told: set[tuple[str, str, int]] = set()

    def number(self, node: str) -> int:
        return self._numbers.setdefault(node, len(self._numbers))

    def track(self, node: str, track: int, name: str) -> Iterator[Event]:
        """What names the track, and its node, if nothing was said of them yet."""
        for what, on_track, words in (("process_name", 0, node), ("thread_name", track, name)):
            if (what, node, on_track) not in self._told:
                self._told.add((what, node, on_track))
                yield {"ph": "M", "name": what, "pid": self.number(node), "tid": on_track, "args": {"name": words}}


def _connected(nodes: _Nodes, began_s: float, now_s: float, row: tuple[Any, ...]) -> Iterator[Event]:
    worker, hostname, cores, joined_s, left_s, reason = row
    yield from nodes.track(worker, _CONNECTED, "connected")
    about = {"host": hostname, "cores": cores, "left": reason or ""}
    place = nodes.number(worker), _CONNECTED
    yield _complete("worker", worker, place, (joined_s - began_s, (left_s or now_s) - began_s), about)


def _attempt(node: int, began_s: float, span: Span) -> Event:
    about = {
        "task": span.task_id, "attempt": str(span.attempt), "outcome": span.outcome or "runs", "message": span.message,
        "inputs_s": span.stage_in_s, "waited_s": span.wait_s, "outputs_s": span.collect_s,
        "cpu_s": span.cpu_s, "memory_mb": span.memory_mb,
    }  # fmt: skip
    place, times = (node, _SLOTS_FROM + span.slot), (span.begun_s - began_s, span.ended_s - began_s)
    return _complete("attempt", span.label, place, times, about)


def _transfer(place: tuple[int, int], times: tuple[float, float], movement: Movement) -> Event:
    about = {
        "transfer": str(movement.transfer_id), "from": movement.sources, "bytes": movement.bytes,
        "bytes_from_manager": movement.bytes_from_manager, "object": movement.object_id,
        "fault": movement.fault or "none",
    }  # fmt: skip
    return _complete("transfer", movement.label, place, times, about)


def _complete(
    category: str, name: str, place: tuple[int, int], times: tuple[float, float], about: dict[str, Any]
) -> Event:
    """Something on a track of a node, from when to when."""
    (node, track), (from_us, to_us) = place, map(_us, times)
    duration_us = max(0, to_us - from_us)
    return {
        "ph": "X", "cat": category, "name": name, "pid": node, "tid": track, "ts": from_us, "dur": duration_us,
        "args": about,
    }  # fmt: skip


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)
