"""How does vine's executor compare with Parsl's own, round by round in turns?"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence

from benchmarks.counts import count
from benchmarks.figures import Figure, show
from benchmarks.parsl.executors import EXECUTORS, SLOTS
from benchmarks.parsl.round import Round
from benchmarks.peers.processes import ROUND_S, RoundFailed, output_of
from vine.errors import ExitCode

_UNITS = {"startup_s": "s", "apps_per_s": "1/s", "chain_s": "s"}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        found = {log: _rounds(log, options) for log in options.log}
    except RoundFailed as why:
        print(f"parsl: {why}", file=sys.stderr)
        return ExitCode.FAILED
    for log, medians in found.items():
        show(figures(medians, {"log": log, "apps": options.apps, "chain": options.chain}), as_json=options.json)
    return ExitCode.OK


def _rounds(log: str, options: argparse.Namespace) -> dict[str, Round]:
    """Medians, of rounds that take turns."""
    rounds: dict[str, list[Round]] = {name: [] for name in EXECUTORS}
    for number in range(1, options.rounds + 1):
        for name, done in rounds.items():
            print(f"parsl: round {number} of {options.rounds}, log {log}: {name}", file=sys.stderr, flush=True)
            done.append(_round(name, log, options.apps, options.chain))
    return {name: medians(done) for name, done in rounds.items()}


def _round(name: str, log: str, apps: int, chain: int) -> Round:
    with tempfile.TemporaryDirectory(prefix="vine-parsl-", ignore_cleanup_errors=True) as folder:
        words = [name, folder, "log" if log == "on" else "none", str(apps), str(chain)]
        return Round(**json.loads(output_of([sys.executable, "-m", "benchmarks.parsl.round", *words], folder, ROUND_S)))


def medians(rounds: Sequence[Round]) -> Round:
    return Round(*(statistics.median(getattr(one, name) for one in rounds) for name in _UNITS))


def figures(found: Mapping[str, Round], params: Mapping[str, object]) -> list[Figure]:
    """Every median; then vine's apps a second over the others', and its times over HTEX's."""
    every = [
        Figure(name, getattr(of, name), unit, {"executor": executor, **params})
        for executor, of in found.items()
        for name, unit in _UNITS.items()
    ]
    ours, htex, threads = found["vine"], found["htex"], found["threads"]
    return [
        *every,
        Figure("apps_of_threads", ours.apps_per_s / threads.apps_per_s, "", params),
        Figure("apps_of_htex", ours.apps_per_s / htex.apps_per_s, "", params),
        Figure("chain_of_htex", ours.chain_s / htex.chain_s, "", params),
        Figure("startup_of_htex", ours.startup_s / htex.startup_s, "", params),
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.parsl",
        description=f"No-op apps of Parsl on {SLOTS} slots of vine, of HTEX, and of threads in this process.",
    )
    parser.add_argument("--apps", type=count, default=2_000, help="of a round, called one by one (default %(default)s)")
    parser.add_argument("--chain", type=count, default=100, help="apps that each need the one before (%(default)s)")
    parser.add_argument("--rounds", type=count, default=3, help="of which the median is taken (default %(default)s)")
    parser.add_argument(
        "--log", nargs="+", choices=["on", "off"], default=["on", "off"], help="whether Parsl writes its log (both)"
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON a figure")
    return parser
