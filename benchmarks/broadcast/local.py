"""How long does a broadcast take on this machine alone: real manager, real workers, loopback between them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.broadcast.outcome import Broadcast, median
from benchmarks.broadcast.processes import Layout, Where, a_site, write_random_file


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be measured; every plan with every kind of encryption."""

    workers: int
    size_bytes: int
    plans: Sequence[str]
    encryption: Sequence[str]
    transfers_max: int
    rounds: int


def broadcasts(wanted: Wanted) -> list[Broadcast]:
    """First one worker that gets it from one source, then all; of each the round of the median time."""
    found = []
    with tempfile.TemporaryDirectory(prefix="vine-broadcast-") as folder:
        for encryption in wanted.encryption:
            for workers in (1, wanted.workers):
                for plan in wanted.plans if workers > 1 else wanted.plans[:1]:
                    found.append(_measure(Path(folder), wanted, workers, plan, encryption))
    return found


def _measure(folder: Path, wanted: Wanted, workers: int, plan: str, encryption: str) -> Broadcast:
    options = manager_options(plan, wanted.transfers_max, encryption)
    layout = Layout(Where(), (Where(),) * workers, options)
    params = {"loopback": True, "encryption": encryption, "cap": wanted.transfers_max, "rounds": wanted.rounds}
    rounds = []
    with (
        tempfile.TemporaryDirectory(dir=folder) as site_folder,
        a_site(Path(site_folder), layout) as site,
    ):
        for number in range(wanted.rounds):
            path = folder / f"file-{number}"
            write_random_file(path, wanted.size_bytes)
            rounds.append(site.broadcast(path, plan, None, params))
            path.unlink()
    return median(rounds)


def manager_options(plan: str, transfers_max: int, encryption: str) -> tuple[str, ...]:
    limit = f"source_transfers_max={transfers_max}"
    return ("--spread", plan, "--set", limit, "--data-encryption", encryption)
