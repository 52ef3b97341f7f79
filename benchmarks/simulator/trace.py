"""What has happened, in order: a digest by which two runs can be compared, and the records themselves if asked for."""

from __future__ import annotations

import hashlib

from benchmarks.simulator.clock import Clock


class Trace:
    """One line an event. Equal digests mean equal runs."""

    def __init__(self, clock: Clock, *, keep: bool = False) -> None:
        self._clock = clock
        self._hash = hashlib.blake2b(digest_size=16)
        self.count = 0
        self.lines: list[str] | None = [] if keep else None

    def note(self, *words: object) -> None:
        line = f"{self._clock.ticks} {' '.join(map(str, words))}\n"
        self._hash.update(line.encode())
        self.count += 1
        if self.lines is not None:
            self.lines.append(line)

    def digest(self) -> str:
        return self._hash.hexdigest()
