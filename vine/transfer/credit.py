"""How many chunks may be outstanding at one source? Twice its rate times its delay, both as measured.

The delay is from the want to the chunk on disk, and only chunks count that the source could send at once:
for the others the delay says how far ahead we ask. If the source had to wait for many of a batch, the rate is
that of its own sources, and what waits there takes room too: such a batch only widens the window, which it does
when a source begins to have more than it is asked for.
A window that is full makes a queue at the source, which would be taken for distance and make the window grow
without end (rate times mean delay is always the window itself, by Little's law). So the lowest delay of the last
batches counts, and one batch in `credit_batches` is wanted with a quarter of the window, in which the queue goes
(as in BBR, Cardwell et al. 2016): that shows the delay without it if the window is right, and halves one that is
far too large.
"""

from __future__ import annotations

import math
from collections import deque

from vine import config


class Credit:
    """The window of one edge, in chunks."""

    def __init__(self, stripes: int = 1) -> None:
        self._window = min(config.credit_chunks * stripes, config.credit_chunks_max)
        self._began_at: float | None = None  # the batch
        self._count = 0  # of the chunks that have been stored since
        self._delays_s: list[float] = []  # of those that tell the delay
        self._batches = 0
        self._rates: deque[float] = deque(maxlen=config.credit_batches)
        self._floors_s: deque[float] = deque(maxlen=config.credit_batches)

    @property
    def chunks(self) -> int:
        return max(config.credit_chunks_min, self._window // 4) if self._narrow else self._window

    @property
    def _narrow(self) -> bool:
        return self._batches % config.credit_batches == config.credit_batches - 1

    def stored(self, asked_at: float, at_once: bool, now: float) -> None:
        """A chunk has been stored that was asked for then; `at_once`: the source did not wait for it itself."""
        if self._began_at is None:
            self._began_at = asked_at
        if self._narrow and asked_at < self._began_at:
            return  # It has queued with what was wanted before.
        self._count += 1
        if at_once:
            self._delays_s.append(now - asked_at)
        if self._count >= config.credit_batch_chunks and 4 * len(self._delays_s) >= config.credit_batch_chunks:
            self._close_batch(now - self._began_at)
            self._began_at, self._count, self._delays_s = now, 0, []

    def _close_batch(self, seconds: float) -> None:
        self._batches += 1
        self._rates.append(self._count / max(seconds, 1e-6))
        # A quarter of the way up: the very lowest would be luck, on a machine that does other things too.
        self._floors_s.append(sorted(self._delays_s)[len(self._delays_s) // 4])
        window = math.ceil(2 * max(self._rates) * min(self._floors_s))
        if 4 * (self._count - len(self._delays_s)) > self._count:
            window = max(window, self._window)  # It was the source that was slow, and what waits there needs room.
        self._window = min(max(window, config.credit_chunks_min), config.credit_chunks_max)
