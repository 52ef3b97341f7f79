"""How does the run stand, under our names and under those that TaskVine has for the same figures?"""

from __future__ import annotations

from vine.wire.messages import RunState


class Stats:
    """A run as its manager told it last, up to a second ago; tasks are those of all clients."""

    def __init__(self, state: RunState) -> None:
        self.workers = state.workers  # that are connected
        self.cores = state.cores  # of these together
        self.tasks = dict(state.tasks)  # by state; those that have ended stay counted
        self.bytes_from_manager = state.bytes_from_manager
        self.bytes_from_peers = state.bytes_from_peers

    def _in(self, *states: str) -> int:
        return sum(self.tasks.get(state, 0) for state in states)

    @property
    def workers_connected(self) -> int:
        return self.workers

    @property
    def total_cores(self) -> float:
        return self.cores

    @property
    def tasks_waiting(self) -> int:
        """Submitted, and on no worker."""
        return self._in("waiting", "ready")

    @property
    def tasks_on_workers(self) -> int:
        """Given to a worker, and not ended."""
        return self._in("staged", "running", "collecting")

    @property
    def tasks_running(self) -> int:
        return self._in("running")

    @property
    def tasks_with_results(self) -> int:
        """Their bodies have ended, and what they have made is coming back."""
        return self._in("collecting")

    @property
    def tasks_submitted(self) -> int:
        return sum(self.tasks.values())

    @property
    def tasks_done(self) -> int:
        """Ended, however that was."""
        return self._in("done", "failed", "cancelled")

    @property
    def tasks_failed(self) -> int:
        return self._in("failed")

    @property
    def tasks_cancelled(self) -> int:
        return self._in("cancelled")

    def __repr__(self) -> str:
        return f"<vine.Stats {self.workers} workers, {self.cores:g} cores, tasks {self.tasks}>"
