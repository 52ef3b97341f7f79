"""Which complete objects go when room is needed, and which of them first?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from vine.names import ObjectId


@dataclass(frozen=True, slots=True)
class Candidate:
    """An object that may go as far as everybody has said who rated it."""

    key: ObjectId
    size: int
    used_at: int  # by any clock that all of them share
    shared: bool = True  # by the stores of one folder


def choose(
    candidates: Iterable[Candidate],
    wanted_bytes: int,
    take: Callable[[ObjectId], bool],
    give_back: Callable[[ObjectId], None],
) -> list[Candidate]:
    """What goes for so many bytes, least recently used first; nothing at all if that is not enough.

    `take` says whether an object is in nobody's use, and keeps it so; `give_back` ends that where it was in vain.
    """
    going: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda one: (one.used_at, one.key)):
        if wanted_bytes <= 0:
            break
        if candidate.size and take(candidate.key):
            going.append(candidate)
            wanted_bytes -= candidate.size
    if wanted_bytes > 0:
        for candidate in going:
            give_back(candidate.key)
        return []
    return going
