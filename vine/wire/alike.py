"""What has an assignment in common with the one before it in its message, and is not said again?"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import force_setattr

from vine.errors import MalformedMessage
from vine.names import ObjectId
from vine.wire.parts import Assignment


def fold(assignments: Sequence[Assignment]) -> None:
    """Leave out what is as before: a call with a shared value is then as short, and as soon read, as one without."""
    before: tuple[ObjectId, ...] | None = ()
    for assignment in assignments:
        if assignment.shared == before:
            if before:
                force_setattr(assignment, "shared", None)
        else:
            before = assignment.shared


def unfold(assignments: Sequence[Assignment]) -> None:
    """Put it back; MalformedMessage if there is nothing before."""
    before: tuple[ObjectId, ...] | None = None
    for assignment in assignments:
        if assignment.shared is not None:
            before = assignment.shared
        elif before is not None:
            force_setattr(assignment, "shared", before)
        else:
            raise MalformedMessage("run-attempts: the first assignment has nothing before it that it could be like")
