"""Do objects come, stay and go as the manager wants, and does who waits for them go on?"""

from __future__ import annotations

from tests.worker.world import ARCHIVE, DATA, FINE, TREE, World, assignment, starts
from vine import config
from vine.names import AttemptId, ObjectId, TransferId
from vine.wire import messages as wire
from vine.wire.messages import ObjectMount, TaskKind
from vine_worker import actions as act

MANIFEST = wire.Manifest(1, 0, 1, b"")


def fetch(number: int, key: ObjectId = DATA) -> wire.FetchObject:
    return wire.FetchObject(TransferId(1, number), key, MANIFEST, ())


def fetched(number: int, fault: wire.FetchFault = wire.FetchFault.NONE, message: str = "") -> wire.FetchEnded:
    return wire.FetchEnded(TransferId(1, number), DATA, fault, 5, 0.1, message)


# --- coming ---


def test_what_is_here_already_is_told_and_not_brought_again() -> None:
    world = World(held=(DATA, TREE))
    assert world.hear(wire.StoreObjects((wire.InlineObject(DATA, b""),))) == [act.Send(wire.ObjectsHeld((DATA,)))]
    assert world.hear(wire.UnpackObject(TREE, ARCHIVE, "env")) == [act.Send(wire.ObjectsHeld((TREE,)))]
    ended = wire.FetchEnded(TransferId(1, 1), DATA, wire.FetchFault.NONE, 0, 0.0)
    assert world.hear(fetch(1)) == [act.Send(ended)]


def test_an_attempt_starts_when_the_last_object_that_it_needs_has_come() -> None:
    world = World()
    world.run(assignment(1, TaskKind.COMMAND, inputs=(ObjectMount(DATA, "data"), ObjectMount(TREE, "tree"))))
    world.hear(fetch(1))
    assert starts(world.hear(fetched(1))) == []
    assert starts(world.hear(act.Kept(TREE))) == [1]


def test_a_transfer_that_failed_is_told_and_may_be_tried_again() -> None:
    world = World()
    world.run(assignment(1, TaskKind.COMMAND, inputs=(ObjectMount(DATA, "data"),)))
    world.hear(fetch(1))
    long = "x" * (config.text_chars_max + 1)
    (told,) = world.hear(fetched(1, wire.FetchFault.SOURCE_GONE, long))
    assert told == act.Send(fetched(1, wire.FetchFault.SOURCE_GONE, long[:-1]))
    assert world.hear(fetch(2)) == [act.StartFetch(fetch(2))]


def test_only_a_transfer_that_still_runs_is_stopped() -> None:
    world = World()
    world.hear(fetch(1))
    abandon = wire.AbandonFetch(TransferId(1, 1))
    assert world.hear(abandon) == [act.StopFetch(TransferId(1, 1))]
    world.hear(fetched(1, wire.FetchFault.ABANDONED))
    assert world.hear(abandon) == []


def test_an_archive_that_cannot_be_unpacked_is_told_and_may_be_tried_again() -> None:
    world = World(held=(ARCHIVE,))
    order = act.StartUnpack(TREE, ARCHIVE, "env")
    assert world.hear(wire.UnpackObject(TREE, ARCHIVE, "env")) == [order]
    assert world.hear(wire.UnpackObject(TREE, ARCHIVE, "env")) == [], "it was begun twice"
    lost = wire.ObjectsLost((TREE,), "env is no archive", disk_full=False)
    assert world.hear(act.Unpacked(TREE, "env is no archive")) == [act.Send(lost)]
    assert world.hear(wire.UnpackObject(TREE, ARCHIVE, "env")) == [order]


# --- staying and going ---


def test_who_has_not_started_waits_again_when_its_input_turns_out_to_be_altered() -> None:
    world = World(held=(DATA,), protected=False)
    data, tree = ObjectMount(DATA, "data"), ObjectMount(TREE, "tree")
    world.run(assignment(1, TaskKind.COMMAND, inputs=(data,)), assignment(2, TaskKind.COMMAND, inputs=(data, tree)))
    key = AttemptId(1, 1)
    world.hear(act.BodyEnded(key, FINE), act.Collected(key, altered=(DATA,)))
    assert starts(world.hear(act.Kept(TREE))) == [], "it started without one of its inputs"
    assert starts(world.hear(act.Kept(DATA))) == [2]


def test_objects_in_use_are_removed_after_their_last_use() -> None:
    world = World(held=(DATA,))
    world.run(assignment(1, TaskKind.COMMAND, inputs=(ObjectMount(DATA, "data"),)))
    assert world.hear(wire.DropObjects((DATA,))) == []
    key = AttemptId(1, 1)
    world.hear(act.BodyEnded(key, FINE))
    assert world.hear(act.Collected(key)) == [act.RemoveObjects((DATA,))]


def test_an_archive_is_unpacked_once_it_is_here_and_kept_until_then() -> None:
    world = World()
    assert world.hear(wire.UnpackObject(TREE, ARCHIVE, "env")) == []
    order = act.StartUnpack(TREE, ARCHIVE, "env")
    assert order in world.hear(act.Kept(ARCHIVE))
    assert world.hear(wire.DropObjects((ARCHIVE,))) == []
    assert world.hear(act.Unpacked(TREE)) == [act.RemoveObjects((ARCHIVE,)), act.Send(wire.ObjectsHeld((TREE,)))]


def test_what_was_dropped_while_it_came_is_not_announced() -> None:
    world = World()
    world.hear(fetch(1), wire.DropObjects((DATA,)))
    told = act.Send(fetched(1, wire.FetchFault.ABANDONED))
    assert world.hear(fetched(1)) == [act.RemoveObjects((DATA,)), told]


def test_two_transfers_never_write_into_one_object() -> None:
    world = World()
    assert world.hear(fetch(1)) == [act.StartFetch(fetch(1))]
    (told,) = world.hear(fetch(2))
    assert told == act.Send(wire.FetchEnded(TransferId(1, 2), DATA, wire.FetchFault.ABANDONED, 0, 0.0))
