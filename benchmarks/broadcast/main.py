"""How long until the last of many workers has a large file, and how far is that from what the links allow?"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import figures
from benchmarks.broadcast import local, namespaces, outcome, quantities, shaped, simulated
from benchmarks.broadcast.outcome import Broadcast, Plan
from benchmarks.counts import count_of_some
from vine import config
from vine.errors import ExitCode, VineError
from vine.scheduler.settings import Spread

_INTERRUPTED = 130  # As shells say it.
_PLANS = tuple(spread.value for spread in Spread)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if (options.slow or options.kill) and not options.simulate:
        parser.error("--slow and --kill are for --simulate: real nodes are as they are")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        found = _run(options)
    except (VineError, TimeoutError) as error:
        print(f"broadcast: {error}", file=sys.stderr)
        return getattr(error, "exit_code", ExitCode.FAILED)
    except KeyboardInterrupt:
        print("broadcast: interrupted", file=sys.stderr)
        return _INTERRUPTED
    if options.json:
        figures.show([figure for broadcast in found for figure in broadcast.figures()], as_json=True)
    else:
        outcome.show(found)
    if options.png is not None:
        from benchmarks.broadcast import waterfall  # matplotlib takes a second to import.

        waterfall.draw([broadcast for broadcast in found if broadcast.workers > 1] or found, options.png)
    return ExitCode.OK


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.broadcast", description=__doc__)
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--loopback", action="store_true", help="real processes on this machine alone (the default)")
    ways.add_argument(
        "--hosts", type=_hosts, metavar="N", help="real processes in N network namespaces and one of the manager's"
    )
    ways.add_argument("--simulate", action="store_true", help="the true cores in virtual time")
    parser.add_argument("--workers", type=count_of_some, default=8, help="that all get the file (default %(default)s)")
    parser.add_argument("--plan", type=_plans, default=("forest",), help=f"one or several of {','.join(_PLANS)}")
    cap = config.source_transfers_max
    parser.add_argument(
        "--cap", type=_caps, default=(cap,), metavar="CAPS",
        help=f"flows out of a node at once (default {cap}); of several, as in 1,3,10, whole-file is run with each",
    )  # fmt: skip
    parser.add_argument(
        "--size", type=quantities.size, help="of the file (default 256MiB; --hosts: 64MiB; --simulate: 908MB)"
    )
    parser.add_argument(
        "--rate", type=quantities.rate, help="of each link, each way (default 10gbit; --hosts: 100mbit)"
    )
    parser.add_argument("--encryption", choices=("on", "off", "both"), default="on", help="of the data sockets")
    parser.add_argument(
        "--rounds",
        type=count_of_some,
        help="of which the median is taken (default 3; --hosts: 1; --simulate: always 1)",
    )
    parser.add_argument(
        "--slow", type=int, choices=(0, 1), default=0,
        help="--simulate: one 4 x slow node at a root, once slow to send and once both ways",
    )  # fmt: skip
    parser.add_argument(
        "--kill", type=int, choices=(0, 1), default=0, help="--simulate: one node at a root that is killed midway"
    )
    parser.add_argument("--seed", type=int, default=0, help="--simulate: of the dice")
    parser.add_argument("--json", action="store_true", help="one line of JSON a figure")
    parser.add_argument("--png", type=Path, metavar="FILE", help="draw who received when")
    return parser


def _run(options: argparse.Namespace) -> list[Broadcast]:
    if options.simulate:
        return _simulate(options)
    both = ("on", "off") if options.encryption == "both" else (options.encryption,)
    if options.hosts:
        rate, size = options.rate or quantities.rate("100mbit"), options.size or 64 << 20
        wanted = shaped.Wanted(options.hosts, size, rate, _plans_of(options), both, options.rounds or 1)
        return shaped.broadcasts(wanted)
    size = options.size or 256 << 20
    return local.broadcasts(local.Wanted(options.workers, size, _plans_of(options), both, options.rounds or 3))


def _simulate(options: argparse.Namespace) -> list[Broadcast]:
    found: list[Broadcast] = []
    rate, size = options.rate or quantities.rate("10gbit"), options.size or 908_000_000
    for plan in _plans_of(options):
        wanted = simulated.Wanted(options.workers, size, rate, plan, options.seed)
        if options.slow:
            found += simulated.with_slow_node(wanted)
        if options.kill:
            found += simulated.with_killed_node(wanted)
        if not options.slow and not options.kill:
            found.append(simulated.broadcast(wanted))
    return found


def _plans_of(options: argparse.Namespace) -> list[Plan]:
    """Of several caps the usual one, if it is among them, holds for what they matter little to."""
    usual = config.source_transfers_max
    cap = usual if usual in options.cap else options.cap[0]
    found = []
    for spread in options.plan:
        caps = options.cap if spread == Spread.WHOLE_FILE.value else (cap,)
        found += [Plan(spread, cap) for cap in caps]
    return found


def _caps(text: str) -> tuple[int, ...]:
    return tuple(count_of_some(cap) for cap in text.split(","))


def _plans(text: str) -> tuple[str, ...]:
    plans = tuple(text.split(","))
    for plan in plans:
        if plan not in _PLANS:
            raise argparse.ArgumentTypeError(f"there is no plan {plan!r}: name some of {','.join(_PLANS)}")
    return plans


def _hosts(text: str) -> int:
    hosts = count_of_some(text)
    if hosts >= namespaces.HOSTS_MAX:
        raise argparse.ArgumentTypeError(f"{hosts} hosts do not fit into their network: {namespaces.HOSTS_MAX - 1} do")
    return hosts
