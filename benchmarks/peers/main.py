"""Which systems are here, and how do they compare, round by round in turns?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from benchmarks.counts import count
from benchmarks.figures import show
from benchmarks.peers.child import Round
from benchmarks.peers.comparison import Medians, figures, medians, table
from benchmarks.peers.interface import PEERS, WORKERS, Peer
from benchmarks.peers.processes import RoundFailed, run_round
from vine.errors import ExitCode


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    asked = [peer for peer in PEERS if not options.only or peer.home in options.only]
    for peer in asked:
        if not peer.installed:
            _tell(f"{peer.name} is not compared: there is no package {peer.package} here")
    found, failed = compare([peer for peer in asked if peer.installed], options.rounds, options.calls)
    for name, why in failed.items():
        _tell(f"{name} has failed: {why}")
    if options.json:
        show(figures(found), as_json=True)
    else:
        Console(width=None if sys.stdout.isatty() else 140).print(table(found))
        ratios = [figure for figure in figures(found) if "_of_better_" in figure.name]
        show(ratios, as_json=False)
    return ExitCode.FAILED if failed else ExitCode.OK


def compare(peers: Sequence[Peer], rounds: int, calls: int) -> tuple[dict[Peer, Medians], dict[str, str]]:
    """Round after round, each over all systems; one that fails once is left out from then on."""
    measured: dict[Peer, list[Round]] = {peer: [] for peer in peers}
    failed: dict[str, str] = {}
    for number in range(1, rounds + 1):
        for peer in [peer for peer in peers if peer.name not in failed]:
            _tell(f"round {number} of {rounds}: {peer.name}")
            try:
                measured[peer].append(run_round(peer, calls))
            except RoundFailed as why:
                failed[peer.name] = str(why)
    return {peer: medians(of) for peer, of in measured.items() if peer.name not in failed}, failed


def _tell(what: str) -> None:
    print(f"peers: {what}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=f"The same calls on {WORKERS} workers of vine, and of each other system that is installed.",
    )
    homes = ", ".join(peer.home for peer in PEERS)
    parser.add_argument(
        "--only", nargs="+", choices=[peer.home for peer in PEERS], metavar="SYSTEM", help=f"some of {homes}"
    )
    parser.add_argument(
        "--calls", type=count, default=10_000, help="of a round (default %(default)s); slower systems get fewer"
    )
    parser.add_argument("--rounds", type=count, default=3, help="of which the median is taken (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="one line of JSON a figure")
    return parser
