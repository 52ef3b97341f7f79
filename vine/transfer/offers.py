"""Which nodes of a forest have a slot to spare in a stripe, and who of them is the best to feed a given one?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vine.names import WorkerId
from vine.transfer.trees import Member, Ranking, Trees, Verdict


class Offers:
    """A queue for each stripe of those who hold it or are at home in it. Entries age; they are renewed when met."""

    def __init__(self, trees: Trees, members: Mapping[WorkerId, Member]) -> None:
        self._trees = trees
        self._members = members
        self._queues = [Ranking(trees, stripe) for stripe in trees.stripes]
        self._busy: dict[Member, None] = {}  # with other objects

    def add(self, member: Member) -> None:
        """Let the member stand in the queues in which it belongs."""
        for queue in self._trees.stripes:
            if queue not in member.listed and self._is_open(member, queue):
                member.listed.add(queue)
                self._queues[queue].add(member)

    def renew(self) -> None:
        """Those who were busy with other objects may have slots again."""
        busy, self._busy = self._busy, {}
        for member in busy:
            self.add(member)

    def discard(self, member: Member) -> None:
        self._busy.pop(member, None)

    def best(
        self,
        queue: int,
        stripe: int,
        child: Member,
        later: bool = False,
        suits: Callable[[Member], bool] = lambda node: True,
    ) -> Member | None:
        """The best of this queue for this child in this stripe; `later`: also if it joined after the child."""

        def judge(node: Member) -> Verdict:
            if self._is_open(node, queue):
                if self._trees.may_feed(node, child, stripe, later) and suits(node):
                    return Verdict.TAKE
                if node is child or self._trees.slots.free(node.name) > 0:
                    return Verdict.KEEP
                self._busy[node] = None
            node.listed.discard(queue)
            return Verdict.DROP

        return self._queues[queue].first(judge)

    def _is_open(self, member: Member, queue: int) -> bool:
        if member.slow or member.spared or member.edges >= self._trees.fanout:
            return False
        if self._members.get(member.name) is not member:
            return False
        return queue in member.holds or member.home == queue
