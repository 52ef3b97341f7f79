"""Who still receives an object when nearly all others have it, and in which stripes could it be fed better?"""

from __future__ import annotations

from collections.abc import Iterator

from vine import config
from vine.transfer.trees import Member


class Stragglers:
    """Whoever got less than the others for a while stays behind: its sources send as much as their links allow.

    Those who have it all have nothing to do any more. So each of a straggler's stripes is to come from one of them, no
    two from the same.
    """

    def __init__(self, stripes: int) -> None:
        self._chain = stripes == 1  # Each hangs on one other, also in the end.
        self._receiving: dict[Member, None] = {}

    def add(self, member: Member) -> None:
        self._receiving[member] = None

    def discard(self, member: Member) -> None:
        self._receiving.pop(member, None)

    def badly_fed(self, members: int) -> Iterator[tuple[Member, int]]:
        """Nodes and stripes, once few of so many still receive."""
        if not self._chain and len(self._receiving) * config.stragglers_of <= members:
            for member in list(self._receiving):
                for stripe, parent in enumerate(member.parents):
                    if parent is not None and (stripe not in parent.holds or parent.flows[member] > 1):
                        yield member, stripe

    def suits(self, member: Member, stripe: int, node: Member) -> bool:
        """Whether the straggler is better off with this node."""
        return stripe in node.holds and not node.flows[member] and node.name not in member.accused
