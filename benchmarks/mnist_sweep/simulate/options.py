"""What was asked of the simulated sweep: its command line."""

from __future__ import annotations

import argparse
import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.counts import count_of_some
from benchmarks.mnist_sweep.simulate import paper, parameters
from benchmarks.mnist_sweep.simulate.run import Distribution, Policy

Choice = TypeVar("Choice", bound=enum.Enum)


@dataclass(frozen=True, slots=True)
class Options:
    workers: tuple[int, ...]
    tasks: int
    distribution: tuple[Distribution, ...]
    policy: tuple[Policy, ...]
    cluster: Path
    seed: int
    draws: int
    processes: int
    out: Path
    json: bool


def parse(arguments: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mnist_sweep --mode simulate",
        description="The paper's evaluation at its own scale, in virtual time.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--mode", choices=["simulate"], default="simulate", help="the true cores on a model of the paper's cluster")
    add("--workers", type=_several(count_of_some), default=_typed(paper.SIZES), metavar="N,N", help="sizes of the pool")
    add("--tasks", type=count_of_some, default=paper.TASKS, metavar="N", help="tasks of each run")
    add(
        "--distribution",
        type=_several(_choice(Distribution)),
        default=_typed(each.value for each in Distribution),
        metavar="D,D",
        help=f"some of {_names(Distribution)}: how environment and dataset come to the tasks",
    )
    add(
        "--policy",
        type=_several(_choice(Policy)),
        default=_typed(each.value for each in Policy),
        metavar="P,P",
        help=f"some of {_names(Policy)}: taskvine has whole files, a cap of 3 and no streaming; vine is ours",
    )
    add("--cluster", type=Path, default=parameters.CLUSTER, metavar="FILE", help="the cluster's parameters (TOML)")
    add("--seed", type=int, default=0, metavar="N", help="of the first draw: which nodes are slow and come late")
    add(
        "--draws",
        type=count_of_some,
        default=3,
        metavar="N",
        help="times that each run is made, each with the next seed; a run time is their mean, task times are of all",
    )
    add("--processes", type=count_of_some, default=2, metavar="N", help="runs that are simulated at once")
    add("--out", type=Path, default=Path("sweep-simulated"), metavar="DIR", help="where the results go")
    add("--json", action="store_true", help="print one line of JSON a figure")
    named = vars(parser.parse_args(arguments))
    del named["mode"]
    return Options(**named)


def _several(one: Callable[[str], object]) -> Callable[[str], tuple[object, ...]]:
    def several(text: str) -> tuple[object, ...]:
        return tuple(dict.fromkeys(one(part) for part in text.split(",")))

    return several


def _typed(values: Iterable[object]) -> str:
    """As a user would type them: so they stand in the help."""
    return ",".join(map(str, values))


def _names(choices: type[enum.Enum]) -> str:
    return ", ".join(str(choice.value) for choice in choices)


def _choice(choices: type[Choice]) -> Callable[[str], Choice]:
    def choice(text: str) -> Choice:
        try:
            return choices(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is none of {_names(choices)}") from None

    return choice
