"""How did a task go: what it says of itself, in TaskVine's words, when `Manager.wait` has returned it."""

from __future__ import annotations

from typing import Any

from vine import errors
from vine.client import resources
from vine.names import TaskId
from vine.wire.parts import Outcome, Request, TaskResult, Times

# Not all of ours have a word of their own there; `error` tells them apart. As there, a command that has ended by itself
# is a success whatever its exit code.
RESULTS: dict[Outcome, str] = {
    Outcome.SUCCESS: "success",
    Outcome.EXIT_CODE: "success",
    Outcome.EXCEPTION: "success",
    Outcome.NOT_SERIALISABLE: "success",
    Outcome.KILLED: "signal",
    Outcome.TIME_LIMIT: "max wall time",
    Outcome.MEMORY_LIMIT: "resource exhaustion",
    Outcome.DISK_LIMIT: "resource exhaustion",
    Outcome.PROCESS_LIMIT: "resource exhaustion",
    Outcome.OUTPUT_LIMIT: "resource exhaustion",
    Outcome.FIXED_LOCATION_MISSING: "fixed location missing",
    Outcome.END_TIME: "max end time",
    Outcome.FORSAKEN: "forsaken",
    Outcome.CANCELLED: "cancelled",
    Outcome.OUTPUT_MISSING: "output missing",
    Outcome.INPUT_MISSING: "input missing",
    Outcome.INPUT_CHANGED: "input missing",
    Outcome.INPUT_ALTERED: "unknown",
    Outcome.DEPENDENCY_FAILED: "input missing",
    Outcome.NO_WORKER_FITS: "resource exhaustion",
    Outcome.WORKER_LOST: "max retries",
    Outcome.DISK_FULL: "sandbox exhaustion",
    Outcome.PYTHON_MISMATCH: "unknown",
    Outcome.START_FAILED: "unknown",
    Outcome.UNPREPARED: "unknown",
    Outcome.TRANSFER_FAILED: "output transfer error",
    Outcome.LIBRARY_FAILED: "library exit",
    Outcome.LIBRARY_MISSING: "missing library",
}
_EXITED_WITH_1 = frozenset({Outcome.EXCEPTION, Outcome.NOT_SERIALISABLE})


class Ended:
    """A task's part that is filled when it has ended; see `Task`."""

    id: TaskId | None
    ended_as: TaskResult | None
    _request: dict[str, float]
    _time_limit_s: float | None

    @property
    def result(self) -> str | None:
        """How it ended, in TaskVine's words: 'success', 'max wall time', 'resource exhaustion', ...; None before.

        'success' is that the command or function has ended by itself: `exit_code`, or `successful()`, tells how.
        `error` has the cause of any other end in full.
        """
        return None if self.ended_as is None else RESULTS[self.ended_as.outcome]

    def completed(self) -> bool:
        """Whether its command or function has ended by itself, with whatever exit code."""
        return self.result == "success"

    def successful(self) -> bool:
        """Whether it has ended with exit code 0, and made its outputs; a function: whether it has returned."""
        return self.ended_as is not None and self.ended_as.outcome is Outcome.SUCCESS

    @property
    def exit_code(self) -> int | None:
        """The command's; the signal's number of one that was killed by a signal ('signal').

        Of a function 0, or 1 if it has raised. None if the task has not run to its end.
        """
        ended = self._ended()
        if ended.outcome is Outcome.SUCCESS:
            return 0
        return 1 if ended.outcome in _EXITED_WITH_1 else ended.exit_code

    @property
    def std_output(self) -> str:
        """What it wrote to stdout, up to 256 KiB; stderr is apart, in `std_error`."""
        return self._ended().stdout.decode(errors="replace")

    @property
    def std_error(self) -> str:
        """What it wrote to stderr, up to 256 KiB."""
        return self._ended().stderr.decode(errors="replace")

    @property
    def spilled(self) -> str | None:
        """The folder on `hostname` where `stdout` and `stderr` lie whole, if one of them was longer than 256 KiB.

        None if both came back whole. Of a failed task it is among the run's logs, if it has room there; else it is on
        the worker's disk, and goes with the worker, or to make room for later ones; '' if there was none.
        """
        return self._ended().spilled

    @property
    def output(self) -> Any:
        """The same as `std_output`."""
        return self.std_output

    @property
    def hostname(self) -> str:
        """Of the machine that ran it last; '' if none did."""
        return self._ended().hostname

    @property
    def worker(self) -> str | None:
        """The id of the worker that ran it last."""
        return self._ended().worker_id

    @property
    def times(self) -> Times:
        """Where its time on that worker went, in seconds."""
        return self._ended().times

    @property
    def resources_requested(self) -> resources.TaskResources:
        """What it asked for; None for what it did not name."""
        return resources.requested(Request(**self._request))

    @property
    def resources_allocated(self) -> resources.TaskResources:
        """What it was given on its worker."""
        return resources.allocated(self._ended())

    @property
    def resources_measured(self) -> resources.TaskResources:
        """The most that it has used."""
        return resources.measured(self._ended())

    @property
    def limits_exceeded(self) -> resources.TaskResources | None:
        """The one limit that the task was killed for, the other amounts being None; None if it was for none."""
        return resources.exceeded(self._ended(), Request(**self._request), self._time_limit_s)

    def _ended(self) -> TaskResult:
        if self.ended_as is None:
            raise errors.UsageError(f"{self!r} has not ended: it says how it went once Manager.wait() has returned it")
        return self.ended_as
