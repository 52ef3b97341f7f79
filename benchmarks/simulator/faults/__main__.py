"""Do so many seeds keep every promise, and which one does not: `python -m benchmarks.simulator.faults`?"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from benchmarks.simulator.faults.cluster import QUICK, SIZES, Size
from benchmarks.simulator.faults.run import Run, Verdict

_TRACE_LINES = 60


def size_of(seed: int, sizes: str) -> Size:
    """Of nine seeds in ten the smallest, which finds the most in a given time."""
    return QUICK if sizes == "quick" else SIZES[(0, 0, 0, 0, 0, 0, 0, 0, 1, 2)[seed % 10]]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    seeds = [options.seed] if options.seed is not None else range(options.first, options.first + options.seeds)
    started_s, events, failed = time.perf_counter(), 0, 0
    for seed in seeds:
        run = Run(seed, size_of(seed, options.sizes), keep_trace=options.trace)
        verdict = run.verdict()
        events += verdict.events
        if options.trace:
            sys.stdout.writelines((run.cluster.trace.lines or [])[-options.lines :])
        if verdict.error:
            failed += 1
            _tell(verdict, options.sizes)
            if failed >= options.failures:
                break
    took_s = time.perf_counter() - started_s
    print(f"{len(seeds)} seeds, {failed} failed; {events} events in {took_s:.1f} s, {events / took_s:.0f} a second")
    return 1 if failed else 0


def _tell(verdict: Verdict, sizes: str) -> None:
    print(f"seed {verdict.seed}: {verdict.error}")
    print(f"  python -m benchmarks.simulator.faults --seed {verdict.seed} --sizes {sizes} --trace", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulator.faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many (%(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (%(default)s)")
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument("--sizes", choices=("quick", "all"), default="quick", help="of the runs (%(default)s)")
    parser.add_argument("--failures", type=int, default=10, help="end after so many (%(default)s)")
    parser.add_argument("--trace", action="store_true", help="print what happened last")
    parser.add_argument("--lines", type=int, default=_TRACE_LINES, help="... so many lines of it (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
