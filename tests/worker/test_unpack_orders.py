"""Does an unpacking begin as early as it may, go on while its archive comes, and end when nobody wants it?"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.worker.world import ARCHIVE, FINE, TREE, World, assignment
from vine import config
from vine.names import AttemptId, ObjectId, TransferId
from vine.wire.parts import FetchFault, Manifest, ObjectMount, TaskKind
from vine.wire.worker_messages import (
    CancelAttempts,
    DropObjects,
    FetchEnded,
    FetchObject,
    ObjectsEvicted,
    ObjectsHeld,
    ObjectsLost,
    RunAttempts,
    UnpackObject,
)
from vine_worker import actions as act

ORDER = UnpackObject(TREE, ARCHIVE, "env")
GONE = [act.RemoveObjects((TREE,)), act.Send(ObjectsEvicted((TREE,)))]
HELD = act.Send(ObjectsHeld((TREE,)))
NEEDS_TREE = {"kind": TaskKind.COMMAND, "inputs": (ObjectMount(TREE, "tree"),)}


def fetch(number: int, key: ObjectId = ARCHIVE) -> FetchObject:
    return FetchObject(TransferId(1, number), key, Manifest(1, 0, 1, b""), ())


def fetched(number: int, fault: FetchFault = FetchFault.NONE, key: ObjectId = ARCHIVE) -> FetchEnded:
    return FetchEnded(TransferId(1, number), key, fault, 0, 0.0)


def start(ahead: bool) -> act.StartUnpack:
    return act.StartUnpack(TREE, ARCHIVE, "env", ahead)


def streaming() -> World:
    """A world in which the archive arrives, and is unpacked meanwhile."""
    world = World()
    assert world.hear(ORDER, fetch(1)) == [act.StartFetch(fetch(1))]
    assert world.hear(act.Arriving(ARCHIVE)) == [start(ahead=True)]
    return world


# --- beginning ---


def test_unpacking_begins_when_the_first_of_the_archive_can_come_and_ends_after_the_last_of_it_has() -> None:
    world = streaming()
    assert act.ArchiveCame(TREE) in world.hear(fetched(1))
    assert world.hear(act.Unpacked(TREE)) == [HELD]
    assert not world.pinned


def test_an_order_that_comes_while_the_archive_arrives_begins_at_once() -> None:
    world = World()
    world.hear(fetch(1), act.Arriving(ARCHIVE))
    assert world.hear(ORDER) == [start(ahead=True)]


def test_what_is_said_to_arrive_and_has_come_already_is_unpacked_as_what_is_here() -> None:
    world = World()
    world.hear(fetch(1), act.Arriving(ARCHIVE), fetched(1))
    assert world.hear(ORDER) == [start(ahead=False)]


def test_only_so_many_wait_for_bytes_and_the_next_begins_when_one_has_them_all() -> None:
    world = World()
    pairs = [(ObjectId(f"{n}" * 64), ObjectId(f"{n + 4}" * 64)) for n in range(config.unpackings_ahead_max + 1)]
    for number, (tree, archive) in enumerate(pairs):
        world.hear(UnpackObject(tree, archive, "env"), fetch(number, archive))
    begun = [world.hear(act.Arriving(archive)) for _tree, archive in pairs]
    assert [len(actions) for actions in begun] == [1] * config.unpackings_ahead_max + [0]
    assert act.StartUnpack(*pairs[-1], "env", ahead=True) in world.hear(fetched(0, key=pairs[0][1]))


# --- going on ---


def test_it_goes_on_with_the_transfer_that_takes_the_place_of_a_broken_one() -> None:
    world = streaming()
    gone = fetched(1, FetchFault.SOURCE_GONE)
    assert world.hear(gone) == [act.Send(gone)]
    assert world.hear(fetch(2)) == [act.StartFetch(fetch(2))]
    assert act.ArchiveCame(TREE) in world.hear(fetched(2))


def test_it_begins_again_when_what_had_come_was_discarded_and_comes_anew() -> None:
    world = streaming()
    world.hear(fetched(1, FetchFault.DISK_FULL))
    assert world.hear(act.Unpacked(TREE, cut=True)) == []
    assert world.pinned == {ARCHIVE: 1}
    assert world.hear(fetch(2), act.Arriving(ARCHIVE)) == [act.StartFetch(fetch(2)), start(ahead=True)]


def test_it_begins_again_from_the_archive_that_was_complete_before_the_cut_was_told() -> None:
    world = streaming()
    world.hear(fetched(1))
    assert world.hear(act.Unpacked(TREE, cut=True)) == [start(ahead=False)]


# --- ending ---


def test_an_archive_that_is_found_bad_while_it_comes_is_told_at_once() -> None:
    world = streaming()
    lost = act.Send(ObjectsLost((TREE,), "env is no archive", disk_full=False))
    assert world.hear(act.Unpacked(TREE, "env is no archive")) == [lost]
    assert not world.pinned
    assert act.ArchiveCame(TREE) not in world.hear(fetched(1))


def test_what_nobody_wants_any_more_is_stopped_and_its_archive_goes() -> None:
    world = streaming()
    dropped = DropObjects((TREE, ARCHIVE))
    assert world.hear(dropped) == [*GONE, act.StopUnpack(TREE)]
    removed = [act.RemoveObjects((ARCHIVE,)), act.Send(ObjectsEvicted((ARCHIVE,)))]
    assert world.hear(act.Unpacked(TREE, cut=True)) == removed
    assert not world.pinned


def test_what_only_waited_for_its_archive_is_forgotten_when_it_is_dropped() -> None:
    world = World()
    world.hear(ORDER)
    assert world.pinned == {ARCHIVE: 1}
    world.hear(DropObjects((TREE,)))
    assert not world.pinned
    assert start(ahead=False) not in world.hear(act.Kept(ARCHIVE))


def test_what_is_dropped_while_an_attempt_waits_for_it_is_stopped_with_the_attempt() -> None:
    world = streaming()
    world.run(assignment(1, **NEEDS_TREE))
    assert world.hear(DropObjects((TREE,))) == []
    assert act.StopUnpack(TREE) in world.hear(CancelAttempts((AttemptId(1, 1),)))


def test_what_is_wanted_again_while_it_is_stopped_begins_again() -> None:
    world = streaming()
    world.hear(DropObjects((TREE,)))
    assert world.hear(ORDER) == []
    assert world.hear(act.Unpacked(TREE, cut=True)) == [start(ahead=True)]
    assert world.pinned == {ARCHIVE: 1}


def test_what_is_dropped_again_and_again_is_stopped_once() -> None:
    world = streaming()
    assert act.StopUnpack(TREE) in world.hear(DropObjects((TREE,)))
    assert act.StopUnpack(TREE) not in world.hear(ORDER, DropObjects((TREE,)))
    world.hear(act.Unpacked(TREE, cut=True))
    assert not world.pinned


def test_what_was_ready_before_it_could_be_stopped_goes_or_stays_as_is_wanted_by_then() -> None:
    for again, answer in ((False, GONE), (True, [HELD])):
        world = streaming()
        world.hear(fetched(1), DropObjects((TREE,)), *([ORDER] if again else []))
        assert world.hear(act.Unpacked(TREE)) == answer
        assert not world.pinned


def test_why_a_stopped_one_failed_interests_nobody() -> None:
    world = streaming()
    world.hear(DropObjects((TREE,)))
    assert world.hear(act.Unpacked(TREE, "it was killed")) == []


# --- whatever comes in which order ---


class Machine(RuleBasedStateMachine):
    """Plays manager, transfer node and unpackings, for one archive and one attempt after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(held=())
        self.fetching: int | None = None
        self.fetches = 0
        self.attempts = 0
        self.arriving = False  # What has come of the archive can be read.
        self.archive = False  # It is here.
        self.ordered = False  # The manager wants the folder.
        self.running = False
        self.awaits_archive = False
        self.stopped = False
        self.cut = False

    def feed(self, *events: Any) -> None:
        waiting = list(events)
        while waiting:
            for action in self.world.hear(waiting.pop(0)):
                waiting += self.execute(action)

    def execute(self, action: act.Action) -> list[Any]:
        match action:
            case act.StartFetch(order):
                self.fetching = order.transfer_id.counter
            case act.StartUnpack(ahead=ahead):
                assert not self.running, "it is unpacked twice at once"
                assert ahead is not self.archive, "what it is unpacked from is here, or is not"
                self.running, self.awaits_archive, self.stopped = True, ahead, False
                self.cut = ahead and not self.arriving
            case act.ArchiveCame():
                assert self.archive, "half an archive was said to be whole"
                self.awaits_archive = False
            case act.StopUnpack():
                assert self.running and not self.stopped, "what does not run, or not for long, was to be stopped"
                self.stopped = True
            case act.RemoveObjects(keys) if ARCHIVE in keys:
                assert not self.world.pinned[ARCHIVE], "what is in use was to be removed"
                self.archive = False
                return self.discarded()
            case act.StartBody(given):
                return [act.BodyEnded(given.attempt, FINE)]
            case act.Collect(given):
                return [act.Collected(given.attempt)]
            case act.Send(ObjectsHeld(object_ids=(key,))) if key == TREE:
                self.ordered = False
            case act.Send(ObjectsLost()):
                self.ordered = False
        return []

    def discarded(self) -> list[Any]:
        self.cut = self.cut or (self.running and self.awaits_archive and self.arriving)
        self.arriving = False
        number, self.fetching = self.fetching, None
        return [] if number is None else [fetched(number, FetchFault.DISK_FULL)]

    @rule()
    @precondition(lambda self: not self.ordered)
    def folder_is_wanted(self) -> None:
        self.ordered = True
        self.feed(ORDER)

    @rule()
    @precondition(lambda self: self.fetching is None)
    def transfer_begins(self) -> None:
        self.fetches += 1
        self.feed(fetch(self.fetches))

    @rule()
    @precondition(lambda self: self.fetching is not None and not self.arriving)
    def archive_begins_to_come(self) -> None:
        self.arriving = True
        self.feed(act.Arriving(ARCHIVE))

    @rule(end=st.sampled_from(["comes", "breaks", "is discarded"]))
    @precondition(lambda self: self.fetching is not None and self.arriving)
    def transfer_ends(self, end: str) -> None:
        assert self.fetching is not None
        number = self.fetching
        if end == "is discarded":
            self.feed(*self.discarded())
            return
        self.fetching = None
        if end == "comes":
            self.archive, self.arriving = True, False
        self.feed(fetched(number, FetchFault.NONE if end == "comes" else FetchFault.SOURCE_GONE))

    @rule(keys=st.sampled_from([(TREE,), (ARCHIVE,), (TREE, ARCHIVE)]))
    def dropped(self, keys: tuple[ObjectId, ...]) -> None:
        if TREE in keys:
            self.ordered = False
        self.feed(DropObjects(keys))

    @rule()
    def attempt_comes(self) -> None:
        self.attempts += 1
        self.feed(RunAttempts((assignment(self.attempts, **NEEDS_TREE),)))

    @rule()
    def attempts_are_cancelled(self) -> None:
        self.feed(CancelAttempts(tuple(self.world.core.attempts)))

    @rule(message=st.sampled_from(["", "it is no archive"]))
    @precondition(lambda self: self.running and not self.cut and not (self.awaits_archive and not self.stopped))
    def unpacking_ends(self, message: str) -> None:
        self.running = False
        self.feed(act.Unpacked(TREE, message))

    @rule()
    @precondition(lambda self: self.running and (self.cut or self.stopped))
    def unpacking_is_cut(self) -> None:
        self.running = self.cut = False
        self.feed(act.Unpacked(TREE, cut=True))

    @invariant()
    def what_the_manager_wants_and_can_be_unpacked_is(self) -> None:
        if self.ordered and (self.archive or self.arriving):
            assert self.running, "it waits for nothing"
            assert self.archive <= (not self.awaits_archive or self.stopped or self.cut), "it waits for what is here"

    def teardown(self) -> None:
        self.attempts_are_cancelled()
        self.dropped((TREE, ARCHIVE))
        assert not self.running or self.stopped or self.cut
        if self.running:
            self.unpacking_is_cut()
        assert not self.running
        assert not self.world.pinned, "something stays pinned for ever"


Machine.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestMachine = Machine.TestCase
