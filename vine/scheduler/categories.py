"""What have the tasks of a category in common: figures that they do not give themselves, and how many run at once?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from vine import config
from vine.wire.parts import CategoryMode, CategorySpec, Measured, Outcome, Request

_LIMITED = frozenset({Outcome.MEMORY_LIMIT, Outcome.DISK_LIMIT})


class CategoryKey(NamedTuple):
    """Categories are a client's own, as its tasks are."""

    client_index: int
    name: str


@dataclass(slots=True)
class Category:
    """The tasks of one client that it calls alike."""

    spec: CategorySpec
    running: int = 0  # attempts on workers, or whose results are collected
    samples: int = 0  # tasks that have succeeded and were measured
    cores: float = 0.0  # these three are the most that one of them has used
    memory_mb: float = 0.0
    disk_mb: float = 0.0

    @property
    def full(self) -> bool:
        """Whether as many run as may."""
        return self.spec.concurrent_max is not None and self.running >= self.spec.concurrent_max

    def fill(self, asked: Request, at_maximum: bool) -> Request:
        """What a task is to have that asks for this: its own figures, and the category's for what it leaves out."""
        figures = self.spec.most if at_maximum or self.spec.mode is CategoryMode.FIXED else self._usual()
        return _or(asked, figures)

    def _usual(self) -> Request:
        """What was enough until now; before enough is known, the guess, or the maximum."""
        most = self.spec.most
        if self.samples < config.category_samples_min:
            return _or(self.spec.first, most)
        memory_mb = _rounded_up(self.memory_mb, config.category_step_mb)
        disk_mb = _rounded_up(self.disk_mb, config.category_step_mb)
        return Request(
            _least(_rounded_up(self.cores, 1.0), most.cores),
            _least(memory_mb, most.memory_mb),
            _least(disk_mb, most.disk_mb),
            most.gpus,
        )

    def observe(self, used: Measured, run_s: float) -> bool:
        """A task of the category has succeeded; whether that changes what others are given."""
        before = self._usual()
        self.samples += 1
        if run_s >= config.measured_run_s_min:  # Of shorter ones the rounding of the clocks says more than they do.
            self.cores = max(self.cores, used.cpu_s / run_s)
        self.memory_mb = max(self.memory_mb, used.memory_mb)
        self.disk_mb = max(self.disk_mb, used.disk_mb or 0.0)
        return self.spec.mode is CategoryMode.MAX and self._usual() != before

    def has_more(self, outcome: Outcome, asked: Request) -> bool:
        """Whether a task that was stopped for this may have more at the second time: the limit was not its own."""
        if self.spec.mode is not CategoryMode.MAX or outcome not in _LIMITED:
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


def _rounded_up(amount: float, step: float) -> float:
    """At least one step: who has used next to nothing until now needs something all the same."""
    return step * max(1, math.ceil(amount / step - config.category_slack))


def _least(amount: float, limit: float | None) -> float:
    return amount if limit is None else min(amount, limit)
