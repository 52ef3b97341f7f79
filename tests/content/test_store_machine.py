"""Whatever happens to objects, stores of one folder keep its budget, and give up only what may go."""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.content.objects import bytes_on_disk, keep_unpacked, made_of, receive
from vine.content.entrance import is_small
from vine.content.hashing import manifest_of_file
from vine.content.manifest import derived_id, object_id
from vine.content.partial import Partial, Present
from vine.content.store import Store
from vine.errors import DiskFull

CAPACITY = 250_000  # of one store: together they may have two of the largest objects, or so
OBJECTS = [made_of(size, seed) for seed, size in enumerate((0, 10, 60_000, 100_000, 200_000, 300_000, 400_000))]
TREE = len(OBJECTS)  # The number of one that is unpacked.
KEYS = [*(made.key for made in OBJECTS), derived_id("untar", OBJECTS[0].key)]
SIZES = [*(len(made.content) for made in OBJECTS), 150_000]
SHARED = [not is_small(size) for size in SIZES]


class Mate:
    """One of the stores, and what its owner thinks of it."""

    def __init__(self, root: Path) -> None:
        self.store = Store(root, CAPACITY)
        self.spare: dict[int, bool] = {}  # what it has said of what it knows
        self.pins: Counter[int] = Counter()
        self.coming: dict[int, Partial | Present] = {}
        self.hear()

    def hear(self) -> set[int]:
        """What it knows now; of what is gone it was told."""
        gone = {KEYS.index(key) for key in self.store.take_evicted()}
        assert not any(self.pins[which] for which in gone), "it was in use"
        known = {KEYS.index(key) for key in self.store.held()}
        assert set(self.spare) - known <= gone, "something has gone in silence"
        self.spare = {which: self.spare.get(which, False) for which in known}
        return gone


class Sharing(RuleBasedStateMachine):
    """Three stores in one folder, of which any ends at any moment, in order or not."""

    who = st.sampled_from(range(3))
    which = st.sampled_from(range(len(KEYS)))

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name) / "store"
        self.mates = [Mate(self.root) for _ in range(3)]

    def teardown(self) -> None:
        for mate in self.mates:
            mate.store.leave()
        assert not self.root.exists() or any(True for _ in (self.root / "objects").iterdir())
        self.folder.cleanup()

    def bring(self, who: int, which: int, way: Callable[[Store], object]) -> None:
        """It is admitted if what nobody needs makes room for it."""
        mate = self.mates[who]
        needed = sum(SIZES[one] for one in range(len(KEYS)) if SHARED[one] and self.is_needed(one))
        needed += sum(SIZES[one] for other in self.mates for one in other.coming)
        for other in self.mates:  # Of small objects each has its own, and only itself can give them up.
            small = [one for one in other.spare if not SHARED[one]]
            needed += sum(SIZES[one] for one in small if other is not mate or mate.pins[one] or not mate.spare[one])
        kept = [path for one, path in enumerate(self.places()) if self.is_needed(one) and path.exists()]
        try:
            way(mate.store)
        except DiskFull:
            assert needed + SIZES[which] > 3 * CAPACITY, "room that could have been made was refused"
            mate.hear()
            return
        mate.hear()
        assert all(path.exists() for path in kept), "what somebody needs was given up"
        assert which in mate.spare, "what it has brought is here"
        mate.spare[which] = False

    def places(self) -> list[Path]:
        return [self.root / "objects" / key for key in KEYS]

    def is_needed(self, which: int) -> bool:
        return any(mate.pins[which] or mate.spare.get(which) is False for mate in self.mates)

    @rule(who=who, which=which)
    def receive(self, who: int, which: int) -> None:
        if which == TREE:
            self.bring(who, which, self.unpack)
        elif which not in self.mates[who].coming:
            self.bring(who, which, lambda store: receive(store, OBJECTS[which]))

    def unpack(self, store: Store) -> None:
        if not store.find(KEYS[TREE]):
            keep_unpacked(store, KEYS[TREE], data=bytes(SIZES[TREE]))

    @rule(who=who, which=which)
    def adopt(self, who: int, which: int) -> None:
        path = Path(self.folder.name) / "output"
        if which != TREE and which not in self.mates[who].coming:
            path.write_bytes(OBJECTS[which].content)
            self.bring(who, which, lambda store: store.adopt(path))

    @rule(who=who, which=which)
    def begin_and_break(self, who: int, which: int) -> None:
        if which == TREE or which in self.mates[who].spare or which in self.mates[who].coming:
            return
        made = OBJECTS[which]
        try:
            partial = self.mates[who].store.begin(made.key, made.manifest)
        except DiskFull:
            return
        for index in range(0, len(made.chunks), 2):
            partial.write(index, made.chunks[index])
        getattr(partial, "release", partial.discard)()
        self.mates[who].hear()

    @rule(who=who, which=which)
    def begin_slowly(self, who: int, which: int) -> None:
        mate = self.mates[who]
        if which != TREE and which not in mate.spare and which not in mate.coming:
            made = OBJECTS[which]
            with contextlib.suppress(DiskFull):
                mate.coming[which] = partial = mate.store.begin(made.key, made.manifest)
                for index in range(0, len(made.chunks), 2):
                    partial.write(index, made.chunks[index])
            mate.hear()

    @rule(who=who)
    @precondition(lambda self: any(mate.coming for mate in self.mates))
    def go_on(self, who: int) -> None:
        """Whatever others have done meanwhile, with the same object too."""
        mate = self.mates[who]
        for which in sorted(mate.coming):
            partial = mate.coming.pop(which)
            for index in set(range(len(OBJECTS[which].chunks))) - partial.present:
                partial.write(index, OBJECTS[which].chunks[index])
            if isinstance(partial, Present) and which in mate.spare:
                partial.commit()
                continue
            with contextlib.suppress(*([FileNotFoundError] if isinstance(partial, Present) else [])):
                partial.commit()  # Of what was here, and was removed meanwhile, nothing comes.
                mate.hear()
                mate.spare[which] = False

    @rule(who=who)
    def unpack_and_break(self, who: int) -> None:
        store = self.mates[who].store
        (store.begin_tree(KEYS[TREE]) / "half").touch()  # Its bytes count when all are here.
        store.discard_tree(KEYS[TREE])

    @rule(who=who, which=which, spare=st.booleans())
    def rate(self, who: int, which: int, spare: bool) -> None:
        mate = self.mates[who]
        mate.store.rate(KEYS[which], spare)
        if which in mate.spare:
            mate.spare[which] = spare

    @rule(who=who, which=which)
    def remove(self, who: int, which: int) -> None:
        mate = self.mates[who]
        if mate.store.remove(KEYS[which]):
            assert not mate.pins[which]
            del mate.spare[which]

    @rule(who=who, which=which)
    def pin(self, who: int, which: int) -> None:
        mate = self.mates[who]
        mate.store.pin(KEYS[which])
        gone = mate.hear()  # Before it counts: what had gone by then is told, and what has not stays.
        assert which not in gone or which not in mate.spare
        mate.pins[which] += 1

    @rule(who=who, which=which)
    @precondition(lambda self: any(any(mate.pins.values()) for mate in self.mates))
    def unpin(self, who: int, which: int) -> None:
        mate = self.mates[who]
        if mate.pins[which]:
            mate.store.unpin(KEYS[which])
            mate.pins[which] -= 1

    @rule(who=who)
    def look(self, who: int) -> None:
        mate = self.mates[who]
        mate.store.look()
        mate.hear()
        for which in mate.spare:
            assert mate.store.path(KEYS[which]).exists(), "it knows what is here"

    @rule(who=who, killed=st.booleans(), busy=st.booleans())
    def end_and_start(self, who: int, killed: bool, busy: bool) -> None:
        """Whoever comes in its place joins the others; nothing of the one that was killed is in their way."""
        store = self.mates[who].store
        if busy:
            (store.begin_tree(KEYS[TREE]) / "half").touch()  # Its bytes count when all are here.
        if killed:
            store.abandon()
        else:
            store.leave()
        self.mates[who] = Mate(self.root)

    @invariant()
    def the_budget_is_kept(self) -> None:
        assert bytes_on_disk(self.mates[0].store) <= 3 * CAPACITY, "the budget is exceeded"

    @invariant()
    def what_is_in_use_is_there_and_whole(self) -> None:
        for mate in self.mates:
            for which in mate.spare:
                if mate.pins[which] or not SHARED[which]:
                    path = mate.store.path(KEYS[which])
                    assert not mate.store.altered(KEYS[which])
                    assert which == TREE or object_id(manifest_of_file(path)[0]) == KEYS[which]
                    assert which != TREE or (path / "data").stat().st_size == SIZES[TREE]

    @invariant()
    def nothing_is_there_twice(self) -> None:
        names = [path.name for path in (self.root / "objects").iterdir() if not path.name.startswith("own-")]
        assert sorted(names) == sorted(set(names))


Sharing.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
test_stores_share_a_folder = Sharing.TestCase
