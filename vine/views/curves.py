"""How did a number change over a run: curves of few points from changes, however many there are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Change = tuple[float, float]  # when, and by how much


@dataclass(frozen=True, slots=True)
class Curve:
    """A number in equal stretches of time from `begin_s` to `end_s`: its mean in each, and what it was at its end."""

    begin_s: float
    end_s: float
    means: tuple[float, ...]
    lasts: tuple[float, ...]

    @property
    def most(self) -> float:
        return max(self.means, default=0.0)


def curve(changes: Iterable[Change], begin_s: float, end_s: float, points: int) -> Curve:
    """The number that begins at 0 and changes so; what changes before the begin, or after the end, does so then."""
    width_s = max(end_s - begin_s, 1e-6) / points
    steps, areas = [0.0] * points, [0.0] * points
    for at_s, by in changes:
        place = min(max((at_s - begin_s) / width_s, 0.0), points)
        stretch = min(int(place), points - 1)
        steps[stretch] += by
        areas[stretch] += by * (stretch + 1 - place)
    level, means, lasts = 0.0, [], []
    for step, area in zip(steps, areas, strict=True):
        means.append(level + area)
        level += step
        lasts.append(level)
    return Curve(begin_s, end_s, tuple(means), tuple(lasts))


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values lie in each of equal bins from 0 to `highest`; larger ones are in the last bin."""

    highest: float
    counts: tuple[int, ...]


def histogram(values: Sequence[float], bins: int, share: float = 0.995) -> Histogram:
    """Bins that reach to what all but few values stay below: `values` must be sorted."""
    if not values:
        return Histogram(1.0, (0,) * bins)
    highest = max(quantile(values, share), 1e-9)
    counts = [0] * bins
    for value in values:
        counts[min(int(value / highest * bins), bins - 1)] += 1
    return Histogram(highest, tuple(counts))


def quantile(values: Sequence[float], share: float) -> float:
    """The value below or at which so many of the sorted `values` lie; 0 of none."""
    return values[max(0, math.ceil(share * len(values)) - 1)] if values else 0.0
