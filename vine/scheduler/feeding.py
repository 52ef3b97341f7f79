"""How many tasks at once can this manager keep busy, by what its own time for them was until now?"""

from __future__ import annotations

from vine import config


class Feeding:
    """Of the tasks that have ended lately: how long they ran, and how long the manager worked meanwhile.

    A manager that works B seconds while tasks end that ran R seconds in sum would be busy all the time
    if R / B ran at once.
    """

    def __init__(self) -> None:
        self.tasks_at_once_max: int | None = None  # None until enough have ended
        self._tasks = 0
        self._run_s = 0.0
        self._busy_s = 0.0

    def ended(self, run_s: float) -> None:
        self._tasks += 1
        self._run_s += run_s

    def was_busy(self, seconds: float) -> None:
        """The manager's own time since this was last said."""
        self._busy_s += seconds
        if self._tasks < config.feeding_tasks_min or not self._busy_s:
            return
        now = max(1, int(config.feeding_share * self._run_s / self._busy_s))
        before = self.tasks_at_once_max
        if before is None or abs(now - before) > config.feeding_step * before:
            self.tasks_at_once_max = now
        if self._tasks > config.feeding_tasks_kept:
            self._tasks, self._run_s, self._busy_s = self._tasks // 2, self._run_s / 2, self._busy_s / 2
