"""Do objects come, stay and go as the manager wants, and does who waits for them go on?"""

from __future__ import annotations

from tests.worker.world import ARCHIVE, DATA, FINE, FUNCTION, TREE, TWO, World, assignment, starts
from vine import config
from vine.names import AttemptId, FileId, ObjectId, TransferId, WorkerId
from vine.wire.parts import (
    CacheLevel,
    DownloadFault,
    FetchFault,
    InlineObject,
    MadeOutput,
    Manifest,
    ObjectMount,
    TaskKind,
)
from vine.wire.worker_messages import (
    AbandonDownload,
    AbandonFetch,
    ChangeSources,
    DownloadEnded,
    DownloadUrl,
    DropObjects,
    FetchEnded,
    FetchObject,
    ObjectsEvicted,
    ObjectsHeld,
    ObjectsLost,
    RateObjects,
    RunAttempts,
    SourceSlow,
    StoreObjects,
    UnpackObject,
    VerifyObjects,
    WorkerReturned,
    WorkerWelcome,
)
from vine_worker import actions as act
from vine_worker.core import WorkerCore

MANIFEST = Manifest(1, 0, 1, b"")


def fetch(number: int, key: ObjectId = DATA) -> FetchObject:
    return FetchObject(TransferId(1, number), key, MANIFEST, ())


def fetched(number: int, fault: FetchFault = FetchFault.NONE, message: str = "") -> FetchEnded:
    return FetchEnded(TransferId(1, number), DATA, fault, 5, 0.1, message)


# --- doubted ---


def test_a_copy_that_is_doubted_is_hashed_again_and_told_to_be_good() -> None:
    world = World(held=(DATA,))
    assert world.hear(VerifyObjects((DATA, TREE))) == [act.Verify(DATA)]
    assert world.hear(act.Verified(DATA, True)) == [act.Send(ObjectsHeld((DATA,)))]


def test_a_copy_that_is_bad_is_lost_and_who_has_not_started_waits_for_another() -> None:
    world = World(held=(DATA, FUNCTION))
    world.run(assignment(1, allotment=TWO), assignment(2, TaskKind.COMMAND, inputs=(ObjectMount(DATA, "data"),)))
    world.hear(VerifyObjects((DATA,)))
    (told,) = world.hear(act.Verified(DATA, False))
    assert isinstance(told, act.Send) and isinstance(told.message, ObjectsLost)
    assert told.message.object_ids == (DATA,)
    world.hear(fetch(1))
    assert world.hear(fetched(1)) == [act.Send(fetched(1))]


def test_of_a_copy_that_went_while_it_was_hashed_nothing_more_is_said() -> None:
    world = World(held=(DATA,))
    world.hear(VerifyObjects((DATA,)), act.Evicted((DATA,)))
    assert world.hear(act.Verified(DATA, False)) == []


# --- coming ---


def test_what_is_here_already_is_told_and_not_brought_again() -> None:
    world = World(held=(DATA, TREE))
    assert world.hear(StoreObjects((InlineObject(DATA, b""),))) == [act.Send(ObjectsHeld((DATA,)))]
    assert world.hear(UnpackObject(TREE, ARCHIVE, "env")) == [act.Send(ObjectsHeld((TREE,)))]
    ended = FetchEnded(TransferId(1, 1), DATA, FetchFault.NONE, 0, 0.0)
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
    (told,) = world.hear(fetched(1, FetchFault.SOURCE_GONE, long))
    assert told == act.Send(fetched(1, FetchFault.SOURCE_GONE, long[:-1]))
    assert world.hear(fetch(2)) == [act.StartFetch(fetch(2))]


def test_only_a_transfer_that_still_runs_is_stopped() -> None:
    world = World()
    world.hear(fetch(1))
    abandon = AbandonFetch(TransferId(1, 1))
    assert world.hear(abandon) == [act.StopFetch(TransferId(1, 1))]
    world.hear(fetched(1, FetchFault.ABANDONED))
    assert world.hear(abandon) == []


def test_only_a_transfer_that_runs_changes_its_sources() -> None:
    world = World()
    change = ChangeSources(TransferId(1, 1), ())
    assert world.hear(change) == []
    world.hear(fetch(1))
    assert world.hear(change) == [act.ChangeFetch(change)]
    world.hear(fetched(1))
    assert world.hear(change) == []


def test_a_slow_source_is_told_while_its_transfer_runs() -> None:
    world = World()
    world.hear(fetch(1))
    slow = SourceSlow(TransferId(1, 1), DATA, WorkerId("w2"))
    assert world.hear(slow) == [act.Send(slow)]
    world.hear(AbandonFetch(TransferId(1, 1)))
    assert world.hear(slow) == [], "the manager has struck that transfer off"


def test_an_archive_that_cannot_be_unpacked_is_told_and_may_be_tried_again() -> None:
    world = World(held=(ARCHIVE,))
    order = act.StartUnpack(TREE, ARCHIVE, "env")
    assert world.hear(UnpackObject(TREE, ARCHIVE, "env")) == [order]
    assert world.hear(UnpackObject(TREE, ARCHIVE, "env")) == [], "it was begun twice"
    lost = ObjectsLost((TREE,), "env is no archive", disk_full=False)
    assert world.hear(act.Unpacked(TREE, "env is no archive")) == [act.Send(lost)]
    assert world.hear(UnpackObject(TREE, ARCHIVE, "env")) == [order]


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
    assert world.hear(DropObjects((DATA,))) == []
    key = AttemptId(1, 1)
    world.hear(act.BodyEnded(key, FINE))
    assert world.hear(act.Collected(key)) == [act.RemoveObjects((DATA,)), act.Send(ObjectsEvicted((DATA,)))]


def test_an_archive_is_unpacked_once_it_is_here_and_kept_until_then() -> None:
    world = World()
    assert world.hear(UnpackObject(TREE, ARCHIVE, "env")) == []
    order = act.StartUnpack(TREE, ARCHIVE, "env")
    assert order in world.hear(act.Kept(ARCHIVE))
    assert world.hear(DropObjects((ARCHIVE,))) == []
    gone = act.Send(ObjectsEvicted((ARCHIVE,)))
    assert world.hear(act.Unpacked(TREE)) == [act.RemoveObjects((ARCHIVE,)), gone, act.Send(ObjectsHeld((TREE,)))]


def test_what_was_dropped_while_it_came_is_not_announced() -> None:
    world = World()
    world.hear(fetch(1), DropObjects((DATA,)))
    told = act.Send(fetched(1, FetchFault.ABANDONED))
    assert world.hear(fetched(1)) == [act.RemoveObjects((DATA,)), act.Send(ObjectsEvicted((DATA,))), told]


def test_two_transfers_never_write_into_one_object() -> None:
    world = World()
    assert world.hear(fetch(1)) == [act.StartFetch(fetch(1))]
    (told,) = world.hear(fetch(2))
    assert told == act.Send(FetchEnded(TransferId(1, 2), DATA, FetchFault.ABANDONED, 0, 0.0))


def test_a_transfer_that_replaces_an_abandoned_one_is_begun_before_that_has_ended() -> None:
    world = World()
    first = FetchObject(TransferId(1, 1), DATA, Manifest(1, 0, 1, b""), ())
    second = FetchObject(TransferId(1, 2), DATA, first.manifest, ())
    world.hear(first)
    assert world.hear(AbandonFetch(first.transfer_id), second) == [
        act.StopFetch(first.transfer_id),
        act.StartFetch(second),
    ]


def test_an_object_that_came_though_its_transfer_was_abandoned_is_announced() -> None:
    world = World()
    order = FetchObject(TransferId(1, 1), DATA, Manifest(1, 0, 1, b""), ())
    done = FetchEnded(TransferId(1, 1), DATA, FetchFault.NONE, 5, 0.1)
    world.hear(order, AbandonFetch(order.transfer_id))
    assert act.Send(ObjectsHeld((DATA,))) in world.hear(done)


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
    world.hear(UnpackObject(TREE, ARCHIVE, "env"), UnpackObject(TREE, ARCHIVE, "env"), act.Kept(ARCHIVE))
    assert world.pinned == {ARCHIVE: 1}
    world.hear(act.Unpacked(TREE))
    assert not world.pinned


def test_an_order_to_unpack_what_is_here_leaves_nothing_pinned_and_what_has_just_gone_is_unpacked_again() -> None:
    world = World(held=(TREE, ARCHIVE))
    order = UnpackObject(TREE, ARCHIVE, "env")
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
    output = MadeOutput(FileId(1), TREE, Manifest(1, 0, 1, b""))
    world.hear(act.BodyEnded(key, FINE), act.Collected(key, outputs=(output,)))
    assert len(world.rated) == 1
    world.hear(RateObjects((TREE, ARCHIVE), spare=True, cache=CacheLevel.WORKFLOW))
    assert world.rated[1:] == [act.Rate((TREE,), spare=True, forever=False)]


def test_the_manager_hears_what_had_to_make_room_and_idle_hosts_of_it_end() -> None:
    world = World(held=(FUNCTION, TREE))
    world.run(assignment(1, environment=TREE))
    world.hear(act.HostReady(1), act.CallsEnded(1, ((AttemptId(1, 1), FINE),)))
    actions = world.hear(act.Evicted((TREE, ARCHIVE)))
    assert actions == [act.EndHost(1, force=False), act.Send(ObjectsEvicted((TREE,)))]
    assert starts(world.run(assignment(2, environment=TREE))) == []


def test_who_has_not_started_waits_again_when_a_mate_has_found_its_input_altered() -> None:
    world = World(held=(DATA,))
    data = ObjectMount(DATA, "data")
    world.run(*(assignment(number, TaskKind.COMMAND, inputs=(data,)) for number in (1, 2, 3)))  # Two of them run.
    (said,) = world.hear(act.Lost((DATA, TREE)))
    assert isinstance(said, act.Send)
    assert isinstance(said.message, ObjectsLost)
    assert said.message.object_ids == (DATA,)
    world.hear(act.BodyEnded(AttemptId(1, 1), FINE))
    assert starts(world.hear(act.Collected(AttemptId(1, 1)))) == []
    assert starts(world.hear(act.Kept(DATA))) == [3]


def test_the_cache_level_forever_travels_with_the_object_and_is_announced_again() -> None:
    world = World(held=())
    forever = CacheLevel.FOREVER
    world.hear(StoreObjects((InlineObject(DATA, b"", forever),)), act.Kept(DATA), act.Kept(TREE))
    assert world.rated[0] == act.Rate((DATA,), spare=True, forever=True)
    welcome = WorkerWelcome("run", 1, b"k" * 16, 3)
    assert act.Send(ObjectsHeld((DATA, TREE), (DATA,))) in world.hear(welcome)
    world.hear(RateObjects((DATA,), spare=True, cache=CacheLevel.WORKFLOW))
    assert act.Send(WorkerReturned((), (DATA, TREE))) in world.hear(welcome)


def test_what_is_kept_for_ever_is_said_to_be_so_after_it_was_verified_too() -> None:
    world = World(held=(DATA,))
    world.hear(RateObjects((DATA,), spare=True, cache=CacheLevel.FOREVER))
    assert world.hear(act.Verified(DATA, True)) == [act.Send(ObjectsHeld((DATA,), (DATA,)))]


def test_what_an_earlier_worker_left_is_announced_at_the_welcome() -> None:
    core = WorkerCore(TWO, inputs_protected=True, resumed={DATA: True, TREE: False})
    actions = core.handle(WorkerWelcome("run", 1, b"k" * 16, 3), 0.0)
    assert actions[1:] == [act.Send(ObjectsHeld((DATA, TREE), (DATA,)))]
    assert starts(core.handle(RunAttempts((assignment(1, function=TREE),)), 0.0)) == [1]


# --- downloads ---


def download(number: int) -> DownloadUrl:
    return DownloadUrl(TransferId(1, number), "https://example.org/data", "https://example.org/data")


def downloaded(number: int, fault: DownloadFault = DownloadFault.NONE) -> DownloadEnded:
    key = DATA if fault is DownloadFault.NONE else None
    return DownloadEnded(TransferId(1, number), fault, key, None if key is None else MANIFEST)


def test_a_download_is_started_once_and_its_end_is_told() -> None:
    world = World()
    assert world.hear(download(1), download(1)) == [act.StartDownload(download(1))]
    assert not world.core.idle
    assert world.hear(downloaded(1)) == [act.Send(downloaded(1))]
    assert world.core.idle


def test_what_was_downloaded_is_an_input_for_who_waits_for_it() -> None:
    world = World()
    world.run(assignment(1, TaskKind.COMMAND, inputs=(ObjectMount(DATA, "data"),)))
    world.hear(download(1))
    assert starts(world.hear(downloaded(1))) == [1]


def test_what_was_downloaded_does_not_go_for_room_before_the_manager_says_so() -> None:
    world = World()
    world.hear(download(1), downloaded(1))
    assert DATA not in {key for rate in world.rated for key in rate.object_ids}


def test_only_a_download_that_still_runs_is_stopped() -> None:
    world = World()
    world.hear(download(1))
    abandon = AbandonDownload(TransferId(1, 1))
    assert world.hear(abandon) == [act.StopDownload(TransferId(1, 1))]
    world.hear(downloaded(1, DownloadFault.ABANDONED))
    assert world.hear(abandon) == []


def test_what_was_dropped_while_it_came_stays_when_it_is_downloaded_after_that() -> None:
    # given a transfer whose object was dropped before it came
    world = World()
    world.hear(fetch(1), DropObjects((DATA,)))
    # when the same content is downloaded
    world.hear(download(2), downloaded(2))
    # then the transfer's end does not remove it
    assert act.RemoveObjects((DATA,)) not in world.hear(fetched(1))
