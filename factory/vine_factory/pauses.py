"""When may how many more workers be asked for: pauses after what went wrong, and the user's limit per cycle."""

from __future__ import annotations

import math

from vine import config


class Pauses:
    """Growing pauses after young deaths and refusals, smaller submissions after refusals, so many a cycle."""

    def __init__(self) -> None:
        self.not_before = -math.inf
        self.troubles = 0  # in a row
        self.since = -math.inf  # when the last of them was
        self.length_s = 0.0  # of the pause after it
        self.words = ""  # what went wrong last ...
        self._told_at = -math.inf  # ... and when
        self._at_once = config.launch_batch_max
        self._cycle_began = -math.inf
        self._in_cycle = 0

    def trouble(self, launched_at: float, now: float) -> None:
        """Hold launches back; all of a wave that was launched together double the pause once."""
        if launched_at > self.since:
            self.troubles += 1
            self.since = now
        pause_s = config.launch_backoff_s * 2.0 ** min(self.troubles - 1, 30)  # The bound avoids an overflow.
        self.length_s = min(pause_s, config.launch_backoff_max_s)
        self.not_before = max(self.not_before, now + self.length_s)

    def tell(self, words: str, now: float) -> None:
        """So it is told what went wrong, with or without a pause."""
        self.words, self._told_at = words, now

    def forgive(self, launched_at: float) -> None:
        """A worker that was launched then has grown old: it goes well again if that was after all trouble."""
        if launched_at > self.since:
            self.troubles = 0
        if launched_at > self._told_at:
            self.words = ""

    def refused(self, number: int) -> None:
        """So many at once were too many, perhaps: the user has a limit of jobs, say."""
        self._at_once = max(1, number // 2)

    def accepted(self, number: int) -> None:
        self._at_once = min(config.launch_batch_max, max(self._at_once, 2 * number))

    def allowed(self, unanswered: int, per_cycle: int | None, cycle_s: float, now: float) -> int:
        """How many may be launched now, while so many submissions have no answer yet."""
        if now < self.not_before:
            return 0
        left = math.inf if per_cycle is None else per_cycle
        if per_cycle is not None and now < self._cycle_began + cycle_s:
            left = per_cycle - self._in_cycle
        return int(max(0, min(self._at_once - unanswered, left)))

    def launched(self, number: int, cycle_s: float, now: float) -> None:
        if now >= self._cycle_began + cycle_s:
            self._cycle_began, self._in_cycle = now, 0
        self._in_cycle += number

    def over_at(self, per_cycle: int | None, cycle_s: float) -> float | None:
        """When more may be allowed though nothing else happens."""
        full = per_cycle is not None and self._in_cycle >= per_cycle
        over_at = max(self.not_before, self._cycle_began + cycle_s if full else -math.inf)
        return None if over_at == -math.inf else over_at
