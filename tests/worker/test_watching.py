"""Are watched outputs looked at while their tasks run, and what was added told once, in order?"""

from __future__ import annotations

from tests.worker.test_returning import welcome
from tests.worker.world import FINE, World, assignment
from vine import config
from vine.names import AttemptId, FileId
from vine.wire.parts import Mount, TaskKind
from vine.wire.worker_messages import OutputGrown
from vine_worker import actions as act

KEY, LOG = AttemptId(1, 1), FileId(7)
WATCHED = Mount(LOG, "log", watched=True)


def watching() -> World:
    """A command with a watched output, which has not been looked at."""
    world = World()
    world.run(assignment(1, TaskKind.COMMAND, outputs=(Mount(FileId(6), "other"), WATCHED)))
    return world


def looks(actions: list[act.Action]) -> list[act.LookAtOutputs]:
    return [action for action in actions if isinstance(action, act.LookAtOutputs)]


def grown(actions: list[act.Action]) -> list[OutputGrown]:
    messages = [action.message for action in actions if isinstance(action, act.Send)]
    return [message for message in messages if isinstance(message, OutputGrown)]


def test_what_is_watched_is_looked_at_again_and_again_from_where_it_was_told() -> None:
    world = watching()
    assert looks(world.wait(config.watch_interval_s)) == [act.LookAtOutputs((act.Watched(KEY, LOG, "log", 0),))]
    assert grown(world.hear(act.Grown(((KEY, LOG, 0, b"first"),)))) == [OutputGrown(KEY, LOG, 0, b"first")]
    assert looks(world.wait(config.watch_interval_s)) == [act.LookAtOutputs((act.Watched(KEY, LOG, "log", 5),))]
    assert grown(world.hear(act.Grown(((KEY, LOG, 5, b" and more"),)))) == [OutputGrown(KEY, LOG, 5, b" and more")]


def test_there_is_one_look_at_a_time_and_its_time_is_a_deadline() -> None:
    world = watching()
    assert world.core.next_deadline() is not None
    assert looks(world.wait(config.watch_interval_s))
    assert not looks(world.wait(config.watch_interval_s * 5))


def test_much_at_once_is_told_in_parts_that_messages_can_hold() -> None:
    world, much = watching(), bytes(config.inline_bytes_max + 1)
    world.wait(config.watch_interval_s)
    world.hear(act.Grown(((KEY, LOG, 0, b"abc"),)))
    world.wait(config.watch_interval_s)
    first, second = grown(world.hear(act.Grown(((KEY, LOG, 3, much),))))
    assert (first.offset, len(first.data)) == (3, config.inline_bytes_max)
    assert (second.offset, len(second.data)) == (3 + config.inline_bytes_max, 1)


def test_to_a_manager_that_was_started_again_all_is_told_once_more_and_nothing_out_of_turn() -> None:
    # given an output of which something was told, and which is looked at when the next manager speaks
    world = watching()
    world.hear(welcome(1))
    world.wait(config.watch_interval_s)
    world.hear(act.Grown(((KEY, LOG, 0, b"first"),)))
    world.wait(config.watch_interval_s)
    world.hear(welcome(2))
    # then what comes of that is not told, for that manager may not have what was before it
    assert not grown(world.hear(act.Grown(((KEY, LOG, 5, b" and more"),))))
    assert looks(world.wait(config.watch_interval_s)) == [act.LookAtOutputs((act.Watched(KEY, LOG, "log", 0),))]
    whole = b"first and more"
    assert grown(world.hear(act.Grown(((KEY, LOG, 0, whole),)))) == [OutputGrown(KEY, LOG, 0, whole)]


def test_of_what_has_ended_nothing_is_told_any_more_and_nothing_is_looked_at() -> None:
    world = watching()
    world.wait(config.watch_interval_s)
    world.hear(act.BodyEnded(KEY, FINE))
    assert not grown(world.hear(act.Grown(((KEY, LOG, 0, b"late"),))))
    world.hear(act.Collected(KEY))
    assert not looks(world.wait(config.watch_interval_s))
    assert world.core.next_deadline() is None


def test_what_nobody_watches_costs_no_look() -> None:
    world = World()
    world.run(assignment(1, TaskKind.COMMAND, outputs=(Mount(LOG, "log"),)))
    assert not looks(world.wait(config.watch_interval_s * 2))
