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
        self._receiving: set[Member] = set()
        self._unsure: dict[Member, None] = {}  # all who may be fed badly: most are fed well, and cost no look

    def add(self, member: Member) -> None:
        self._receiving.add(member)

    def discard(self, member: Member) -> None:
        self._receiving.discard(member)
        self._unsure.pop(member, None)

    def linked(self, parent: Member, child: Member, stripe: int) -> None:
        """The child is fed by this parent from now on: only so does anybody come to be fed badly."""
        if not self._chain and child in self._receiving and _feeds_badly(parent, child, stripe):
            self._unsure[child] = None

    def badly_fed(self, members: int) -> Iterator[tuple[Member, int]]:
        """Nodes and stripes, once few of so many still receive; who came first is first."""
        if not self._unsure or len(self._receiving) * config.stragglers_of > members:
            return
        unsure, self._unsure = self._unsure, {}
        for member in sorted(unsure, key=lambda one: one.number):
            for stripe, parent in enumerate(member.parents):
                if parent is not None and _feeds_badly(parent, member, stripe):
                    self._unsure[member] = None  # Whether for long, the next look tells.
                    yield member, stripe

    def suits(self, member: Member, stripe: int, node: Member) -> bool:
        """Whether the straggler is better off with this node."""
        return stripe in node.holds and not node.flows[member] and node.name not in member.accused


def _feeds_badly(parent: Member, child: Member, stripe: int) -> bool:
    """Whether it has to wait for what it sends, or sends more than this stripe."""
    return stripe not in parent.holds or parent.flows[child] > 1
