"""What is fixed for a run: the scheduler's settings, with the limits of `config` as defaults."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from vine import config
from vine.names import RunId


class Spread(enum.Enum):
    """How large objects come to many workers. All but the first are there to be compared with it."""

    FOREST = "forest"  # three trees of chunks, in each of which every worker hangs
    CHAIN = "chain"  # each worker passes chunks on to one other
    WHOLE_FILE = "whole-file"  # who has it all is a source, for so many flows as the cap allows
    ONE_SOURCE = "one-source"  # the manager alone sends


@dataclass(frozen=True, slots=True)
class Settings:
    """What the driver tells the scheduler once; `run_secret` is the only secret that it holds."""

    run_id: RunId
    epoch: int
    run_dir: str
    staging_dir: str
    host_id: str
    run_secret: bytes
    requests_endpoint: str  # of the manager's own transfer node
    chunks_endpoint: str
    spread: Spread = Spread.FOREST
    transfers_max: int = config.source_transfers_max
    source_patience: float = config.source_patience
    worker_suspected_after_s: float = config.worker_suspected_after_s
    worker_lost_after_s: float = config.worker_lost_after_s
    worker_cut_off_s: float = config.worker_cut_off_s
    client_lost_after_s: float = config.manager_lost_after_s
    lease_s: float = config.lease_s
    no_fit_grace_s: float = config.no_fit_grace_s
    lossy: bool = False  # The end of the journal was lost, and the run goes on all the same.
    wall_clock_ahead_s: float = 0.0  # of the clock by which the driver tells the time
