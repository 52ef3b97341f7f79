"""Do objects come, stay and go as the manager wants, and does who waits for them go on?"""

from __future__ import annotations

from tests.worker.world import ARCHIVE, DATA, FINE, FUNCTION, TREE, TWO, World, assignment, starts
from vine import config
from vine.names import AttemptId, FileId, ObjectId, TransferId
from vine.wire import messages as wire
from vine.wire.messages import ObjectMount, TaskKind
from vine_worker import actions as act
from vine_worker.core import WorkerCore

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


def test_a_transfer_that_replaces_an_abandoned_one_is_begun_before_that_has_ended() -> None:
    world = World()
    first = wire.FetchObject(TransferId(1, 1), DATA, wire.Manifest(1, 0, 1, b""), ())
    second = wire.FetchObject(TransferId(1, 2), DATA, first.manifest, ())
    world.hear(first)
    assert world.hear(wire.AbandonFetch(first.transfer_id), second) == [
        act.StopFetch(first.transfer_id),
        act.StartFetch(second),
    ]


def test_an_object_that_came_though_its_transfer_was_abandoned_is_announced() -> None:
    world = World()
    order = wire.FetchObject(TransferId(1, 1), DATA, wire.Manifest(1, 0, 1, b""), ())
    done = wire.FetchEnded(TransferId(1, 1), DATA, wire.FetchFault.NONE, 5, 0.1)
    world.hear(order, wire.AbandonFetch(order.transfer_id))
    assert act.Send(wire.ObjectsHeld((DATA,))) in world.hear(done)


# --- room ---


def test_what_an_attempt_needs_is_pinned_from_its_arrival_until_its_end() -> None:
    world = World(held=(FUNCTION, DATA))
    world.run(assignment(1, TaskKind.COMMAND, inputs=(ObjectMount(DATA, "a"), ObjectMount(DATA, "b"))))
    world.run(assignment(1, TaskKind.COMMAND, inputs=(ObjectMount(DATA, "a"),)))  # Said twice: it is known.
    assert world.pinned == {DATA: 1}
    key = AttemptId(1, 1)
    world.hear(act.BodyEnded(key, FINE))
    assert world.pinned == {DATA: 1}
    world.hear(act.Collected(key))
    assert not world.pinned


def test_an_archive_is_pinned_from_the_order_to_unpack_it_until_it_is_unpacked() -> None:
    world = World()
    world.hear(wire.UnpackObject(TREE, ARCHIVE, "env"), wire.UnpackObject(TREE, ARCHIVE, "env"), act.Kept(ARCHIVE))
    assert world.pinned == {ARCHIVE: 1}
    world.hear(act.Unpacked(TREE))
    assert not world.pinned


def test_an_order_to_unpack_what_is_here_leaves_nothing_pinned_and_what_has_just_gone_is_unpacked_again() -> None:
    world = World(held=(TREE, ARCHIVE))
    order = wire.UnpackObject(TREE, ARCHIVE, "env")
    world.hear(order)
    assert not world.pinned
    # The store gives it up after the driver has asked what to pin, and before the core sees the order.
    world.pinned.update(world.core.claims(order))
    world.core.handle(act.Evicted((TREE,)), 0.0)
    assert act.StartUnpack(TREE, ARCHIVE, "env") in world.core.handle(order, 0.0)
    world.hear(act.Unpacked(TREE))
    assert not world.pinned


def test_what_was_sent_may_go_and_what_was_made_here_may_not_until_the_manager_says_so() -> None:
    world = World(held=())
    world.hear(act.Kept(DATA))
    assert world.rated == [act.Rate((DATA,), spare=True, forever=False)]
    world.run(assignment(1, TaskKind.COMMAND))
    key = AttemptId(1, 1)
    output = wire.MadeOutput(FileId(1), TREE, wire.Manifest(1, 0, 1, b""))
    world.hear(act.BodyEnded(key, FINE), act.Collected(key, outputs=(output,)))
    assert len(world.rated) == 1
    world.hear(wire.RateObjects((TREE, ARCHIVE), spare=True, cache=wire.CacheLevel.WORKFLOW))
    assert world.rated[1:] == [act.Rate((TREE,), spare=True, forever=False)]


def test_the_manager_hears_what_had_to_make_room_and_idle_hosts_of_it_end() -> None:
    world = World(held=(FUNCTION, TREE))
    world.run(assignment(1, environment=TREE))
    world.hear(act.HostReady(1), act.CallsEnded(1, ((AttemptId(1, 1), FINE),)))
    actions = world.hear(act.Evicted((TREE, ARCHIVE)))
    assert actions == [act.EndHost(1, force=False), act.Send(wire.ObjectsEvicted((TREE,)))]
    assert starts(world.run(assignment(2, environment=TREE))) == []


def test_who_has_not_started_waits_again_when_a_mate_has_found_its_input_altered() -> None:
    world = World(held=(DATA,))
    data = ObjectMount(DATA, "data")
    world.run(*(assignment(number, TaskKind.COMMAND, inputs=(data,)) for number in (1, 2, 3)))  # Two of them run.
    (said,) = world.hear(act.Lost((DATA, TREE)))
    assert isinstance(said, act.Send)
    assert isinstance(said.message, wire.ObjectsLost)
    assert said.message.object_ids == (DATA,)
    world.hear(act.BodyEnded(AttemptId(1, 1), FINE))
    assert starts(world.hear(act.Collected(AttemptId(1, 1)))) == []
    assert starts(world.hear(act.Kept(DATA))) == [3]


def test_the_cache_level_forever_travels_with_the_object_and_is_announced_again() -> None:
    world = World(held=())
    forever = wire.CacheLevel.FOREVER
    world.hear(wire.StoreObjects((wire.InlineObject(DATA, b"", forever),)), act.Kept(DATA), act.Kept(TREE))
    assert world.rated[0] == act.Rate((DATA,), spare=True, forever=True)
    welcome = wire.WorkerWelcome("run", 1, b"k" * 16, 3)
    assert act.Send(wire.ObjectsHeld((DATA, TREE), (DATA,))) in world.hear(welcome)
    world.hear(wire.RateObjects((DATA,), spare=True, cache=wire.CacheLevel.WORKFLOW))
    assert act.Send(wire.ObjectsHeld((DATA, TREE))) in world.hear(welcome)


def test_what_an_earlier_worker_left_is_announced_at_the_welcome() -> None:
    core = WorkerCore(TWO, inputs_protected=True, resumed={DATA: True, TREE: False})
    actions = core.handle(wire.WorkerWelcome("run", 1, b"k" * 16, 3), 0.0)
    assert actions[1:] == [act.Send(wire.ObjectsHeld((DATA, TREE), (DATA,)))]
    assert starts(core.handle(wire.RunAttempts((assignment(1, function=TREE),)), 0.0)) == [1]
