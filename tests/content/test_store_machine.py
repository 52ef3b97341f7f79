"""Whatever happens to objects, the store counts what lies on disk, and gives up only what may go."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.content.objects import made_of, on_disk, receive
from vine.content.store import Store
from vine.errors import DiskFull

CAPACITY = 1_000_000


class Life(RuleBasedStateMachine):
    """Whatever happens to objects, what the store counts is what lies on disk."""

    objects = [made_of(size, seed) for seed, size in enumerate((0, 10, 300_000, 600_000, 400_000))]
    which = st.sampled_from(range(5))

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store(Path(self.folder.name), capacity_bytes=CAPACITY)
        self.held: set[int] = set()
        self.spare: set[int] = set()
        self.forever: set[int] = set()
        self.pins = dict.fromkeys(range(5), 0)

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule(which=which)
    def begin_and_break(self, which: int) -> None:
        made = self.objects[which]
        if which not in self.held:

            def begin() -> None:
                partial = self.store.begin(made.key, made.manifest)
                for index in range(0, len(made.chunks), 2):
                    partial.write(index, made.chunks[index])
                partial.release()

            self.fits(which, begin)

    def fits(self, which: int, bring: Callable[[], object]) -> bool:
        """Whether it was admitted: always, if what may go makes room for it; and nothing else goes."""
        size = len(self.objects[which].content)
        needed = sum(len(self.objects[one].content) for one in self.held if one not in self.spare or self.pins[one])
        try:
            bring()
        except DiskFull:
            assert needed + size > CAPACITY, "room that could have been made was refused"
            assert self.store.take_evicted() == (), "something was given up in vain"
            return False
        evicted = self.store.take_evicted()
        gone = {which for which, made in enumerate(self.objects) if made.key in evicted}
        assert gone <= self.spare
        assert not any(self.pins[one] for one in gone)
        self.held -= gone
        self.forget(*gone)
        return True

    def forget(self, *gone: int) -> None:
        self.spare.difference_update(gone)
        self.forever.difference_update(gone)

    @rule(which=which)
    def receive(self, which: int) -> None:
        if which not in self.held and self.fits(which, lambda: receive(self.store, self.objects[which])):
            self.held.add(which)

    @rule(which=which)
    def adopt(self, which: int) -> None:
        path = Path(self.folder.name) / "output"
        path.write_bytes(self.objects[which].content)
        if self.fits(which, lambda: self.store.adopt(path)) or which in self.held:
            self.held.add(which)
            self.spare.discard(which)

    @rule(which=which, spare=st.booleans(), forever=st.booleans())
    def rate(self, which: int, spare: bool, forever: bool) -> None:
        self.store.rate(self.objects[which].key, spare, forever)
        self.forget(which)
        if which in self.held:
            self.spare |= {which} if spare else set()
            self.forever |= {which} if forever else set()

    @rule(orderly=st.booleans())
    def open_again(self, orderly: bool) -> None:
        """Whoever comes next finds what is worth it; after an orderly end what is kept for ever."""
        worth = {which for which in self.held if len(self.objects[which].content) > 64 << 10} | self.forever
        if orderly:
            assert self.store.clear(keep_forever=True) == bool(self.forever)
            worth = set(self.forever)
        self.store.close()
        self.store = Store(Path(self.folder.name), CAPACITY, resume=True)
        self.held, self.spare = worth, set()
        self.pins = dict.fromkeys(range(5), 0)
        assert self.store.held() == {self.objects[which].key: which in self.forever for which in worth}

    @rule(which=which)
    def remove(self, which: int) -> None:
        removed = self.store.remove(self.objects[which].key)
        assert removed == (which in self.held and not self.pins[which])
        if removed:
            self.held.discard(which)
            self.forget(which)

    @rule(which=which)
    def quarantine(self, which: int) -> None:
        self.store.quarantine(self.objects[which].key)
        self.held.discard(which)
        self.forget(which)

    @rule(which=which)
    def pin(self, which: int) -> None:
        self.store.pin(self.objects[which].key)
        self.pins[which] += 1

    @rule(which=which)
    @precondition(lambda self: any(self.pins.values()))
    def unpin(self, which: int) -> None:
        if self.pins[which]:
            self.store.unpin(self.objects[which].key)
            self.pins[which] -= 1

    @invariant()
    def counts_agree(self) -> None:
        assert {which for which, made in enumerate(self.objects) if self.store.has(made.key)} == self.held
        lying = sum((self.store.root / path).stat().st_size for path in on_disk(self.store))
        assert self.store.used_bytes == lying <= CAPACITY
        for which in self.held:
            assert not self.store.altered(self.objects[which].key)
            assert self.store.path(self.objects[which].key).stat().st_size == len(self.objects[which].content)


Life.TestCase.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
test_counts_are_what_lies_on_disk = Life.TestCase
