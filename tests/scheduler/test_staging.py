"""Who gets which object from whom, told to the true scheduler."""

from __future__ import annotations

import pytest

from tests.scheduler.world import CHUNK, World
from vine import config
from vine.names import MANAGER, ObjectId
from vine.scheduler import staging
from vine.scheduler.actions import Fetch
from vine.scheduler.settings import Spread
from vine.scheduler.state import State
from vine.wire.parts import FetchFault, Outcome
from vine.wire.worker_messages import FetchObject, UnpackObject


def test_the_manager_uploads_a_file_once_and_peers_do_the_rest() -> None:
    world = World(workers=8)
    big = world.local_file()
    for _ in range(8):
        world.submit((big,))
    world.settle()
    transfers = world.core.state.transfers
    assert transfers.done == 8
    assert (transfers.bytes_from_manager, transfers.bytes_from_peers) == (8 * CHUNK, 7 * 8 * CHUNK)


def test_every_order_says_how_patient_the_receiver_is_to_be() -> None:
    world = World(workers=3, patience=7)
    world.large_values = True
    for _ in range(3):
        world.submit((world.local_file(),))
    world.settle()
    orders = [a.message for a in world.sent(FetchObject)] + [a.order for a in world.done if isinstance(a, Fetch)]
    assert len(orders) >= 6
    assert {order.patience for order in orders} == {7}


def test_no_source_is_planned_more_flows_than_its_cap() -> None:
    world = World(workers=0, spread=Spread.ONE_SOURCE)
    files = [world.local_file(f"file{i}") for i in range(5)]
    for _ in range(5):
        world.join()
    for file in files:
        world.submit((file,))
    from_manager = [a for a in world.sent(FetchObject) if a.message.sources[0].source == MANAGER]
    assert len(from_manager) == config.source_transfers_max
    world.settle()
    assert len(world.results) == 5


def test_with_one_source_the_manager_sends_every_copy() -> None:
    world = World(workers=8, spread=Spread.ONE_SOURCE)
    big = world.local_file()
    for _ in range(8):
        world.submit((big,))
    world.settle()
    transfers = world.core.state.transfers
    assert (transfers.bytes_from_manager, transfers.bytes_from_peers) == (8 * 8 * CHUNK, 0)


def test_whole_files_come_only_from_those_that_have_them_all() -> None:
    # given more workers than the manager may feed at once
    world = World(workers=12, spread=Spread.WHOLE_FILE)
    big = world.local_file()
    for _ in range(12):
        world.submit((big,))
    ordered = 0
    while world.possible_events():
        for action in world.sent(FetchObject)[ordered:]:
            ordered += 1
            # then each is ordered from one that has the whole file
            (source,) = action.message.sources  # type: ignore[attr-defined]
            assert source.source == MANAGER or action.message.object_id in world.workers[source.source].holds  # type: ignore[attr-defined]
        used = world.core.state.transfers.slots.used
        assert max(used.values(), default=0) <= config.source_transfers_max
        world.happen(world.possible_events()[0])
    assert len(world.results) == ordered == 12
    # and who has got it feeds the others
    assert world.core.state.transfers.bytes_from_manager < 12 * 8 * CHUNK


def test_a_file_that_must_not_be_shared_comes_from_the_manager_alone() -> None:
    world = World(workers=4)
    private = world.local_file(peer_transfer=False)
    for _ in range(4):
        world.submit((private,))
    world.settle()
    assert {a.message.sources[0].source for a in world.sent(FetchObject)} == {MANAGER}


def test_an_archive_is_fetched_and_unpacked_once_a_worker() -> None:
    world = World(workers=2)
    tree = world.untar(world.local_file("env"))
    for _ in range(6):
        world.submit((tree,))
    world.settle()
    assert len(world.results) == 6
    assert len(world.sent(UnpackObject)) == 2
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
    assert {world.results[task].outcome for task in tasks} == {Outcome.SUCCESS}


def test_a_slot_that_comes_free_is_offered_to_those_who_wait_for_it_and_not_to_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, tasks, looks = World(workers=60), 60, []
    plan_object = staging.plan_object

    def counted(state: State, object_id: ObjectId) -> None:
        looks.append(object_id)
        plan_object(state, object_id)

    monkeypatch.setattr(staging, "plan_object", counted)
    for number in range(tasks):
        world.submit((world.local_file(f"own-{number}", chunks=2),))
    world.settle()
    assert len(world.results) == tasks
    assert len(looks) <= 6 * tasks  # All that wait were looked at for each slot: 60 times as often.


def test_what_waits_for_the_manager_to_pull_less_comes_when_it_does() -> None:
    count = 2 * config.manager_pulls_max
    world = World(workers=count)
    world.large_values = True
    tasks = [world.submit() for _ in range(count)]
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {Outcome.SUCCESS}
    assert not world.core.state.transfers.unpulled


def test_what_a_worker_has_made_and_may_not_share_is_fetched_and_passed_on_by_the_manager() -> None:
    # given a temp on one worker, that no other may have of it
    world = World(workers=3)
    kept = world.temp(peer_transfer=False)
    world.submit(outputs=(kept,))
    world.settle()
    # when tasks need it everywhere
    tasks = [world.submit((kept,)) for _ in range(3)]
    world.settle()
    # then the worker that has made it has sent it to the manager only
    assert {world.results[task].outcome for task in tasks} == {Outcome.SUCCESS}
    assert {a.message.sources[0].source for a in world.sent(FetchObject)} == {MANAGER}
    assert len([action for action in world.done if isinstance(action, Fetch)]) == 1


def test_a_download_that_must_not_be_shared_is_passed_on_by_the_manager_too() -> None:
    world = World(workers=3)
    url = world.url(peer_transfer=False)
    tasks = [world.submit((url,)) for _ in range(3)]
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {Outcome.SUCCESS}
    assert {a.message.sources[0].source for a in world.sent(FetchObject)} == {MANAGER}
    assert world.downloaded.total() == 1


@pytest.mark.parametrize("always", [False, True])
def test_what_the_manager_could_not_fetch_to_pass_it_on_it_fetches_again_but_not_for_ever(always: bool) -> None:
    # given a temp that must not be shared, and a task for each worker that takes it
    world = World(workers=2)
    kept = world.temp(peer_transfer=False)
    world.submit(outputs=(kept,))
    world.settle()
    tasks = [world.submit((kept,)) for _ in range(2)]
    # when the manager does not get it, once or however often it asks
    for _ in range(config.transfer_failures_max if always else 1):
        world.local_fetch_fails(next(iter(world.local)), FetchFault.SOURCE_GONE)
    # then both run, the second at last where the file is
    if always:
        assert not world.local
    world.settle()
    assert {world.results[task].outcome for task in tasks} == {Outcome.SUCCESS}
