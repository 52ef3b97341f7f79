"""What can a program ask of how its run stands: figures as they were told last, and rows of what there is?"""

from __future__ import annotations

from pathlib import Path
from typing import Any, overload

import msgspec

from vine import errors
from vine.client.session import Session
from vine.client.stats import Stats

_KINDS = ("manager", "workers", "tasks", "categories")


class Standing:
    """A manager's part that tells; see `Manager`."""

    name: str | None
    port: int
    run_directory: Path
    _session: Session

    @property
    def stats(self) -> Stats:
        """How the run stood a moment ago: workers, cores, tasks by state, bytes from manager and peers."""
        return Stats(self._session.state)

    @overload
    def status(self) -> dict[str, Any]: ...
    @overload
    def status(self, request: str) -> list[dict[str, Any]]: ...
    def status(self, request: str | None = None) -> dict[str, Any] | list[dict[str, Any]]:
        """`stats` and where the run lies, as plain data; or with a word, as in TaskVine, a list of dicts.

        "manager": that alone. "workers": a dict for each that is connected: id, hostname, capacity, used, running,
        staged, ... "categories": name, mode, running, measured, and the most that was used. Both as
        `vine-status --json` has them, up to a second old. "tasks": those of all clients that have not ended, with
        task_id, state, label, tag, category, priority and the worker that has it, or None, by the run's journal,
        which is 50 ms behind. Memory and disk are MB.
        UsageError for any other word.
        """
        if request is not None and request not in _KINDS:
            known = ", ".join(map(repr, _KINDS))
            raise errors.UsageError(f"there is no status of {request!r}: ask for one of {known}")
        if request in (None, "manager"):
            plain: dict[str, Any] = msgspec.structs.asdict(self._session.state)
            plain |= {"run_directory": str(self.run_directory), "port": self.port, "name": self.name}
            return plain if request is None else [plain]
        from vine.views.reading import open_run
        from vine.views.tasks import rows

        with open_run(self.run_directory) as run:
            if request == "tasks":
                return rows(run)
            heard = run.snapshot()
            found: list[dict[str, Any]] = [] if heard is None else heard[1][str(request)]
            return found
