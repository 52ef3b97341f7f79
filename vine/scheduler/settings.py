"""What is fixed for a run: the scheduler's settings, with the limits of `config` as defaults."""

from __future__ import annotations

from dataclasses import dataclass

from vine import config
from vine.names import RunId


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
    peer_transfers: bool = True
    transfers_max: int = config.source_transfers_max
    worker_lost_after_s: float = config.worker_lost_after_s
    client_lost_after_s: float = config.manager_lost_after_s
    no_fit_grace_s: float = config.no_fit_grace_s
