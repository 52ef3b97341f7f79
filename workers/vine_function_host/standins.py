"""What stands in a call's arguments for values that are not in their pickle: functions that both ends know by name.

Clients pickle references to them. A function host says what the places hold before it loads the arguments: so the
pickle is read at its full speed, without a look at each name in it.
"""

from __future__ import annotations

from typing import Any


class Places:
    """What is in the places of a call's arguments; here nothing is."""

    __slots__ = ()

    def result(self, place: int) -> Any:
        raise TypeError(f"the result {place} of another task is filled in where the call runs")

    def shared(self, place: int, keep: bool) -> Any:
        raise TypeError(f"the shared value {place} is filled in where the call runs")


NOWHERE = Places()
places = NOWHERE  # of the call whose arguments are loaded; a host loads those of one at a time


def result_at(place: int) -> Any:
    """Stands for another task's result."""
    return places.result(place)


def shared_at(place: int, keep: bool) -> Any:
    """Stands for a shared value, which function hosts keep if it cannot change."""
    return places.shared(place, keep)
