"""How can the paper's shared-fs column be read: what each reading lets differ, and what the fit of it has found.

The column has 13 numbers, and more than one story explains them. The model is the first reading; the others are
there to show how much hangs on it, in what the vine columns and speed-ups come to.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.mnist_sweep.simulate import paper, parameters
from benchmarks.mnist_sweep.simulate.parameters import Parameters
from vine.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FITTED = Path(__file__).with_name("readings.toml")
_AT_ONCE = {"arrival_workers_per_s": 1e6}
_FACTORY = {"arrival_workers_per_s": 5 / 30}
_ALIKE = {"slowest_over_fastest": 1.0}


@dataclass(frozen=True, slots=True)
class Reading:
    """One story of how the paper's four runs came about."""

    says: str
    free: tuple[str, ...]  # parameters with one value for all runs
    each_run: tuple[str, ...]  # ... with one for each
    given: Mapping[str, float] = field(default_factory=dict)  # in place of the cluster's

    @property
    def coordinates(self) -> list[str]:
        """What the fit may move; a parameter of each run by its name and the run's size."""
        return [*self.free, *(f"{name} {size}" for name in self.each_run for size in paper.SIZES)]


_TASKS = ("metadata_operations", "compute_spread")
MODEL = "arrivals"
READINGS: Mapping[str, Reading] = {
    MODEL: Reading(
        "other people's load was another in each run; workers came one after the other (the model)",
        (*_TASKS, "arrival_workers_per_s"),
        ("others_streams",),
    ),
    "alike": Reading(
        "the same, and all nodes were equally fast", (*_TASKS, "arrival_workers_per_s"), ("others_streams",), _ALIKE
    ),
    "factory": Reading(
        "the same, but workers came as TaskVine's factory asks: 5 in 30 s", _TASKS, ("others_streams",), _FACTORY
    ),
    "at-once": Reading(
        "the same, but all workers were there when the run began", _TASKS, ("others_streams",), _AT_ONCE
    ),
    "stragglers": Reading(
        "all workers were there when the run began, and some nodes of the pool were very slow",
        (*_TASKS, "slow_factor", "slow_share"),
        ("others_streams",),
        _AT_ONCE,
    ),
    "nodes": Reading(
        "the load was the same in all runs, the share of slow nodes another; workers came one after the other",
        (*_TASKS, "arrival_workers_per_s", "slow_factor", "others_streams"),
        ("slow_share",),
    ),
    "both": Reading(
        "load and share of slow nodes were others in each run; workers came one after the other",
        (*_TASKS, "arrival_workers_per_s", "slow_factor"),
        ("others_streams", "slow_share"),
    ),
}


@dataclass(frozen=True, slots=True)
class Found:
    """What a fit has come to."""

    misfit: float
    values: Mapping[str, Any]

    def on(self, base: Parameters, reading: Reading) -> Parameters:
        """The cluster by this reading."""
        values: dict[str, Any] = {**reading.given, **self.values}
        return replace(base, **values)


def read(path: Path = FITTED, all_of_them: bool = True) -> dict[str, Found]:
    """What was found for each reading.

    Raises:
        UsageError: The file is no such file, or lacks a reading where all are wanted.
    """
    try:
        tables = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read as fitted readings: {error}") from None
    found = {}
    for name, reading in READINGS.items():
        if name not in tables and not all_of_them:
            continue
        table = tables.get(name, {})
        if table.keys() != {"misfit", *reading.free, *reading.each_run}:
            raise UsageError(
                f"{path} does not have reading {name}: python -m benchmarks.mnist_sweep.simulate.fit --write"
            )
        values = {key: parameters.checked(path, key, value) for key, value in table.items() if key != "misfit"}
        found[name] = Found(float(table["misfit"]), values)
    return found


def text_of(found: Mapping[str, Found]) -> str:
    """The file."""
    lines = [
        "# What each reading of the paper's shared-fs column comes to (readings.py says what they are), as written by",
        "#     python -m benchmarks.mnist_sweep.simulate.fit --write",
        "# misfit: the sum of squares of 13 relative errors over what weighs alike (3 %, of a deviation 10 %).",
    ]
    for name, one in found.items():
        lines += ["", f"[{name}]", f"misfit = {one.misfit:.2f}"]
        lines += [f"{key} = {parameters.shown(value)}" for key, value in one.values.items()]
    return "\n".join(lines) + "\n"
