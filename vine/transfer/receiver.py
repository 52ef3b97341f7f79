"""What does a node that pulls an object ask of which source, and when is that transfer over?

Chunk j is of stripe j mod n, and stripe i comes from source i; a backup is asked for what a source does not
send. Every chunk is in one place: missing (to be wanted), wanted of one source or of two (then the first that
comes wins, and the other is cancelled), storing (here, being hashed and written) or done.
Credit bounds wanted and storing together, so that a slow disk slows the sources down.
Only stored chunks count: connections lose and repeat messages, the machine asks again and ignores.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from vine import config
from vine.transfer.chunks import Backups, Chunks
from vine.transfer.sources import Source
from vine.transfer.stripes import Stripe, Verdict
from vine.wire.data import RefusalReason
from vine.wire.parts import FetchFault, SourceEdge


@dataclass(frozen=True, slots=True)
class SendWant:
    """Ask this source for these chunks, of so many stripes, and have it answer with the number `edge`."""

    source: SourceEdge
    chunks: tuple[int, ...]
    edge: int
    stripes: int
    backup: bool = False


@dataclass(frozen=True, slots=True)
class SendCancel:
    """Tell this source that these chunks need not come any more."""

    source: SourceEdge
    chunks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SendEnd:
    """Tell this source that nothing more is wanted of it."""

    source: SourceEdge


@dataclass(frozen=True, slots=True)
class ReportSlow:
    """Tell the manager that this source does not send what it has; once, until the plan leaves it out."""

    source: SourceEdge
    silent: bool = False  # It sends nothing at all.


@dataclass(frozen=True, slots=True)
class StoreChunk:
    """Hash and write the chunk that has just come; answer with `stored`."""

    index: int


@dataclass(frozen=True, slots=True)
class Complete:
    """Every chunk is stored."""


@dataclass(frozen=True, slots=True)
class Fail:
    """The transfer is over without its object; `source` is who is to blame, None for ourselves."""

    fault: FetchFault
    source: SourceEdge | None
    message: str


Action = SendWant | SendCancel | SendEnd | ReportSlow | StoreChunk | Complete | Fail


class Receiver:
    """One transfer of one object into this node."""

    def __init__(
        self,
        chunk_count: int,
        present: Collection[int],
        sources: Sequence[SourceEdge],
        backups: Backups = (),
        now: float = 0.0,
        patience: float = 1.0,
    ) -> None:
        """`patience` stretches the times after which a source counts as slow or silent."""
        self._chunks = Chunks(chunk_count, present, sources, backups, now, patience)
        self._judge_at = 0.0
        self._ran_at = now
        self.over = False
        self.unsolicited = 0  # chunks that nobody had asked for, or for the second time
        self.bad_chunks = 0

    # --- what happens ---

    def start(self, now: float) -> list[Action]:
        return self._fill_all(now) or self._complete()

    def chunk(self, edge: int, index: int, have: int | None, now: float, owed: bool = False) -> list[Action]:
        """A chunk has come from the source of this number, which has its stripe below `have`, or the whole object.

        `owed`: what that source lacks of the stripe it could have got.
        """
        chunks = self._chunks
        self._run(now)
        source = None if self.over else chunks.numbered(edge)
        new = source is not None and 0 <= index < chunks.count and index not in chunks.here
        if source is None or not new or not source.sent(index, have, len(chunks.stripes), chunks.layout, now, owed):
            self.unsolicited += 1
            return []
        chunks.here.add(index)
        chunks.storing[index] = source
        stripe = chunks.stripe_of(index)
        stripe.chunk_came(source, now)
        if not chunks.owes(stripe):
            stripe.owes_nothing()
        actions: list[Action] = [StoreChunk(index), *self._cancel(index, now), *self._fill(source, now)]
        actions += self._blame_silent(source)
        if now >= self._judge_at:
            actions += self._judge(now)
        return actions

    def stored(self, index: int, ok: bool, now: float) -> list[Action]:
        """The chunk given out by `StoreChunk` is on disk, or its bytes were not those of the manifest."""
        if self.over:
            return []  # The transfer ended while the chunk was being written.
        assert index in self._chunks.storing, "a chunk was stored that was not given out"
        source, stripe = self._chunks.storing.pop(index), self._chunks.stripe_of(index)
        source.stored(index, now)
        if not ok:
            self._chunks.here.remove(index)
            stripe.add(index)
            return self._strike(source, now)
        stripe.remaining -= 1
        self._chunks.remaining -= 1
        return self._fill(source, now) + self._release(self._chunks.sources.values()) + self._complete()

    def refused(
        self, edge: int, reason: RefusalReason, now: float, told: tuple[int, int | None] = (0, 0)
    ) -> list[Action]:
        """The source of this number does not serve us; `told`: up to where it has the stripe of which chunk."""
        source = None if self.over else self._chunks.numbered(edge)
        if source is None or not self._chunks.is_planned(source) or not source.wanted:
            return []
        if reason is RefusalReason.BUSY:
            source.told(*told, len(self._chunks.stripes), self._chunks.layout)
            return self._blame_silent(source) + self._leave_alone(source, now)
        if reason is RefusalReason.CHANGED:
            message = "its local file has changed since it was declared"
            if source in self._chunks.primaries():
                return self.fail(FetchFault.SOURCE_CHANGED, message, source.edge)
            return self._lose(source, FetchFault.SOURCE_CHANGED, message, now)
        return self._lose(source, FetchFault.SOURCE_REFUSED, "it does not have the object", now, report=True)

    def unreachable(self, endpoint: str, now: float) -> list[Action]:
        """No connection could be made to the source whose requests go there, or none could be made again."""
        actions: list[Action] = []
        for source in list(self._chunks.sources.values()):
            lost = source.edge.requests_endpoint == endpoint and source.gone is None
            if lost and not self.over and (source.outstanding or self._chunks.feeds(source)):
                actions += self._lose(source, FetchFault.SOURCE_GONE, "it cannot be reached", now, report=True)
        return actions

    def fail(self, fault: FetchFault, message: str, source: SourceEdge | None = None) -> list[Action]:
        """End without the object: a source's fault, or (without one) the disk's, or an order to stop."""
        if self.over:
            return []
        self.over = True
        return [*self._end(self._chunks.sources.values()), Fail(fault, source, message)]

    def change(self, sources: Sequence[SourceEdge], backups: Backups, now: float) -> list[Action]:
        """Follow another plan. What is outstanding at a source that stays in it goes on untouched."""
        if self.over or not sources:
            return []
        named = {*sources, *(backup for backup in backups if backup is not None)}
        # Who is only a backup from now on has given its slot to somebody else: it is asked anew if need be.
        were_more = {source.edge for source in self._chunks.primaries()}.difference(sources)
        stay = named - were_more
        leaving = [
            source for edge, source in self._chunks.sources.items() if edge not in stay or source.gone is not None
        ]
        actions = self._end(leaving)
        for source in leaving:
            self._chunks.drop(source)
        self._chunks.lay_out(sources, backups, self._chunks.all_missing(), now)
        return actions + self._fill_all(now) + self._release(self._chunks.sources.values())

    def tick(self, now: float) -> list[Action]:
        self._run(now)
        actions: list[Action] = []
        for source in list(self._chunks.sources.values()):
            if not self.over:
                actions += self._remind(source, now)
        if not self.over and now >= self._judge_at:
            actions += self._judge(now)
        return actions

    def waited(self, seconds: float) -> None:
        """This node has waited so long for a processor: its sources look slow to it, or are on the same machine."""
        for stripe in self._chunks.stripes:
            stripe.put_off(config.strain_weight * seconds)
        for source in self._chunks.sources.values():
            source.put_off_s += config.strain_weight * seconds

    def next_deadline(self) -> float | None:
        if self.over:
            return None
        deadlines = [source.deadline(len(self._chunks.stripes)) for source in self._chunks.sources.values()]
        if len(self._chunks.sources) > 1 and any(source.wanted for source in self._chunks.sources.values()):
            deadlines.append(self._judge_at - config.judge_interval_s + config.slow_window_s)
        return min((at for at in deadlines if at is not None), default=None)

    def retry_at(self) -> float | None:
        """When a source that was busy is to be asked again: sooner than a tick, mostly."""
        pauses = [source.retry_at for source in self._chunks.sources.values()]
        return None if self.over else min((at for at in pauses if at is not None), default=None)

    # --- what others may know ---

    def outstanding(self, edge: SourceEdge) -> int:
        """Chunks wanted of this source, or come from it and not yet stored."""
        source = self._chunks.sources.get(edge)
        return 0 if source is None else source.outstanding

    def wanted(self, edge: SourceEdge) -> list[int]:
        """Chunks wanted of this source that have not come."""
        source = self._chunks.sources.get(edge)
        return [] if source is None else sorted(source.wanted)

    def is_owed(self, index: int) -> bool:
        """Whether more of this chunk's stripe could be here, and this node is what is slow rather than its source."""
        return not self.over and self._chunks.lacks_what_its_source_has(index)

    def source(self, edge: int) -> SourceEdge | None:
        """Who answers with this number."""
        source = self._chunks.numbered(edge)
        return None if source is None else source.edge

    # --- wanting ---

    def _fill(self, source: Source, now: float) -> list[Action]:
        """Use the free credit, a quarter of it at least, so that wants are fewer than chunks."""
        if self.over or not source.answers or not self._chunks.is_planned(source):
            return []
        room = self._chunks.room(source)
        return self._ask(source, self._chunks.pick(source, room), now) if room else []

    def _fill_all(self, now: float) -> list[Action]:
        return [action for source in self._chunks.sources.values() for action in self._fill(source, now)]

    def _ask(self, source: Source, chunks: Sequence[int], now: float) -> list[Action]:
        if not chunks:
            return []
        source.ask(chunks, self._chunks.layout, now)
        return [self._want(source, chunks)]

    def _want(self, source: Source, chunks: Iterable[int]) -> SendWant:
        ascending = tuple(sorted(chunks))
        return SendWant(
            source.edge, ascending, source.number, len(self._chunks.stripes), not self._chunks.feeds(source)
        )

    def _cancel(self, index: int, now: float) -> list[Action]:
        """The chunk has come: whoever else was asked for it need not send it."""
        actions: list[Action] = []
        for source in [source for source in self._chunks.sources.values() if index in source.wanted]:
            source.withdraw(index)
            actions += [SendCancel(source.edge, (index,)), *self._fill(source, now)]
        return actions

    def _release(self, sources: Iterable[Source]) -> list[Action]:
        """Tell those the end of whom nothing more is wanted."""
        return self._end(
            source
            for source in sources
            if source.open
            and not source.outstanding
            and not self._chunks.feeds(source)
            and not self._chunks.helps(source)
        )

    def _end(self, sources: Iterable[Source]) -> list[Action]:
        actions: list[Action] = []
        for source in sources:
            if source.open:
                source.open = False
                actions.append(SendEnd(source.edge))
        return actions

    def _complete(self) -> list[Action]:
        if self._chunks.remaining or self.over:
            return []
        self.over = True
        return [*self._end(self._chunks.sources.values()), Complete()]

    # --- sources that do not do as they should ---

    def _strike(self, source: Source, now: float) -> list[Action]:
        self.bad_chunks += 1
        source.strikes += 1
        if source.strikes >= config.bad_chunks_max:
            message = f"{source.strikes} of its chunks were not what the manifest says"
            return self.fail(FetchFault.BAD_CHUNKS, message, source.edge)
        return self._fill_all(now)

    def _leave_alone(self, source: Source, now: float) -> list[Action]:
        """It serves its cap of others: it is asked again after a pause, and others meanwhile."""
        if source.busy_since is None:
            source.busy_since = now
        if now - source.busy_since >= config.edge_silence_s:
            failure = self._without(source, FetchFault.SOURCE_BUSY, "it serves its cap of others")
            if failure:
                return failure
        self._chunks.put_back(source)
        source.leave_alone(now)
        return self._fill_all(now)

    def _lose(self, source: Source, fault: FetchFault, message: str, now: float, report: bool = False) -> list[Action]:
        """It is no source any more: its backups take its place, or the transfer ends."""
        source.gone = (fault, message)
        failure = self._without(source, fault, message)
        if failure:
            return failure
        self._chunks.put_back(source)
        actions = self._end([source])
        if report and self._chunks.feeds(source):
            actions += self._report(source, silent=True)
        return actions + self._fill_all(now)

    def _without(self, source: Source, fault: FetchFault, message: str) -> list[Action]:
        """End the transfer if there is a stripe that nobody brings without this source."""
        for stripe in self._chunks.stripes:
            if not stripe.remaining:
                continue
            helped = stripe.backup is not None and stripe.backup is not source and stripe.backup.gone is None
            if stripe.primary is source and not helped:
                return self.fail(fault, message, source.edge)
            if stripe.backup is source and stripe.primary.gone is not None:
                return self.fail(*stripe.primary.gone, stripe.primary.edge)
        return []

    def _report(self, source: Source, silent: bool) -> list[Action]:
        if source.reported:
            return []
        source.reported = True
        return [ReportSlow(source.edge, silent)]

    def _remind(self, source: Source, now: float) -> list[Action]:
        stripes = len(self._chunks.stripes)
        deadline = source.deadline(stripes)
        if deadline is None or now < deadline:
            return []
        if source.retry_at is not None:
            source.retry_at = None
            return self._fill(source, now) + self._release([source])
        if now >= source.silent_at(stripes):
            message = f"it sent nothing for {now - source.heard_at:.0f} s"
            owed = source.owes(source.wanted, stripes)
            return self._lose(source, FetchFault.SOURCE_GONE, message, now, report=owed)
        source.asked_at, source.reminded = now, source.reminded + 1
        return [self._want(source, source.wanted)]

    def _run(self, now: float) -> None:
        """Judge nobody by a time in which this node itself did not run: what came meanwhile comes in any order."""
        if now - self._ran_at > config.late_loop_s:
            for stripe in self._chunks.stripes:
                stripe.begin_anew()
        self._ran_at = now

    def _judge(self, now: float) -> list[Action]:
        """Compare the stripes, and ask for a second time what is overdue."""
        self._judge_at = now + config.judge_interval_s
        actions: list[Action] = []
        if len(self._chunks.sources) < 2:
            return actions
        for stripe in self._chunks.stripes:
            source = stripe.primary
            if stripe.remaining and source.answers:
                actions += self._judge_stripe(stripe, source, now)
        return actions + self._ask_twice(now)

    def _judge_stripe(self, stripe: Stripe, source: Source, now: float) -> list[Action]:
        others = [one for one in self._chunks.stripes if one.primary is not source and (one.remaining or one.came)]
        wanted = [index for index in source.wanted if self._chunks.stripe_of(index) is stripe]
        verdict = stripe.judge(others, bool(wanted), self._chunks.owes(stripe), now)
        to_blame = verdict in (Verdict.SLOW, Verdict.STUCK)
        if verdict is Verdict.FINE or (to_blame and source.slow):
            return []
        actions: list[Action] = []
        if to_blame:
            source.slow = True
            actions = self._report(source, verdict is Verdict.STUCK)
        return actions + self._call_backups(source, now)

    def _call_backups(self, source: Source, now: float) -> list[Action]:
        """Want what this source was asked for of its backups too, and nothing more of it until it sends something."""
        stripes = [stripe for stripe in self._chunks.stripes if stripe.primary is source and stripe.remaining]
        free = [stripe.backup for stripe in stripes if stripe.backup is not None and stripe.backup.answers]
        if free:
            source.doubted_at = now
        for stripe in stripes:
            stripe.helper = stripe.backup
        return [action for backup in dict.fromkeys(free) for action in self._fill(backup, now)]

    def _blame_silent(self, backup: Source) -> list[Action]:
        """Report the sources that are silent though this one, their backup, has what they were asked for.

        Those further down wait as long for theirs, but find that their backups have no more.
        """
        helped = [stripe for stripe in self._chunks.stripes if stripe.backup is backup and stripe.remaining]
        blamed = dict.fromkeys(stripe.primary for stripe in helped if self._chunks.is_passed_by(stripe, backup))
        return [action for source in blamed for action in self._report(source, silent=True)]

    # --- the last chunks ---

    def _ask_twice(self, now: float) -> list[Action]:
        """When all is asked for: want what is overdue of somebody else too."""
        if self._chunks.any_missing():
            return []
        actions: list[Action] = []
        for source in list(self._chunks.sources.values()):
            for index in self._chunks.overdue(source, now):
                second = self._chunks.second_for(index, source)
                if second is not None:
                    actions += self._ask(second, (index,), now)
        return actions
