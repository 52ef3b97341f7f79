"""How long does a broadcast take between hosts with links of a given rate: real processes in network namespaces."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.broadcast import namespaces
from benchmarks.broadcast.local import manager_options
from benchmarks.broadcast.outcome import Broadcast, Plan, bound_s, median
from benchmarks.broadcast.processes import Layout, a_site, write_random_file


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be measured; the manager has a host of its own."""

    workers: int
    size_bytes: int
    link_bytes_per_s: float
    plans: Sequence[Plan]
    encryption: Sequence[str]
    rounds: int


def broadcasts(wanted: Wanted) -> list[Broadcast]:
    """Every plan with every kind of encryption, on the same hosts; of each the round of the median time."""
    with (
        namespaces.hosts(wanted.workers + 1, wanted.link_bytes_per_s) as (manager, *workers),
        tempfile.TemporaryDirectory(prefix="vine-broadcast-") as folder,
    ):
        found = []
        for encryption in wanted.encryption:
            for plan in wanted.plans:
                options = manager_options(plan, encryption)
                layout = Layout(manager, tuple(workers), options)
                found.append(_measure(Path(folder), wanted, layout, plan, encryption))
        return found


def _measure(folder: Path, wanted: Wanted, layout: Layout, plan: Plan, encryption: str) -> Broadcast:
    params = {
        "hosts": wanted.workers,
        "mbit_per_s": wanted.link_bytes_per_s * 8 / 1e6,
        "encryption": encryption,
        "cap": plan.cap,
        "rounds": wanted.rounds,
    }
    bound = bound_s(wanted.size_bytes, wanted.link_bytes_per_s, None)
    rounds = []
    with tempfile.TemporaryDirectory(dir=folder) as site_folder, a_site(Path(site_folder), layout) as site:
        for number in range(wanted.rounds):
            path = folder / f"file-{number}"
            write_random_file(path, wanted.size_bytes)
            rounds.append(site.broadcast(path, plan.spread, bound, params))
            path.unlink()
    return median(rounds)
