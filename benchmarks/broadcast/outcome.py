"""What did one broadcast come to, and how is it told?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure
from vine.errors import VineError
from vine.names import MANAGER

_WIDTH = 120  # where the output is no terminal
_SOURCES_NAMED_MAX = 16  # of one broadcast; of more it is told how many have sent how much
_COLUMNS = ("plan", "workers", "last has it s", "bound s", "of bound", "manager sent", "a worker sent", "")


class BenchmarkError(VineError):
    """What was to be measured did not come about; the message says what, and where to look."""


class Plan(NamedTuple):
    """By which plan a file is spread, with so many flows out of a node at once."""

    spread: str
    cap: int


@dataclass(frozen=True, slots=True)
class Broadcast:
    """One file that came to all workers, or to all but those that were killed."""

    plan: str
    workers: int
    size_bytes: int
    seconds: float  # from the request until the last worker had all of it, hashed and on disk
    bound_s: float | None  # no plan can be faster; None where the links' rate is not known
    sent_bytes: Mapping[str, float]  # by source
    spans: Mapping[str, tuple[float, float]]  # worker that counts -> from when to when it received, as `seconds`
    params: Mapping[str, Any] = field(default_factory=dict)
    of_undisturbed: float | None = None  # its time over that without the slow or the killed node
    disturbance: str = ""  # the name of that figure

    @property
    def of_bound(self) -> float | None:
        return None if self.bound_s is None else self.bound_s / self.seconds

    @property
    def manager_copies(self) -> float:
        """What the manager has sent, in copies of the file."""
        return self.sent_bytes.get(MANAGER, 0.0) / self.size_bytes

    @property
    def worker_copies_max(self) -> float:
        """... and the worker that has sent most."""
        return max((sent for source, sent in self.sent_bytes.items() if source != MANAGER), default=0) / self.size_bytes

    def figures(self) -> list[Figure]:
        params = {"plan": self.plan, "workers": self.workers, "size_bytes": self.size_bytes, **self.params}
        if self.workers == 1 and self.bound_s is None:
            return [Figure("transfer_gb_per_s", self.size_bytes / self.seconds / 1e9, "GB/s", params)]
        found = [
            Figure("broadcast_s", self.seconds, "s", params),
            Figure("manager_copies", self.manager_copies, "", params),
            Figure("worker_copies_max", self.worker_copies_max, "", params),
        ]
        if self.of_bound is not None:
            found.append(Figure("broadcast_of_bound", self.of_bound, "", params))
        if self.of_undisturbed is not None:
            found.append(Figure(self.disturbance, self.of_undisturbed, "", params))
        sources = sorted(self.sent_bytes.items())
        return [*found, *(Figure("sent_bytes", sent, "B", {**params, "source": source}) for source, sent in sources)]


def bound_s(size_bytes: float, link_bytes_per_s: float | None, disk_bytes_per_s: float | None) -> float | None:
    """No worker can have the file sooner than its link or its disk takes in so many bytes."""
    rates = [rate for rate in (link_bytes_per_s, disk_bytes_per_s) if rate is not None]
    return max(size_bytes / rate for rate in rates) if link_bytes_per_s is not None else None


def show(broadcasts: Sequence[Broadcast]) -> None:
    """A table for people; what all have in common stands above it. What was sent is in copies of the file."""
    common = set.intersection(*(set(found.params.items()) for found in broadcasts))
    size = broadcasts[0].size_bytes
    title = ", ".join(
        [f"{size / 1e6:,.0f} MB", *(_told(item) for item in broadcasts[0].params.items() if item in common)]
    )
    table = Table(*_COLUMNS, title=title, title_justify="left")
    for found in broadcasts:
        notes = [_told(item) for item in found.params.items() if item not in common]
        if found.workers == 1:
            notes.append(f"{found.size_bytes / found.seconds / 1e9:.2f} GB/s")
        if found.of_undisturbed is not None:
            notes.append(f"{found.disturbance} {found.of_undisturbed:.2f}")
        table.add_row(
            found.plan,
            str(found.workers),
            f"{found.seconds:.3f}",
            "" if found.bound_s is None else f"{found.bound_s:.3f}",
            "" if found.of_bound is None else f"{found.of_bound:.3f}",
            f"{found.manager_copies:.2f}",
            f"{found.worker_copies_max:.2f}",
            ", ".join(notes),
        )
    console = Console()
    console = console if console.is_terminal else Console(width=_WIDTH)
    console.print(table)
    console.print("sent: copies of the file")
    for found in broadcasts:
        what = ", ".join([found.plan, *(_told(item) for item in found.params.items() if item not in common)])
        console.print(f"  {what}: {_sent(found)}", highlight=False, soft_wrap=True)


def _sent(found: Broadcast) -> str:
    """What each source has sent."""
    copies = {source: f"{sent / found.size_bytes:.2f}" for source, sent in sorted(found.sent_bytes.items())}
    if len(copies) <= _SOURCES_NAMED_MAX:
        return ", ".join(f"{source} {sent}" for source, sent in copies.items())
    first = f"{MANAGER} {copies.pop(MANAGER)}, workers " if MANAGER in copies else ""
    return first + ", ".join(
        f"{count} x {sent}"
        for sent, count in sorted(Counter(copies.values()).items(), key=lambda entry: float(entry[0]), reverse=True)
    )


def _told(item: tuple[str, Any]) -> str:
    return f"{item[0]} {item[1]}"


def median(rounds: Sequence[Broadcast]) -> Broadcast:
    """The one of the middle time."""
    return sorted(rounds, key=lambda found: found.seconds)[(len(rounds) - 1) // 2]
