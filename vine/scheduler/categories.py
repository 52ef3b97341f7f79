"""What have the tasks of a category in common: figures that they do not give themselves, and how many run at once?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from vine import config
from vine.scheduler.sizing import Uses, rounded_up
from vine.wire.parts import CategoryMode, CategorySpec, Measured, Outcome, Request

_NOTHING = Request()
_LIMITED = frozenset({Outcome.MEMORY_LIMIT, Outcome.DISK_LIMIT})


class CategoryKey(NamedTuple):
    """Categories are a client's own, as its tasks are."""

    client_index: int
    name: str


def _in_megabytes() -> Uses:
    return Uses(config.category_step_mb)


@dataclass(slots=True)
class Category:
    """The tasks of one client that it calls alike."""

    spec: CategorySpec
    running: int = 0  # attempts on workers, or whose results are collected
    samples: int = 0  # tasks that have succeeded and were measured
    cores: float = 0.0  # these three are the most that one of them has used
    memory_mb: float = 0.0
    disk_mb: float = 0.0
    _memory: Uses = field(default_factory=_in_megabytes)
    _disk: Uses = field(default_factory=_in_megabytes)
    _learnt: Request | None = None  # None until enough have been measured
    _learns_at: int = config.category_samples_min  # that many samples

    @property
    def full(self) -> bool:
        """Whether as many run as may."""
        return self.spec.concurrent_max is not None and self.running >= self.spec.concurrent_max

    def set(self, spec: CategorySpec) -> None:
        """The client has said something else of its tasks."""
        self.spec = spec
        if self._learnt is not None:
            self._learnt = self._sizes()

    def fill(self, asked: Request, at_maximum: bool) -> Request:
        """What a task is to have that asks for this: its own figures, and the category's for what it leaves out."""
        return _or(asked, _or(self.limits(asked, at_maximum), self.spec.least))

    def limits(self, asked: Request, at_maximum: bool) -> Request:
        """What a task that asks for this is killed for: that which is only the least of the category limits nothing."""
        if at_maximum or self.spec.mode is CategoryMode.FIXED:
            figures = self.spec.most
        else:
            figures = _or(self.spec.first, self.spec.most) if self._learnt is None else self._learnt
        if figures == _NOTHING:
            return asked  # As for most: of an app's category, that only tells them apart, nothing has been said.
        return _or(asked, _raised(figures, self.spec.least))

    def observe(self, used: Measured, run_s: float) -> bool:
        """A task of the category has succeeded; whether that changes what others are given."""
        self.samples += 1
        if run_s >= config.measured_run_s_min:  # Of shorter ones the rounding of the clocks says more than they do.
            self.cores = max(self.cores, used.cpu_s / run_s)
        self.memory_mb = max(self.memory_mb, used.memory_mb)
        self.disk_mb = max(self.disk_mb, used.disk_mb or 0.0)
        self._memory.add(used.memory_mb, run_s)
        self._disk.add(used.disk_mb or 0.0, run_s)
        if self.samples < self._learns_at:
            return False
        if self.spec.mode is not CategoryMode.MAX:  # A new maximum tells something at once, one more of many little.
            self._learns_at += max(config.category_samples_min, self.samples // config.category_learns_again)
        before, self._learnt = self._learnt, self._sizes()
        return self.spec.mode is not CategoryMode.FIXED and self._learnt != before

    def _sizes(self) -> Request:
        """What was enough until now: for all, or for as many as is best. Cores for all, for nothing else gives more."""
        most = self.spec.most
        return Request(
            _least(rounded_up(self.cores, 1.0), most.cores),
            self._size(self._memory, most.memory_mb),
            self._size(self._disk, most.disk_mb),
            most.gpus,
        )

    def _size(self, uses: Uses, limit: float | None) -> float:
        second = uses.most() if limit is None else limit
        if self.spec.mode is CategoryMode.MAX_THROUGHPUT:
            return _least(uses.of_most_throughput(second), limit)
        if self.spec.mode is CategoryMode.MIN_WASTE:
            return _least(uses.of_least_waste(second), limit)
        return _least(uses.most(), limit)

    def has_more(self, outcome: Outcome, asked: Request) -> bool:
        """Whether a task that was stopped for this may have more at the second time: the limit was not its own."""
        if self.spec.mode is CategoryMode.FIXED or outcome not in _LIMITED:
            return False
        own = asked.memory_mb if outcome is Outcome.MEMORY_LIMIT else asked.disk_mb
        return own is None


def _or(first: Request, second: Request) -> Request:
    """The first one's figures, and the second one's where it has none."""
    return Request(
        first.cores if first.cores is not None else second.cores,
        first.memory_mb if first.memory_mb is not None else second.memory_mb,
        first.disk_mb if first.disk_mb is not None else second.disk_mb,
        first.gpus if first.gpus is not None else second.gpus,
    )


def _raised(figures: Request, least: Request) -> Request:
    """The figures, where there are any, and none of them below the least."""
    return Request(
        _most(figures.cores, least.cores),
        _most(figures.memory_mb, least.memory_mb),
        _most(figures.disk_mb, least.disk_mb),
        _most(figures.gpus, least.gpus),
    )


def _most(amount: float | None, least: float | None) -> float | None:
    return amount if amount is None or least is None else max(amount, least)


def _least(amount: float, limit: float | None) -> float:
    return amount if limit is None else min(amount, limit)
