"""A small day, for the tests of those who run it."""

from __future__ import annotations

from benchmarks.fleet.load import Day


def day(*tasks: tuple[float, float], slots: int = 2, most: int = 4) -> Day:
    """Tasks as (when it comes, how long it runs); a worker is there 60 s after it was asked for."""
    return Day(tuple(sorted(tasks)), slots, most, startup_s=60.0)
