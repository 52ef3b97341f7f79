"""Do so many seeds keep every promise, and which one does not: `python -m benchmarks.simulator.faults`?"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence

from benchmarks.simulator.faults.cluster import QUICK, SIZES, Size
from benchmarks.simulator.faults.run import Run, Verdict

_TRACE_LINES = 60
_TELL_EVERY_S = 60.0  # how far it is


def size_of(seed: int, sizes: str) -> Size:
    """Of ten seeds eight of the smallest, which finds the most in a given time."""
    return QUICK if sizes == "quick" else SIZES[(0, 0, 0, 0, 0, 0, 0, 0, 1, 2)[seed % 10]]


class Tally:
    """What has come of the seeds until now."""

    def __init__(self, seeds: int) -> None:
        self._seeds = seeds
        self._began_s = self._told_s = time.perf_counter()
        self._done = self._events = 0
        self.failed: list[int] = []

    def count(self, verdict: Verdict) -> None:
        self._done += 1
        self._events += verdict.events
        if verdict.error:
            self.failed.append(verdict.seed)

    def tell_now_and_then(self) -> None:
        now = time.perf_counter()
        if now - self._told_s >= _TELL_EVERY_S:
            self._told_s = now
            left_s = (now - self._began_s) / self._done * (self._seeds - self._done)
            print(f"{self._done} of {self._seeds} seeds, {len(self.failed)} failed; {left_s / 3600:.1f} h to go")
            sys.stdout.flush()

    def __str__(self) -> str:
        took_s = time.perf_counter() - self._began_s
        rate = f"{self._events} events in {took_s:.1f} s, {self._events / took_s:.0f} a second"
        return f"{self._done} seeds, {len(self.failed)} failed; {rate}"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    seeds = [options.seed] if options.seed is not None else range(options.first, options.first + options.seeds)
    tally = Tally(len(seeds))
    try:
        _run(seeds, options, tally)
    except KeyboardInterrupt:
        print("interrupted")
    for seed in tally.failed if len(tally.failed) > 1 else ():
        print(_command(seed, options.sizes))
    print(tally)
    return 1 if tally.failed else 0


def _run(seeds: Iterable[int], options: argparse.Namespace, tally: Tally) -> None:
    for seed in seeds:
        run = Run(seed, size_of(seed, options.sizes), keep_trace=options.trace)
        verdict = run.verdict()
        tally.count(verdict)
        if options.trace:
            sys.stdout.writelines((run.cluster.trace.lines or [])[-options.lines :])
        if verdict.error:
            print(f"seed {seed}: {verdict.error}\n  {_command(seed, options.sizes)} --trace", flush=True)
            if len(tally.failed) >= options.failures:
                return
        tally.tell_now_and_then()


def _command(seed: int, sizes: str) -> str:
    return f"python -m benchmarks.simulator.faults --seed {seed} --sizes {sizes}"


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
