"""What is a batch system to the factory: the four things that every launcher can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vine.errors import VineError
from vine.names import WorkerId


class LaunchFailed(VineError):  # noqa: N818 - the family reads as what happened
    """The batch system did not take a worker."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker that is no more, asked to or not; `message` says how it ended, in one line."""

    worker_id: WorkerId
    message: str


class Launcher(Protocol):
    """Workers are known by the names that the factory gave them; no call blocks, but `close`."""

    def submit(self, worker_id: WorkerId, command: Sequence[str]) -> None:
        """Have the command run as this worker, now or when its turn comes; LaunchFailed if refused."""

    def query(self, now: float) -> list[Ended]:
        """The workers that have ended since the last call; each is told once."""

    def cancel(self, worker_id: WorkerId, now: float) -> None:
        """Ask a worker to end, or withdraw it if its turn has not come; `query` tells when it is gone."""

    def close(self) -> None:
        """End all workers and return when none is left."""
