"""Do objects come once, stay while they are needed, and go only when the manager and the attempts let them?"""

from __future__ import annotations

from tests.worker.test_core import ARCHIVE, DATA, FINE, FUNCTION, TREE, TWO, World, assignment, starts
from vine.names import AttemptId, FileId, TransferId
from vine.wire import messages as wire
from vine.wire.messages import ObjectMount, TaskKind
from vine_worker import actions as act
from vine_worker.core import WorkerCore


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
    world.hear(act.HostReady(1), act.CallEnded(1, AttemptId(1, 1), FINE))
    actions = world.hear(act.Evicted((TREE, ARCHIVE)))
    assert actions == [act.EndHost(1, force=False), act.Send(wire.ObjectsEvicted((TREE,)))]
    assert starts(world.run(assignment(2, environment=TREE))) == []


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
