"""Who gets which object from whom, told to the true scheduler."""

from __future__ import annotations

from tests.scheduler.world import CHUNK, World
from vine import config
from vine.names import MANAGER
from vine.wire import messages as m


def test_the_manager_uploads_a_file_once_and_peers_do_the_rest() -> None:
    world = World(workers=8)
    big = world.local_file()
    for _ in range(8):
        world.submit((big,))
    world.settle()
    transfers = world.core.state.transfers
    assert transfers.done == 8
    assert (transfers.bytes_from_manager, transfers.bytes_from_peers) == (8 * CHUNK, 7 * 8 * CHUNK)


def test_no_source_is_planned_more_flows_than_its_cap() -> None:
    world = World(workers=0, peer_transfers=False)
    files = [world.local_file(f"file{i}") for i in range(5)]
    for _ in range(5):
        world.join()
    for file in files:
        world.submit((file,))
    from_manager = [a for a in world.sent(m.FetchObject) if a.message.sources[0].source == MANAGER]
    assert len(from_manager) == config.source_transfers_max
    world.settle()
    assert len(world.results) == 5


def test_a_file_that_must_not_be_shared_comes_from_the_manager_alone() -> None:
    world = World(workers=4)
    private = world.local_file(peer_transfer=False)
    for _ in range(4):
        world.submit((private,))
    world.settle()
    assert {a.message.sources[0].source for a in world.sent(m.FetchObject)} == {MANAGER}


def test_an_archive_is_fetched_and_unpacked_once_a_worker() -> None:
    world = World(workers=2)
    tree = world.untar(world.local_file("env"))
    for _ in range(6):
        world.submit((tree,))
    world.settle()
    assert len(world.results) == 6
    assert len(world.sent(m.UnpackObject)) == 2
    assert world.core.state.transfers.done == 2


def test_the_manager_fetches_many_results_a_few_at_a_time() -> None:
    world = World(workers=config.manager_pulls_max + 10)
    world.large_values = True
    tasks = [world.submit() for _ in world.workers]
    most = 0
    while events := world.possible_events():
        world.happen(min(events, key=lambda event: event[0] == "brought"))  # All end before the first is fetched.
        most = max(most, len(world.local))
    assert most == config.manager_pulls_max
    assert {world.results[task].outcome for task in tasks} == {m.Outcome.SUCCESS}
