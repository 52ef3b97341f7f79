"""Who feeds whom with one object: a tree for each stripe of its chunks, in which every node that wants it hangs.

Chunk j belongs to stripe j mod n. A node feeds others in one stripe, its home, and hangs as a leaf in
the others, so that it sends what it receives once over and its loss hurts one tree. A forest that is
full has next to no slot to spare. So a newcomer brings its own: it takes the place of a guest (a node
that hangs in the newcomer's home stripe as a leaf) and feeds that guest. Who has a lead is not put
below a newcomer, though: only nodes of one generation, which joined at about the same time, are.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from itertools import islice

from vine import config
from vine.names import WorkerId
from vine.transfer.offers import Offers
from vine.transfer.stragglers import Stragglers
from vine.transfer.trees import Edge, Member, Ranking, Slots, Trees, Verdict

_WAITING_TRIED_MAX = 8  # An event gives few slots back; what it gives beyond that, the next one uses.
_GUESTS_PASSED_MAX = 32  # Mostly the first one will do.


class Forest:
    """The plan for one object. Every event returns the edges that it changed."""

    def __init__(self, slots: Slots, window_s: float, stripes: int = config.forest_stripes) -> None:
        self._trees = Trees(stripes, slots)
        self._stripes = self._trees.stripes
        self._window_s = window_s  # who joins within it is of one generation
        self._generation, self._generation_ends_at = 0, float("-inf")
        self._members: dict[WorkerId, Member] = {}
        self._joined = 0
        self._at_home = [0 for _ in self._stripes]  # nodes that feed others in this stripe, or are to
        self._offers = Offers(self._trees, self._members)
        self._guests = [Ranking(self._trees, stripe) for stripe in self._stripes]  # of this generation
        self._lent: list[list[Member]] = [[] for _ in self._stripes]  # fed by nodes that are not at home here
        self._spared: list[Member] = []
        self._slow: dict[Member, None] = {}
        self._waiting: dict[Member, None] = {}  # and those who are taken for dead
        self._stragglers = Stragglers(stripes)
        self._doubtful: set[WorkerId] = set()  # who was taken for dead before: slow if it comes again

    # --- events ----------------------------------------------------------------------------------

    def hold(
        self, node: WorkerId, *, rank: int = 0, stripes: frozenset[int] | None = None, spared: bool = False
    ) -> list[Edge]:
        """This node has the object, or these stripes of it. A `spared` one feeds only whom nobody else can."""
        if (member := self._members.get(node)) is None:
            member = self._new_member(node, rank)
        else:
            self._stop_feeding(member)
        member.spared = spared
        self._trees.hold(member, stripes if stripes is not None else frozenset(self._stripes))
        if spared:
            self._spared.append(member)
        self._offers.add(member)
        self._stragglers.discard(member)
        self._feed_stragglers()
        return self._end()

    def join(self, node: WorkerId, now: float, rank: int = 0) -> list[Edge]:
        """This node wants the object."""
        if now >= self._generation_ends_at:
            self._new_generation(now)
        member = self._new_member(node, rank)
        self._waiting[member] = None
        self._stragglers.add(member)
        return self._end()

    def finish(self, node: WorkerId) -> list[Edge]:
        """This node has got it all."""
        return self.hold(node)

    def leave(self, node: WorkerId) -> list[Edge]:
        """This node is gone, or wants the object no more and has none of it."""
        member = self._members.pop(node)
        self._stop_feeding(member)
        if member.holds:
            self._trees.holders.remove(member)
        if member.spared:
            self._spared.remove(member)
        self._slow.pop(member, None)
        self._offers.discard(member)
        self._stragglers.discard(member)
        self._adopt(self._orphans(member))
        self._feed_stragglers()
        return self._end()

    def demote(self, node: WorkerId) -> list[Edge]:
        """This node is slow: from now on it feeds nobody, unless there is nobody else."""
        member = self._members[node]
        self._leave_home(member)
        member.slow = True
        self._slow[member] = None
        for stripe in self._stripes:
            if member.generation == self._generation:
                self._guests[stripe].add(member)  # One of its children may have its place.
            self._move(list(member.children[stripe]), member, stripe)
        return self._end()

    def suspend(self, node: WorkerId) -> list[Edge]:
        """This node is taken for dead: what it takes and what it gives is not counted on until it joins anew."""
        member = self._members[node]
        self._leave_home(member)
        member.slow = member.away = True
        self._doubtful.add(node)
        self._slow.pop(member, None)
        self._stragglers.discard(member)
        self._unlink_all(member)
        self._waiting[member] = None
        self._adopt(self._orphans(member))
        return self._end()

    def accuse(self, parent: WorkerId, child: WorkerId, silent: bool = False) -> list[Edge]:
        """The child says that this parent sends it too little, or nothing: others feed it instead, if there are any.

        Where two say so it is demoted, or suspended. One alone may be on a slow way to it, which hurts nobody else.
        """
        member, accuser = self._members[parent], self._members[child]
        if accuser not in member.flows:
            return []  # It is fed by others already.
        if member in self._waiting:
            return self._feed_instead(accuser, member)
        accuser.blames(member, silent)
        if len(member.unheard_by) >= config.slow_reports_max and not member.holds:
            return self.suspend(parent)
        if len(member.accusers) >= config.slow_reports_max:
            return self.demote(parent)
        was_slow, member.slow = member.slow, True  # While others are looked for.
        self._slow.pop(member, None)
        self._slow[member] = None
        for stripe in self._stripes:
            self._move([accuser], member, stripe)
        if not was_slow:
            member.slow = False
            del self._slow[member]
            self._offers.add(member)
        return self._end()

    def _feed_instead(self, child: Member, parent: Member) -> list[Edge]:
        """The parent waits for slots: that it sends nothing is no fault of its own."""
        for stripe in [stripe for stripe in self._stripes if child.parents[stripe] is parent]:
            if (better := self._parent_for(child, stripe)) is not None:
                self._unlink(child, stripe)
                self._link(better, child, stripe)
        return self._end()

    def _move(self, children: list[Member], parent: Member, stripe: int) -> None:
        """One by one: if there is no better parent, this one is left."""
        for child in children:
            if child.parents[stripe] is parent:
                self._unlink(child, stripe)
                self._adopt([(stripe, child)])

    def retry(self) -> list[Edge]:
        """Slots may have become free that other objects had taken."""
        self._offers.renew()
        self._feed_stragglers()
        return self._end()

    def dissolve(self) -> None:
        """Nobody wants the object any more: all slots are given back, and the forest is not used again."""
        for member in self._members.values():
            for stripe in self._stripes:
                self._trees.unlink(member, stripe)

    # --- views -----------------------------------------------------------------------------------

    def __contains__(self, node: WorkerId) -> bool:
        return node in self._members

    def is_slow(self, node: WorkerId) -> bool:
        return self._members[node].slow

    def is_suspended(self, node: WorkerId) -> bool:
        return self._members[node].away

    def has_all(self, node: WorkerId) -> bool:
        return len(self._members[node].holds) == len(self._stripes)

    def sources(self, node: WorkerId) -> list[Edge]:
        """The edges into a node that is fed, by stripe; none if it has it all, or has to wait."""
        member = self._members[node]
        return [self._trees.edge(member, stripe) for stripe in self._stripes if member.parents[stripe] is not None]

    def waiting(self) -> Iterator[WorkerId]:
        """Those that no slot could be found for."""
        return (member.name for member in self._waiting)

    def edges(self) -> Iterator[Edge]:
        for member in self._members.values():
            yield from self.sources(member.name)

    # --- coming and going ------------------------------------------------------------------------

    def _new_member(self, node: WorkerId, rank: int) -> Member:
        assert node not in self._members, f"{node} is in this forest already"
        self._joined += 1
        member = self._members[node] = self._trees.new_member(node, self._joined, rank)
        if node in self._doubtful:
            member.slow = True
            self._slow[member] = None
        return member

    def _new_generation(self, now: float) -> None:
        self._generation += 1
        self._generation_ends_at = now + self._window_s
        for stripe in self._stripes:
            self._guests[stripe].clear()
            self._lent[stripe].clear()

    def _stop_feeding(self, member: Member) -> None:
        """Nobody is to feed this member any more."""
        self._leave_home(member)
        self._waiting.pop(member, None)
        self._unlink_all(member)

    def _leave_home(self, member: Member) -> None:
        if member.home is not None:
            self._at_home[member.home] -= 1
            member.home = None

    def _end(self) -> list[Edge]:
        """Feed those who wait, in the order in which they came; tell what the event has changed."""
        for member in list(islice((one for one in self._waiting if not one.away), _WAITING_TRIED_MAX)):
            if self._place(member):
                del self._waiting[member]
        return [edge for edge in self._trees.take_changes() if edge.child in self._members]

    def _link(self, parent: Member, child: Member, stripe: int) -> None:
        self._trees.link(parent, child, stripe)
        self._stragglers.linked(parent, child, stripe)
        if child.generation == self._generation:
            if child.home != stripe:
                self._guests[stripe].add(child)
            if parent.home != stripe and stripe not in parent.holds:
                self._lent[stripe].append(child)

    def _unlink(self, child: Member, stripe: int) -> Member | None:
        parent = self._trees.unlink(child, stripe)
        if parent is not None:
            self._offers.add(parent)
        return parent

    def _unlink_all(self, member: Member) -> None:
        for stripe in self._stripes:
            self._unlink(member, stripe)

    def _orphans(self, member: Member) -> list[tuple[int, Member]]:
        """Take all its children from a member."""
        orphans = [(stripe, child) for stripe in self._stripes for child in member.children[stripe]]
        for stripe, child in orphans:
            self._unlink(child, stripe)
        return orphans

    # --- a place for a newcomer ------------------------------------------------------------------

    def _place(self, member: Member, again: bool = True) -> bool:
        """All or nothing: who is fed in part holds slots of which nothing comes."""
        if not member.edges:
            member.generation = self._generation  # Nobody has waited for what it gets from now on.
        stripes = list(self._stripes)
        home = member.home
        if home is None and not member.slow and self._trees.slots.free(member.name) > 0:
            home = min(stripes, key=lambda stripe: self._at_home[stripe])
        if home is not None:
            stripes.remove(home)
        if all(self._hang(member, stripe) for stripe in stripes) and (home is None or self._settle(member, home)):
            return True
        self._unlink_all(member)
        orphans = self._orphans(member)
        self._adopt(orphans)  # Slots may lie below this very member, where they are of no use to it.
        return again and bool(orphans) and self._place(member, again=False)

    def _hang(self, member: Member, stripe: int) -> bool:
        """Give the member a place as a leaf. If there is none to spare, its own slots are used for a guest's."""
        parent = self._parent_for(member, stripe, last_resort=False)
        guest = None if parent is not None or member.slow else self._guest(member, stripe, childless=True)
        if guest is not None and self._trees.can_serve(member, guest):
            self._swap_in(member, guest, stripe)
            self._link(member, guest, stripe)
            return True
        parent = parent or self._parent_for(member, stripe)
        if parent is not None:
            self._link(parent, member, stripe)
        return parent is not None

    def _settle(self, member: Member, stripe: int) -> bool:
        """Give the member a place in its home stripe, as near to the root as can be had."""
        parent = self._offers.best(stripe, stripe, member)
        guest = self._guest(member, stripe)
        if guest is not None and not self._trees.can_serve(member, guest):
            guest = None
        if guest is not None and (parent is None or self._trees.is_nearer(guest, parent, stripe)):
            self._swap_in(member, guest, stripe)
            self._go_home(member, stripe)
            self._link(member, guest, stripe)
        else:
            parent = parent or self._parent_for(member, stripe)
            if parent is None:
                return False
            self._link(parent, member, stripe)
            self._go_home(member, stripe)
        self._take_over(member, stripe)
        self._rise(member, stripe)
        return True

    def _swap_in(self, member: Member, guest: Member, stripe: int) -> None:
        """Let the member have the guest's place."""
        parent = self._trees.unlink(guest, stripe)
        assert parent is not None
        self._link(parent, member, stripe)

    def _go_home(self, member: Member, stripe: int) -> None:
        self._leave_home(member)
        member.home = stripe
        self._at_home[stripe] += 1
        self._offers.add(member)

    def _guest(self, member: Member, stripe: int, childless: bool = False) -> Member | None:
        """The guest in this stripe whose place is the nearest to the root and can be had.

        A guest has children there if it had to lend them its slots.
        """

        def judge(guest: Member) -> Verdict:
            parent = guest.parents[stripe]
            if guest.home == stripe or parent is None:
                return Verdict.DROP
            hangs = self._trees.depth(guest, stripe) is not None  # If not, then perhaps on this very member.
            ahead = bool(parent.holds) or parent.generation <= member.generation
            ahead = ahead and (parent.spared or not parent.slow)
            fits = hangs and ahead and not (childless and guest.children[stripe])
            fits = fits and self._trees.can_serve(parent, member, leaving=guest)
            return Verdict.TAKE if fits else Verdict.KEEP

        return self._guests[stripe].first(judge, _GUESTS_PASSED_MAX)

    def _take_over(self, member: Member, stripe: int) -> None:
        """Feed those of the stripe whom nodes that are not at home in it had to feed."""
        lent, self._lent[stripe] = self._lent[stripe], []
        for child in lent:
            parent = child.parents[stripe]
            if parent is None or parent.home == stripe or stripe in parent.holds:
                continue
            if not self._trees.can_serve(member, child) or self._trees.is_below(member, child, stripe):
                self._lent[stripe].append(child)
                continue
            self._unlink(child, stripe)
            self._link(member, child, stripe)

    def _rise(self, member: Member, stripe: int) -> None:
        """Change places with slower nodes above."""
        while (above := member.parents[stripe]) is not None and self._trees.outdoes(
            member, above, stripe, self._generation
        ):
            parent = above.parents[stripe]
            assert parent is not None
            mine, theirs = list(member.children[stripe]), list(above.children[stripe])
            for child in (above, *mine, *theirs):
                self._trees.unlink(child, stripe)
            self._link(parent, member, stripe)
            for child in theirs:
                self._link(member, above if child is member else child, stripe)
            for child in mine:
                self._link(above, child, stripe)
            self._offers.add(above)
            self._offers.add(member)

    # --- those who lost their parent -------------------------------------------------------------

    def _adopt(self, orphans: list[tuple[int, Member]], displacing: bool = True) -> None:
        """A stripe without any root comes first, and then those on whom others hang: they may displace a leaf."""
        orphans.sort(key=lambda o: (self._trees.rooted[o[0]] > 0, -len(o[1].children[o[0]]), o[1].rank, o[1].number))
        for stripe, child in orphans:
            if child in self._waiting or child.parents[stripe] is not None:
                continue
            above_others = displacing and bool(child.children[stripe])
            parent = self._parent_for(child, stripe, last_resort=not above_others)
            guest = self._guest(child, stripe) if above_others and child.home == stripe else None
            if guest is not None and (parent is None or self._trees.is_nearer(guest, parent, stripe)):
                self._swap_in(child, guest, stripe)
                self._adopt([(stripe, guest)], displacing=False)
                continue
            if parent is None and above_others and self._displace(child, stripe):
                continue
            parent = parent or self._parent_for(child, stripe)
            if parent is not None:
                self._link(parent, child, stripe)
            else:
                self._unlink_all(child)
                self._waiting[child] = None

    def _displace(self, orphan: Member, stripe: int) -> bool:
        """Put a node on which others hang into the place of one on which nobody does."""
        for holder in self._trees.holders:
            if stripe not in holder.holds:
                continue
            for leaf in self._trees.below(holder, stripe):
                parent = leaf.parents[stripe]
                assert parent is not None
                if leaf.children[stripe] or parent.slow or parent.generation > orphan.generation:
                    continue
                if self._trees.can_serve(parent, orphan, leaving=leaf):
                    self._trees.unlink(leaf, stripe)
                    self._link(parent, orphan, stripe)
                    self._adopt([(stripe, leaf)], displacing=False)
                    return True
        return False

    def _feed_stragglers(self) -> None:
        """By holders that it gets nothing from yet, and of which it has not complained."""
        for member, stripe in self._stragglers.badly_fed(len(self._members)):
            suits = functools.partial(self._stragglers.suits, member, stripe)
            better = self._offers.best(stripe, stripe, member, suits=suits)
            if better is not None:
                self._unlink(member, stripe)
                self._link(better, member, stripe)

    # --- who could feed --------------------------------------------------------------------------

    def _parent_for(self, child: Member, stripe: int, last_resort: bool = True) -> Member | None:
        """The best node with a slot: one at home in the stripe, another's, a spared one.

        The last resort are slow nodes and those that joined after the child, for which it would have to wait. Of the
        slow ones the last is the first to be taken: it may be one from which only a single child is being moved away.
        """
        found = self._offers.best(stripe, stripe, child) or self._lender(stripe, child)
        found = found or self._any(self._spared, child, stripe)
        if found is None and last_resort:
            found = self._any(reversed(self._slow), child, stripe)
            found = found or self._offers.best(stripe, stripe, child, later=True)
            found = found or self._lender(stripe, child, later=True)
        return found

    def _any(self, nodes: Iterable[Member], child: Member, stripe: int) -> Member | None:
        return next((node for node in nodes if self._trees.may_feed(node, child, stripe, later=True)), None)

    def _lender(self, stripe: int, child: Member, later: bool = False) -> Member | None:
        """A node that is at home in another stripe; one that feeds nobody yet changes its home."""
        lenders = [self._offers.best(other, stripe, child, later) for other in self._stripes if other != stripe]
        found = min((node for node in lenders if node is not None), key=lambda n: (n.edges, n.number), default=None)
        if found is not None and not found.edges and found.home is not None:
            self._guests[found.home].add(found)
            self._go_home(found, stripe)
        return found
