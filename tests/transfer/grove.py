"""Trees of three stripes with members that nobody feeds yet."""

from __future__ import annotations

from vine.names import WorkerId
from vine.transfer.trees import Member, Slots, Trees


def grove(*names: str, cap: int = 3) -> tuple[Trees, list[Member]]:
    trees = Trees(3, Slots(cap))
    return trees, [trees.new_member(WorkerId(name), number, 0) for number, name in enumerate(names)]
