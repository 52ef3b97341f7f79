"""How does work that blocks leave the socket thread and its result come back?"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from vine.transfer.mailbox import Mailbox

Result = TypeVar("Result")


class Jobs:
    """Threads that take jobs in order; the results are posted to a mailbox."""

    def __init__(self, mailbox: Mailbox, threads: int, name: str) -> None:
        self._mailbox = mailbox
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self.running = 0  # jobs whose outcome has not been told; only for the mailbox's thread

    def run(self, job: Callable[[], Result], done: Callable[[Future[Result]], None]) -> None:
        """Do the job on a thread, then call `done` with its outcome on the mailbox's.

        What `done` does not catch of the job's errors is our own mistake, and ends the mailbox's thread.
        """
        self.running += 1
        self._pool.submit(job).add_done_callback(lambda future: self._mailbox.post(self._tell, done, future))

    def _tell(self, done: Callable[[Future[Result]], None], future: Future[Result]) -> None:
        self.running -= 1
        done(future)

    def close(self) -> None:
        """Drop the jobs that have not begun and wait for the others."""
        self._pool.shutdown(wait=True, cancel_futures=True)
