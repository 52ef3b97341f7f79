"""How long does a broadcast take on this machine alone: real manager, real workers, loopback between them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import loopback
from benchmarks.broadcast.outcome import Broadcast, Plan, median
from benchmarks.broadcast.processes import Layout, Where, a_site, write_random_file


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be measured; every plan with every kind of encryption."""

    workers: int
    size_bytes: int
    plans: Sequence[Plan]
    encryption: Sequence[str]
    rounds: int


def broadcasts(wanted: Wanted) -> list[Broadcast]:
    """First one node that gets it from another, then all workers; of each the round of the median time."""
    found = []
    with tempfile.TemporaryDirectory(prefix="vine-broadcast-") as folder:
        for encryption in wanted.encryption:
            found.append(_one_from_one(wanted, encryption))
            found += [_measure(Path(folder), wanted, plan, encryption) for plan in wanted.plans]
    return found


def _one_from_one(wanted: Wanted, encryption: str) -> Broadcast:
    transfers = [loopback.transfer(wanted.size_bytes, encryption == "on") for _ in range(wanted.rounds)]
    rounds = [
        Broadcast(
            plan="one from one",
            workers=1,
            size_bytes=wanted.size_bytes,
            seconds=transfer.seconds,
            bound_s=None,
            sent_bytes={"source": wanted.size_bytes},
            spans={"receiver": (0.0, transfer.seconds)},
            params=_params(wanted, encryption),
        )
        for transfer in transfers
    ]
    return median(rounds)


def _measure(folder: Path, wanted: Wanted, plan: Plan, encryption: str) -> Broadcast:
    options = manager_options(plan, encryption)
    layout = Layout(Where(), (Where(),) * wanted.workers, options)
    rounds = []
    with (
        tempfile.TemporaryDirectory(dir=folder) as site_folder,
        a_site(Path(site_folder), layout) as site,
    ):
        for number in range(wanted.rounds):
            path = folder / f"file-{number}"
            write_random_file(path, wanted.size_bytes)
            params = {**_params(wanted, encryption), "cap": plan.cap}
            rounds.append(site.broadcast(path, plan.spread, None, params))
            path.unlink()
    return median(rounds)


def _params(wanted: Wanted, encryption: str) -> dict[str, object]:
    return {"loopback": True, "encryption": encryption, "rounds": wanted.rounds}


def manager_options(plan: Plan, encryption: str) -> tuple[str, ...]:
    limit = f"source_transfers_max={plan.cap}"
    return ("--spread", plan.spread, "--set", limit, "--data-encryption", encryption)
