"""Where is each chunk of a transfer (missing, wanted of whom, or here), and who is to bring which?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from vine import config
from vine.transfer.credit import Credit
from vine.transfer.sources import Source
from vine.transfer.stripes import Stripe
from vine.wire.parts import SourceEdge

Backups = Sequence[SourceEdge | None]


class Chunks:
    """The chunks of one object, its stripes, and the sources that the present plan names for them."""

    def __init__(
        self,
        count: int,
        present: Collection[int],
        sources: Sequence[SourceEdge],
        backups: Backups,
        now: float,
        patience: float = 1.0,
    ) -> None:
        self.count = count
        self._patience = patience
        self.here = set(present)  # stored or storing
        self.storing: dict[int, Source] = {}
        self.sources: dict[SourceEdge, Source] = {}  # of the present plan
        self.stripes: list[Stripe] = []
        self.layout = 0  # how often the number of stripes has changed
        self._numbered: list[Source] = []  # all that there ever were: late chunks name them
        absent = [index for index in range(count) if index not in self.here]
        assert sources or not absent, "a transfer needs a source"
        self.remaining = len(absent)
        self.lay_out(sources, backups, absent, now)

    # --- the plan ---

    def lay_out(self, sources: Sequence[SourceEdge], backups: Backups, missing: Iterable[int], now: float) -> None:
        """Let these bring the stripes; sources that are known already keep what they have outstanding."""
        if len(sources) != len(self.stripes):
            self.stripes = []
            self.layout += 1
            for source in self._numbered:
                source.have.clear()  # It was told by stripes of the former number.
                source.owed.clear()
        primaries = [self._known(edge, sources.count(edge)) for edge in sources]
        for number, (edge, primary) in enumerate(zip(sources, primaries, strict=True)):
            backup_edge = backups[number] if number < len(backups) else None
            backup = None if backup_edge is None or backup_edge == edge else self._known(backup_edge, 1)
            if len(self.stripes) == len(sources):
                self.stripes[number].follow(primary, backup)
            else:
                remaining = sum(self._lacks(index) for index in range(number, self.count, len(sources)))
                self.stripes.append(Stripe(number, primary, backup, remaining, now, self._patience))
        for stripe in self.stripes:
            stripe.missing.clear()
        for index in missing:
            self.stripe_of(index).add(index)

    def _known(self, edge: SourceEdge, stripes: int) -> Source:
        source = self.sources.get(edge)
        if source is None:
            source = self.sources[edge] = Source(len(self._numbered), edge, Credit(stripes), complete=edge.whole)
            self._numbered.append(source)
        return source

    def numbered(self, number: int) -> Source | None:
        """Who answers with this number, of this plan or an earlier one."""
        return self._numbered[number] if 0 <= number < len(self._numbered) else None

    def is_planned(self, source: Source) -> bool:
        return self.sources.get(source.edge) is source

    def drop(self, source: Source) -> None:
        """It is in the plan no more; what it has sent already is still welcome."""
        self.put_back(source)
        del self.sources[source.edge]

    def primaries(self) -> list[Source]:
        return list(dict.fromkeys(stripe.primary for stripe in self.stripes))

    def feeds(self, source: Source) -> bool:
        """Whether the plan has more to come from it."""
        return any(stripe.remaining and stripe.primary is source for stripe in self.stripes)

    def owes(self, stripe: Stripe) -> bool:
        """Whether the stripe's source has said that it has something of what it was asked for, or could have it."""
        wanted = [index for index in stripe.primary.wanted if self.stripe_of(index) is stripe]
        could_have = bool(wanted) and stripe.number in stripe.primary.owed
        return could_have or stripe.primary.owes(wanted, len(self.stripes))

    def lacks_what_its_source_has(self, index: int) -> bool:
        """Whether more of this chunk's stripe could be here, and this node is what is slow rather than that source.

        A source that is slow brings its stripe more slowly than others do theirs; long before it is half as fast,
        at which our children would blame us for it, we do not say that it is we.
        """
        stripe = self.stripe_of(index)
        others = [one.interval_s() for one in self.stripes if one.primary is not stripe.primary]
        fastest_s = min((interval_s for interval_s in others if interval_s is not None), default=None)
        interval_s = stripe.interval_s()
        if fastest_s is None or interval_s is None or 2 * interval_s > 3 * fastest_s:
            return False
        wanted = (one for one in stripe.primary.wanted if self.stripe_of(one) is stripe)
        return stripe.primary.owes(wanted, len(self.stripes))

    def helps(self, source: Source) -> bool:
        """Whether it is to be asked for what another source does not send."""
        return any(stripe.remaining and stripe.backup is source and stripe.primary.falters for stripe in self.stripes)

    # --- the places of chunks ---

    def stripe_of(self, index: int) -> Stripe:
        return self.stripes[index % len(self.stripes)]

    def askers(self, index: int) -> int:
        return sum(index in source.wanted for source in self.sources.values())

    def is_missing(self, index: int) -> bool:
        return index not in self.here and not self.askers(index)

    def all_missing(self) -> list[int]:
        return sorted({index for stripe in self.stripes for index in stripe.missing if self.is_missing(index)})

    def any_missing(self) -> bool:
        return any(stripe.first_missing(self.is_missing) is not None for stripe in self.stripes)

    def put_back(self, source: Source) -> None:
        """What was wanted of this source is missing again, if nobody else was asked for it."""
        for index in source.give_up_wants():
            self.stripe_of(index).add(index)

    def _lacks(self, index: int) -> bool:
        return index not in self.here or index in self.storing

    # --- what to want of whom ---

    def room(self, source: Source) -> int:
        """How many chunks may be wanted of it; none until they are worth a message."""
        credit = source.credit.chunks
        room = credit - source.outstanding
        return 0 if source.wanted and room < credit // 4 else max(0, room)

    def pick(self, source: Source, room: int) -> list[int]:
        """The lowest chunks that this source is to be asked for, taken from the missing ones."""
        helped = [stripe for stripe in self.stripes if stripe.backup is source and stripe.primary.falters]
        picked = sorted(index for stripe in helped for index in self._overdue_at(stripe))[:room]
        fed = [stripe for stripe in self.stripes if stripe.primary is source and not self._is_relieved(stripe)]
        while len(picked) < room:
            firsts = [(first, s) for s in helped + fed if (first := s.first_missing(self.is_missing)) is not None]
            if not firsts:
                break
            index = min(firsts, key=lambda entry: entry[0])[1].take_first()
            if index not in picked:  # It may stand twice among the missing.
                picked.append(index)
        return picked

    @staticmethod
    def _is_relieved(stripe: Stripe) -> bool:
        """Whether its source is asked for nothing more of it, its backup being asked instead."""
        return stripe.primary.doubted_at is not None and stripe.backup is not None and stripe.backup.answers

    def _overdue_at(self, stripe: Stripe) -> list[int]:
        """What the stripe's source was asked for before its backup was called, and nobody else."""
        source = stripe.primary
        if source.doubted_at is None:
            return []
        return [
            index
            for index, asked in source.wanted.items()
            if asked.at <= source.doubted_at and self.stripe_of(index) is stripe and self.askers(index) == 1
        ]

    def is_passed_by(self, stripe: Stripe, backup: Source) -> bool:
        """Whether the stripe's source is silent and its backup has what it was asked for before: a few chunks of it."""
        source = stripe.primary
        if source.doubted_at is None or stripe.helper is not backup:
            return False  # Who was named later may get the stripe on another way: that it has more says nothing.
        asked = [index for index, asked in source.wanted.items() if asked.at <= source.doubted_at]
        asked = [index for index in asked if self.stripe_of(index) is stripe]
        had = sum(backup.has(index, len(self.stripes)) for index in asked)
        return had >= max(1, min(config.slow_window_chunks // 2, len(asked)))

    # --- the last chunks ---

    def overdue(self, source: Source, now: float) -> list[int]:
        """What should have come from it by now, had it come at twice the others' interval, and nobody else has."""
        others = [stripe.interval_s() for stripe in self.stripes if stripe.primary is not source]
        interval_s = max((interval_s for interval_s in others if interval_s is not None), default=None)
        if interval_s is None or source.gone is not None:
            return []
        first_due_at = source.heard_at + source.put_off_s + max(2 * interval_s, config.slow_window_s * self._patience)
        due = [index for place, index in enumerate(source.wanted) if now >= first_due_at + place * interval_s]
        return [index for index in due if self.askers(index) == 1]

    def second_for(self, index: int, source: Source) -> Source | None:
        """Who else may send this chunk: the backup, the source that it was asked instead of, or who has all."""
        stripe = self.stripe_of(index)
        backup, planned = stripe.backup, (stripe.backup, stripe.primary)
        others = [one for one in self.sources.values() if one is not source and (one in planned or one.complete)]
        free = [one for one in others if one.answers and one.outstanding < one.credit.chunks]
        return min(free, key=lambda one: one is not backup, default=None)
