"""Which benchmarks of dispatch does the command line ask for, and what did they find?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from benchmarks.dispatch.bench import Bench, bench
from benchmarks.dispatch.calls import calls
from benchmarks.dispatch.commands import commands
from benchmarks.dispatch.isolated import isolated
from benchmarks.dispatch.journal import journal
from benchmarks.dispatch.latency import latency
from benchmarks.dispatch.shared import shared
from benchmarks.dispatch.startup import startup
from benchmarks.figures import Figure, show
from vine.errors import ExitCode, VineError

# Those that start what they need themselves. They come first: nothing else runs beside them.
ALONE: dict[str, Callable[[int], list[Figure]]] = {"startup": startup, "journal": journal}
# Those on one bench, each with how many tasks a round has.
BENCHMARKS: dict[str, tuple[Callable[[Bench, int, int], list[Figure]], int]] = {
    "calls": (calls, 10_000),
    "latency": (latency, 500),
    "commands": (commands, 1_000),
    "isolated": (isolated, 1_000),
    "shared": (shared, 1_000),
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dispatch", description="How fast do tasks go out and results come back?"
    )
    parser.add_argument("benchmarks", nargs="+", choices=[*BENCHMARKS, *ALONE], metavar="|".join([*BENCHMARKS, *ALONE]))
    parser.add_argument("--json", action="store_true", help="one line of JSON a figure")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median is taken (default 3)")
    options = parser.parse_args(arguments)
    try:
        figures = measure(options.benchmarks, options.rounds)
    except (VineError, TimeoutError) as error:
        print(f"dispatch: {error}", file=sys.stderr)
        return getattr(error, "exit_code", ExitCode.FAILED)
    show(figures, as_json=options.json)
    return ExitCode.OK


def measure(names: Sequence[str], rounds: int) -> list[Figure]:
    figures = [figure for name in names if name in ALONE for figure in ALONE[name](rounds)]
    benched = [BENCHMARKS[name] for name in names if name in BENCHMARKS]
    if benched:
        with bench() as at:
            figures += [figure for take, count in benched for figure in take(at, rounds, count)]
    return figures
