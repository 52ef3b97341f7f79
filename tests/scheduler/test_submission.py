"""What clients say, told to the true scheduler."""

from __future__ import annotations

import pytest

from tests.scheduler.world import World, manifest
from vine.errors import MalformedMessage
from vine.wire import messages as m


def test_a_missing_input_fails_at_submission() -> None:
    world = World(workers=1)
    task = world.submit((world.local_file("gone", bind=False, exists=False),))
    assert world.results[task].outcome is m.Outcome.INPUT_MISSING
    assert "does not exist" in world.results[task].message


def test_when_a_client_leaves_its_files_leave_the_workers_but_those_of_level_worker() -> None:
    world = World(workers=1)
    kept = world.local_file("kept", cache=m.CacheLevel.WORKER)
    world.submit((world.local_file("dropped"), kept))
    world.settle()
    identity = world.core.state.files.by_id[kept].object_id
    world.say(m.ClientBye())
    assert next(iter(world.workers.values())).holds == {identity}
    assert not world.served


def test_a_file_bound_to_a_name_that_is_not_its_hash_is_malformed() -> None:

    world = World()
    file = world.local_file(bind=False)
    with pytest.raises(MalformedMessage):
        world.say(m.FileBound(file, "0" * 64, manifest("x"), "/x", None))  # type: ignore[arg-type]
