"""Are this worker's copies still good: what somebody doubts is hashed again, beside the worker's loop?"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from vine.content.store import Store
from vine_worker import actions as act
from vine_worker import mistakes


class Verifying:
    """The objects that are being hashed again, one after the other."""

    def __init__(self, store: Store, report: Callable[[object], None]) -> None:
        self._store = store
        self._report = report  # takes local events, from any thread
        self._thread = ThreadPoolExecutor(1, "verify")

    def start(self, action: act.Verify) -> None:
        """Hashes on a thread; reports `Verified`."""
        self._thread.submit(self._run, action)

    def _run(self, action: act.Verify) -> None:
        with mistakes.told_to(self._report):
            good = self._store.verify(action.object_id)
            self._report(act.Verified(action.object_id, good))

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)
