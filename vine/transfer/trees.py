"""Who hangs on whom in the tree of each stripe, and how many flows does that make each node serve?"""

from __future__ import annotations

import enum
import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from vine import config
from vine.names import WorkerId


class Edge(NamedTuple):
    """In this stripe the child is fed by this parent: None if it is fed by nobody any more."""

    stripe: int
    child: WorkerId
    parent: WorkerId | None
    backup: WorkerId | None  # whom to ask if the parent fails; it keeps no slot for that


class Slots:
    """The flows that each node serves, over all objects; a flow is one object to one receiver, as the sender counts."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.used: Counter[WorkerId] = Counter()
        self.freed: dict[WorkerId, None] = {}  # by whom slots were given back since somebody looked

    def free(self, node: WorkerId) -> int:
        return self.cap - self.used[node]

    def take(self, node: WorkerId) -> None:
        self.used[node] += 1

    def give(self, node: WorkerId) -> None:
        self.used[node] -= 1
        assert self.used[node] >= 0, f"{node} gave back a slot that it had not taken"
        self.freed[node] = None
        if not self.used[node]:
            del self.used[node]


@dataclass(slots=True, eq=False, repr=False)
class Member:
    """A node that has the object, or is to get it."""

    name: WorkerId
    number: int  # in the order of joining
    rank: int  # less for faster uploaders, 0 is usual
    parents: list[Member | None]  # by stripe
    children: list[dict[Member, None]]  # by stripe
    holds: frozenset[int] = frozenset()  # the stripes that it has whole
    spared: bool = False  # it feeds only those whom nobody else can
    slow: bool = False  # it feeds nobody if that can be helped
    away: bool = False  # it is taken for dead: it feeds nobody and is fed by nobody
    unheard_by: set[WorkerId] = field(default_factory=set)  # children that say that it sends nothing
    accusers: set[WorkerId] = field(default_factory=set)  # children that say that it sends too little
    accused: set[WorkerId] = field(default_factory=set)  # of whom it has said so
    home: int | None = None  # the stripe in which it feeds others
    generation: int = 0
    flows: Counter[Member] = field(default_factory=Counter)  # stripes by receiver
    edges: int = 0  # out of it, in all stripes
    listed: set[int] = field(default_factory=set)  # the stripes in whose queue of open slots it stands

    def blames(self, parent: Member, silent: bool) -> None:
        """It says that this parent sends it too little, or nothing; who says so of many is not believed."""
        self.accused.add(parent.name)
        if len(self.accused) <= config.slow_claims_max:
            parent.accusers.add(self.name)
            if silent:
                parent.unheard_by.add(self.name)


class Trees:
    """The edges; every change is noted, so that an event can tell what it came to."""

    def __init__(self, stripes: int, slots: Slots) -> None:
        self.stripes = range(stripes)
        self.fanout = stripes  # So a node that is fed whole stripes sends no more than it receives.
        self.slots = slots
        self.holders: list[Member] = []
        self.rooted = [0] * stripes  # edges from holders, by stripe
        self._before: dict[tuple[Member, int], Member | None] = {}

    def new_member(self, name: WorkerId, number: int, rank: int) -> Member:
        return Member(name, number, rank, [None for _ in self.stripes], [{} for _ in self.stripes])

    # --- changes ---------------------------------------------------------------------------------

    def link(self, parent: Member, child: Member, stripe: int) -> None:
        assert child.parents[stripe] is None, f"{child.name} is fed already"
        self._before.setdefault((child, stripe), None)
        child.parents[stripe] = parent
        parent.children[stripe][child] = None
        parent.edges += 1
        if not parent.flows[child]:
            self.slots.take(parent.name)
        parent.flows[child] += 1
        self.rooted[stripe] += stripe in parent.holds

    def unlink(self, child: Member, stripe: int) -> Member | None:
        """Returns who fed the child."""
        parent = child.parents[stripe]
        if parent is None:
            return None
        self._before.setdefault((child, stripe), parent)
        child.parents[stripe] = None
        del parent.children[stripe][child]
        parent.edges -= 1
        parent.flows[child] -= 1
        if not parent.flows[child]:
            del parent.flows[child]
            self.slots.give(parent.name)
        self.rooted[stripe] -= stripe in parent.holds
        return parent

    def hold(self, member: Member, stripes: frozenset[int]) -> None:
        """The member has these stripes whole from now on."""
        for stripe in stripes - member.holds:
            self.rooted[stripe] += len(member.children[stripe])
        if not member.holds:
            self.holders.append(member)
        member.holds |= stripes

    def take_changes(self) -> list[Edge]:
        """What has changed since the last call, for those who are still to be fed."""
        before, self._before = self._before, {}
        return [
            self.edge(child, stripe)
            for (child, stripe), parent in before.items()
            if child.parents[stripe] is not parent and stripe not in child.holds
        ]

    # --- views -----------------------------------------------------------------------------------

    def can_serve(self, parent: Member, child: Member, leaving: Member | None = None) -> bool:
        """Whether the parent has room for one more edge to this child, once `leaving` has given up one of its own."""
        if parent.edges - (leaving is not None) >= self.fanout:
            return False
        freed = leaving is not None and parent.flows[leaving] == 1
        return child in parent.flows or self.slots.free(parent.name) + freed > 0

    def can_root(self, node: Member, stripe: int) -> bool:
        """A holder keeps a slot for each stripe that has no root at all: without one, nobody gets that stripe."""
        if stripe not in node.holds:
            return True
        rootless = sum(not self.rooted[other] for other in node.holds if other != stripe)
        return self.fanout - node.edges > rootless

    def is_nearer(self, member: Member, parent: Member, stripe: int) -> bool:
        """Whether the member's place is nearer to the root than one below this parent; both hang."""
        depth, below = self.depth(member, stripe), self.depth(parent, stripe)
        assert depth is not None and below is not None
        return depth <= below

    def may_feed(self, node: Member, child: Member, stripe: int, later: bool = False) -> bool:
        """Whether it has room and gets the stripe itself; one that joined after the child only if it may be `later`."""
        if node is child or not self.can_serve(node, child) or self.depth(node, stripe) is None:
            return False
        return self.can_root(node, stripe) and (later or bool(node.holds) or node.generation <= child.generation)

    def outdoes(self, member: Member, above: Member, stripe: int, generation: int) -> bool:
        """Whether the member, of this generation, may change places with the slower one above it."""
        parent = above.parents[stripe]
        if parent is None or above.rank <= member.rank or above.home != stripe or above.generation != generation:
            return False
        only_here = all(len(node.children[stripe]) == node.edges for node in (member, above))
        more = len(above.flows) - len(member.flows)  # flows for the one, fewer for the other
        room = -self.slots.free(above.name) <= more <= self.slots.free(member.name)
        return only_here and room and self.can_serve(parent, member, leaving=above)

    def depth(self, member: Member, stripe: int) -> int | None:
        """Edges between the member and a holder; None if none feeds it."""
        steps, here = 0, member
        while stripe not in here.holds:
            above = here.parents[stripe]
            if above is None:
                return None
            steps, here = steps + 1, above
        return steps

    def is_below(self, member: Member, above: Member, stripe: int) -> bool:
        here: Member | None = member
        while here is not None and here is not above:
            here = here.parents[stripe]
        return here is not None

    def edge(self, child: Member, stripe: int) -> Edge:
        parent, backup = child.parents[stripe], self._backup(child, stripe)
        return Edge(stripe, child.name, parent.name if parent else None, backup.name if backup else None)

    def _backup(self, child: Member, stripe: int) -> Member | None:
        """Somebody who does not get the stripe through this child.

        The parent's own parent has what the parent has, and its slot becomes free if the parent dies. One that is
        spared is the last resort, though: a child that hurries must not make the manager upload twice.
        """
        parent = child.parents[stripe]
        if parent is None:
            return None
        above = parent.parents[stripe]
        if above is not None and not (above.slow or above.spared):
            return above
        others = len(self.holders)
        for turn in range(min(others, 4)):  # Mostly the first one fits; who is not found is not needed.
            holder = self.holders[(child.number + stripe + turn) % others]
            if holder is not parent and not (holder.slow or holder.spared) and stripe in holder.holds:
                return holder
        siblings = (sibling for sibling in parent.children[stripe] if sibling is not child and not sibling.slow)
        return next(siblings, above)

    def below(self, member: Member, stripe: int) -> Iterator[Member]:
        """All that get the stripe through this member, the nearest first."""
        level = [member]
        while level:
            level = [child for parent in level for child in parent.children[stripe]]
            yield from level


class Verdict(enum.Enum):
    """What becomes of a member that is looked at in a ranking."""

    TAKE = "take"  # it is the one; it stays in the ranking
    KEEP = "keep"  # not now
    DROP = "drop"  # it has no business in the ranking any more


Place = tuple[int, int, int]  # depth, rank and edges: less is better


class Ranking:
    """Members of one stripe's tree, the best first. Entries age as trees change; they are renewed when met."""

    def __init__(self, trees: Trees, stripe: int) -> None:
        self._trees = trees
        self._stripe = stripe
        self._entries: list[tuple[Place, int, Member]] = []  # a heap; the number decides between equals
        self._number = 0

    def add(self, member: Member) -> None:
        self._number += 1
        heapq.heappush(self._entries, (self._place(member), self._number, member))

    def clear(self) -> None:
        self._entries.clear()

    def first(self, judge: Callable[[Member], Verdict], passes_max: int | None = None) -> Member | None:
        """The best member that the judge takes."""
        passed: list[tuple[Place, int, Member]] = []
        found = None
        while self._entries and found is None and (passes_max is None or len(passed) < passes_max):
            place, number, member = heapq.heappop(self._entries)
            now = self._place(member)
            if now > place:
                heapq.heappush(self._entries, (now, number, member))
                continue
            verdict = judge(member)
            if verdict is not Verdict.DROP:
                passed.append((place, number, member))
            if verdict is Verdict.TAKE:
                found = member
        for entry in passed:
            heapq.heappush(self._entries, entry)
        return found

    def _place(self, member: Member) -> Place:
        depth = self._trees.depth(member, self._stripe)
        return (1 << 30 if depth is None else depth, member.rank, member.edges)
