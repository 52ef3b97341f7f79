"""What does a random task ask for beside its inputs: resources, limits, times, features, and outputs at a path?

Each run has some of these habits and lacks the others: many bugs need that nothing else gets ahead of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from benchmarks.simulator.faults.behaviours import Behaviour
from vine import config
from vine.names import FileId
from vine.wire.parts import CategoryMode, CategorySpec, Mount, Outcome, Policy, Request, Resources, When

CHUNK = 256 << 10
SOME = "some"  # a feature that every second worker has
_HABITS = (
    "gpus", "memory", "disk", "limits", "times", "features", "strict", "paths", "functions", "categories", "alike",
)  # fmt: skip
_HABIT_SHARE = 0.3
_MEMORY_MB = (50.0, 200.0, 500.0)
_RUNS_S = (0.002, 0.01, 0.05, 0.3, 1.0)


@dataclass(frozen=True, slots=True)
class Premises:
    """Where a run's programs have their tasks run."""

    capacity: Resources  # of each worker
    workers_max: int
    hostnames: tuple[str, ...]  # some of them
    has_features: bool
    wall_s: Callable[[], float] | None  # the clock on the wall, if nobody sets it


@dataclass(slots=True)
class Asked:
    """Fields of a task; and what its body does, and how it may end though nothing breaks."""

    fields: dict[str, Any]
    behaviour: Behaviour
    ends: frozenset[Outcome] = frozenset()

    def may_end(self, *outcomes: Outcome) -> None:
        self.ends |= frozenset(outcomes)

    def have_policy(self, **values: Any) -> None:
        self.fields["policy"] = msgspec.structs.replace(self.fields.get("policy") or Policy(), **values)


class Asking:
    """The habits of a run's programs."""

    def __init__(self, dice: random.Random, premises: Premises) -> None:
        self._dice = dice
        self.premises = premises
        self.habits = frozenset(habit for habit in _HABITS if dice.random() < _HABIT_SHARE)

    def has(self, habit: str, share: float = 0.4) -> bool:
        return habit in self.habits and self._dice.random() < share

    def cores(self) -> float:
        return float(self._dice.randint(1, int(self.premises.capacity.cores)))

    def task(self) -> Asked:
        dice = self._dice
        request, value = {"cores": self.cores()}, dice.choice([0, 0, 2 * CHUNK])
        alike = dice.choice(["a", "b", "", ""]) if "alike" in self.habits else ""
        behaviour = Behaviour(dice.choice(_RUNS_S), value, dice.choice([CHUNK, 5 * CHUNK]), alike=alike)
        asked = Asked({"retries": dice.choice([0, 0, 1, 3]), "priority": float(dice.randint(0, 2))}, behaviour)
        if dice.random() < 0.2:
            asked.have_policy(category=dice.choice("ab"))
        self._resources(asked, request)
        self._times(asked)
        if self.premises.has_features and self.has("features"):
            asked.fields["features"] = (SOME,)
            asked.may_end(Outcome.NO_WORKER_FITS)  # The only one that has it may have been drained.
        return asked

    def _resources(self, asked: Asked, request: dict[str, float]) -> None:
        dice, capacity = self._dice, self.premises.capacity
        if capacity.gpus and self.has("gpus"):
            request["gpus"] = dice.choice([0.5, 1.0, capacity.gpus])
        if self.has("disk"):
            request["disk_mb"] = dice.choice([0.1, 0.5, 1.0]) * capacity.disk_mb
        if self.has("memory"):
            used = dice.choice(_MEMORY_MB)
            asked.behaviour = replace(asked.behaviour, run_s=dice.choice([0.3, 1.0]), memory_mb=used)
            if dice.random() < 0.5:
                request["memory_mb"] = dice.choice(_MEMORY_MB)
            if request.get("memory_mb", 0.0) < used:
                asked.may_end(Outcome.MEMORY_LIMIT)
        asked.fields["request"] = Request(**request)

    def _times(self, asked: Asked) -> None:
        dice, wall_s = self._dice, self.premises.wall_s
        if self.has("limits"):
            asked.fields["time_limit_s"] = dice.choice([0.04, 0.5, 10.0])
            if asked.fields["time_limit_s"] < 10.0:
                asked.may_end(Outcome.TIME_LIMIT)
        if self.has("limits", 0.2):
            asked.have_policy(forsaken_max=dice.randint(0, 2))
        if self.has("times", 0.2):
            asked.have_policy(time_min_s=dice.choice([1.0, 20.0]))
        if wall_s is not None and self.has("times"):
            starts_s = wall_s() + dice.random() * 5
            if dice.random() < 0.5:
                asked.have_policy(starts_at_s=starts_s)
            else:
                asked.have_policy(ends_at_s=starts_s)
                asked.may_end(Outcome.END_TIME)

    def strictly(self, asked: Asked, inputs: list[FileId]) -> None:
        """It goes only to workers that have one of these."""
        if inputs and self.has("strict", 0.2):
            asked.have_policy(strict=(self._dice.choice(inputs),))
            asked.may_end(Outcome.FIXED_LOCATION_MISSING)

    def output(self, asked: Asked, file_id: FileId, number: int, at_path: bool) -> Mount:
        """How it leaves a file; not all leave all that they have promised."""
        dice, name = self._dice, f"out{number}"
        if not at_path:
            return Mount(file_id, name)
        optional = dice.random() < 0.3
        if dice.random() < 0.2:
            asked.behaviour = replace(asked.behaviour, unmade=asked.behaviour.unmade | {name})
            if not optional:
                asked.may_end(Outcome.OUTPUT_MISSING)
        watched = dice.random() < 0.6
        if watched:
            asked.behaviour = replace(asked.behaviour, run_s=2.5 * config.watch_interval_s)
        return Mount(file_id, name, dice.choice(list(When)), watched=watched, optional=optional)

    def category(self) -> CategorySpec:
        dice, figures = self._dice, dict[str, Any]()
        if "categories" in self.habits:
            figures["most"] = Request(memory_mb=dice.choice([None, 600.0, self.premises.capacity.memory_mb]))
            figures["first"] = Request(memory_mb=dice.choice([None, 100.0]))
            figures["least"] = Request(memory_mb=dice.choice([None, 50.0]))
        mode, most = dice.choice(list(CategoryMode)), dice.choice([None, 1, 2])
        return CategorySpec(dice.choice("ab"), mode, concurrent_max=most, **figures)

    def choice_of(self, items: Iterable[Any], most: int) -> list[Any]:
        known = list(items)
        return self._dice.sample(known, min(len(known), self._dice.randint(0, most)))
