"""What did the user ask this factory to be: the command line of `vine-factory`."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from vine import __version__, config
from vine.errors import ExitCode, VineError
from vine.wire.parts import Request
from vine_factory.factory import Factory, Settings


def parse(argv: Sequence[str] | None) -> Settings:
    parser = argparse.ArgumentParser(prog="vine-factory", description="Keeps as many workers as a vine run needs.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--connection", type=Path, required=True, help="the run's connection.json, or its folder")
    parser.add_argument("--batch-type", choices=("local",), default="local", help="where workers run (default: here)")
    parser.add_argument("--min-workers", type=whole, default=0, metavar="N", help="never fewer (default: 0)")
    parser.add_argument("--max-workers", type=whole, metavar="N", help="never more (default: the minimum, or 1)")
    parser.add_argument("--cores", type=amount, help="of each worker (default: an equal share of the machine)")
    parser.add_argument("--memory", type=amount, metavar="MB", help="of each worker (default: an equal share)")
    parser.add_argument("--disk", type=amount, metavar="MB", help="of each worker (default: an equal share)")
    parser.add_argument("--gpus", type=whole_amount, help="of each worker (default: none)")
    parser.add_argument(
        "--feature",
        action="append",
        default=[],
        metavar="NAME",
        help="of each worker: something that tasks ask for; may be given several times",
    )
    parser.add_argument(
        "--idle-timeout",
        type=amount,
        default=config.idle_timeout_s,
        metavar="S",
        help="release a worker in surplus after so long without a task (default: %(default)g)",
    )
    parser.add_argument("--workspace", type=Path, metavar="DIR", help="where workers keep caches and sandboxes")
    parser.add_argument("--parent-fd", type=int, metavar="N", help="a pipe whose end is the end of this factory")
    given = parser.parse_args(argv)
    max_workers = max(given.min_workers, 1) if given.max_workers is None else given.max_workers
    if given.min_workers > max_workers:
        parser.error(f"--min-workers {given.min_workers} is more than --max-workers {max_workers}")
    return Settings(
        connection=given.connection,
        batch_type=given.batch_type,
        min_workers=given.min_workers,
        max_workers=max_workers,
        size=Request(cores=given.cores, memory_mb=given.memory, disk_mb=given.disk, gpus=given.gpus),
        features=tuple(given.feature),
        idle_timeout_s=given.idle_timeout,
        workspace=given.workspace.absolute() if given.workspace else None,
        parent_fd=given.parent_fd,
    )


def whole(text: str) -> int:
    number = int(text)
    if not 0 <= number <= config.workers_max:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {config.workers_max}")
    return number


def amount(text: str) -> float:
    number = float(text)
    if not (math.isfinite(number) and 0 <= number <= 1e9):
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and a billion")
    return number


def whole_amount(text: str) -> float:
    number = amount(text)
    if number != int(number):
        raise argparse.ArgumentTypeError(f"{text} is no whole number")
    return number


def main(argv: Sequence[str] | None = None) -> int:
    settings = parse(argv)
    try:
        Factory(settings).run()
    except VineError as why:
        sys.stderr.write(f"vine-factory: {why}\n")
        return why.exit_code
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
