"""Who feeds whom: which node is to be the source of an object for a node that wants it?

This chooses one source for an object of few chunks, or for one that the manager brings in. Large
objects that many want are spread by a forest (see forest.py), which gives a wanter a source a stripe.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from vine.names import MANAGER, ObjectId, WorkerId


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that holds an object, or receives it."""

    node: WorkerId
    complete: bool
    depth: int  # edges between it and a complete holder; 0 for a complete one
    free_slots: int  # over all objects, with what is planned taken off


def choose_source(
    object_id: ObjectId,
    wanter: WorkerId,
    candidates: Sequence[Candidate],
    sources_of: Mapping[WorkerId, Sequence[WorkerId]],
    avoid: Collection[WorkerId] = (),
) -> Candidate | None:
    """The best source, or None if nobody can be one now.

    `sources_of` tells for each node that receives this object from whom it does: a node that hangs
    on the wanter would wait for ever. `avoid` names sources that have just failed the wanter.
    """
    fit = [
        candidate
        for candidate in candidates
        if candidate.free_slots > 0
        and candidate.node not in avoid
        and not depends_on(candidate.node, wanter, sources_of)
    ]
    return min(fit, key=lambda candidate: _rank(object_id, candidate), default=None)


def depends_on(node: WorkerId, upstream: WorkerId, sources_of: Mapping[WorkerId, Sequence[WorkerId]]) -> bool:
    """Whether `node` is `upstream` or gets the object through it."""
    seen: set[WorkerId] = set()
    ahead = [node]
    while ahead:
        here = ahead.pop()
        if here == upstream:
            return True
        if here not in seen:
            seen.add(here)
            ahead.extend(sources_of.get(here, ()))
    return False


def _rank(object_id: ObjectId, candidate: Candidate) -> tuple[bool, bool, int, int, int, WorkerId]:
    """Less is better: workers spare the manager, near ones shorten the line, free ones share the load."""
    # Equal candidates rank differently for each object, so that many objects do not all come from one holder.
    turn = zlib.crc32(f"{object_id}{candidate.node}".encode())
    return (
        candidate.node == MANAGER,
        not candidate.complete,
        candidate.depth,
        -candidate.free_slots,
        turn,
        candidate.node,
    )
