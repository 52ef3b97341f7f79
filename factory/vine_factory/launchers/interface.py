"""What is a batch system to the factory: the six things that every launcher can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from vine.errors import VineError
from vine.names import WorkerId
from vine_factory.fleet import JobState


class LaunchFailed(VineError):  # noqa: N818 - the family reads as what happened
    """The batch system did not take workers, or did not answer."""


class Launcher(Protocol):
    """Starts workers through one batch system. One thread of the factory makes all calls, one after the other.

    Every call may take as long as the batch system does, and raises LaunchFailed, in one line that says what to do,
    where that refuses or does not answer. Workers are known by the names that the factory gave them; names handed to
    `prepare` and `submit` together are consecutive (see `Batch`).
    """

    def prepare(self, worker_ids: Sequence[WorkerId]) -> list[str]:
        """Write the helper script, and what else there is, for these; returns the command that would submit it."""

    def submit(self, worker_ids: Sequence[WorkerId]) -> None:
        """Prepare these and have them run, now or when their turn comes: all of them or none."""

    def query(self) -> Mapping[WorkerId, JobState]:
        """All jobs of this factory that the batch system has, those of an earlier factory of this name too."""

    def cancel(self, worker_ids: Sequence[WorkerId]) -> None:
        """Have these end, or withdraw those whose turn has not come; who is not there is none of its worries."""

    def last_words(self, worker_id: WorkerId) -> str:
        """How a worker that is gone ended, in one line, as far as can be told."""

    def close(self) -> None:
        """Give back what the launcher itself holds; all jobs have ended, or were left."""
