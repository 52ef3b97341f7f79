"""How long do tasks take that run the same, and how many of them are therefore queued on a worker ahead of time?"""

from __future__ import annotations

from vine import config

_LEAST_S = 1e-6
_WEIGHT = 0.2  # Of the newest duration in the running mean.
_SLACK = 1.5  # So much more or less than the number stands for must fit before it changes: means waver.


class Durations:
    """Running means, by what the tasks run."""

    def __init__(self) -> None:
        self.changes = 0  # of how many are to be queued
        self._known: dict[str, tuple[float, int]] = {}  # mean in seconds, and how many to queue

    def observe(self, body: str, run_s: float) -> None:
        """A task that runs this has taken so long."""
        known = self._known.pop(body, None)
        before_s, before = (run_s, 0) if known is None else known
        mean_s = before_s + _WEIGHT * (run_s - before_s)
        fit = config.prefetch_target_s / (mean_s if mean_s > _LEAST_S else _LEAST_S)
        number = before if known is not None and _still_suits(before, fit) else _rounded(fit)
        self._known[body] = mean_s, number
        if number != before:
            self.changes += 1
        if len(self._known) > config.durations_kept_max:
            del self._known[next(iter(self._known))]  # The one that was seen last the longest time ago.
            self.changes += 1

    def ahead(self, body: str) -> int:
        """A power of two or none, so that there are few shapes."""
        known = self._known.get(body)
        return 0 if known is None else known[1]


def _still_suits(number: int, fit: float) -> bool:
    return number <= fit * _SLACK and fit < (2 * number or 1) * _SLACK


def _rounded(fit: float) -> int:
    """The power of two below; 0 below 1."""
    whole = min(config.prefetch_tasks_max, int(fit))
    return 1 << whole.bit_length() - 1 if whole else 0
