"""Does the core start, stop and end attempts as it promises?"""

from __future__ import annotations

from tests.worker.world import ARCHIVE, DATA, FINE, FUNCTION, ONE, TREE, TWO, World, assignment, starts
from vine import config
from vine.content.hashing import manifest_of_bytes
from vine.names import AttemptId, RunId, TransferId
from vine.wire.parts import Assignment, AttemptResult, DownloadFault, ObjectMount, Outcome, Resources, TaskKind
from vine.wire.worker_messages import (
    CancelAttempts,
    DownloadEnded,
    DownloadUrl,
    FetchObject,
    ObjectsHeld,
    ObjectsLost,
    TasksStarted,
    UnpackObject,
    WorkerWelcome,
)
from vine_worker import actions as act
from vine_worker.core import batches

WELCOME = WorkerWelcome(RunId("run"), 1, b"k" * 16, 3)

# --- starting ---


def test_attempts_start_in_order_as_resources_allow() -> None:
    world = World()
    commands = [assignment(number, TaskKind.COMMAND) for number in (1, 2, 3)]
    assert starts(world.run(*commands)) == [1, 2]
    assert starts(world.hear(act.BodyEnded(AttemptId(1, 1), FINE))) == [3]


def test_an_attempt_that_waits_for_resources_is_not_passed_by_a_smaller_one() -> None:
    world = World()
    small, large, last = (assignment(n, TaskKind.COMMAND, allotment=a) for n, a in ((1, ONE), (2, TWO), (3, ONE)))
    assert starts(world.run(small, large, last)) == [1]


def on_gpus(number: int, gpus: float, cores: float = 0.5) -> Assignment:
    return assignment(number, TaskKind.COMMAND, allotment=Resources(cores=cores, gpus=gpus))


def test_an_attempt_that_waits_only_for_a_gpu_is_passed_by_those_that_ask_for_none() -> None:
    world = World(capacity=Resources(cores=3, gpus=2))
    shares = [on_gpus(number, 0.6) for number in (1, 2, 3)]
    assert starts(world.run(*shares, on_gpus(4, 0), on_gpus(5, 0.4))) == [1, 2, 4]
    assert starts(world.hear(act.BodyEnded(AttemptId(1, 1), FINE))) == [3, 5]


def test_those_that_pass_it_leave_it_what_it_needs_besides() -> None:
    world = World(capacity=Resources(cores=3, gpus=1))
    held, waits = on_gpus(1, 1, cores=1), on_gpus(2, 1, cores=1)
    assert starts(world.run(held, waits, on_gpus(3, 0, cores=2), on_gpus(4, 0, cores=1))) == [1]
    assert starts(world.hear(act.BodyEnded(AttemptId(1, 1), FINE))) == [2, 3]


def test_an_attempt_that_still_stages_is_passed() -> None:
    world = World()
    staging = assignment(1, TaskKind.COMMAND, inputs=(ObjectMount(DATA, "data"),))
    assert starts(world.run(staging, assignment(2, TaskKind.COMMAND))) == [2]
    assert starts(world.hear(act.Kept(DATA))) == [1]


def test_an_attempt_larger_than_the_worker_ends_at_once() -> None:
    world = World()
    world.run(assignment(1, TaskKind.COMMAND, allotment=Resources(cores=3)))
    assert world.outcomes() == [(1, Outcome.NO_WORKER_FITS)]


def test_an_older_managers_attempts_are_ignored() -> None:
    world = World()
    world.hear(WorkerWelcome(RunId("run"), 2, b"k" * 16, 3))
    assert world.run(assignment(1, TaskKind.COMMAND)) == []
    assert world.core.attempts == {}


def test_started_attempts_are_told_unless_they_have_ended_already() -> None:
    world = World()
    world.run(assignment(1, TaskKind.COMMAND), assignment(2, TaskKind.COMMAND))
    world.hear(act.BodyEnded(AttemptId(1, 1), FINE), act.Collected(AttemptId(1, 1)))
    told = [action.message for action in world.core.flush() if isinstance(action, act.Send)]
    assert told[0] == TasksStarted((AttemptId(1, 2),))


def test_news_is_told_at_once_where_nothing_waits_for_its_turn() -> None:
    world = World()
    world.run(assignment(1, TaskKind.COMMAND))
    world.wait(1.0)
    assert world.core.news_due() == world.now


def test_news_is_held_for_a_moment_while_others_wait_for_their_turn() -> None:
    world = World()
    world.run(*(assignment(number, TaskKind.COMMAND) for number in (1, 2, 3)))
    world.wait(1.0)
    due = world.core.news_due()
    assert due == world.now + config.news_hold_s
    world.hear(act.BodyEnded(AttemptId(1, 1), FINE), act.Collected(AttemptId(1, 1)))
    world.wait(config.news_hold_s / 2)
    assert world.core.news_due() == 1.0, "nothing waits any more: it is overdue"


def test_hosts_that_have_forks_to_make_are_not_heard_until_news_is_due() -> None:
    # given hosts that fork, of which each has calls behind the one that it runs
    world = World()
    world.run(*(assignment(number, TaskKind.FORK) for number in (1, 2)))
    world.hear(act.HostReady(1), act.HostReady(2))
    world.hear(*(act.CallsEnded(number, ((AttemptId(1, number), FINE),)) for number in (1, 2)))
    world.core.flush()
    assert world.core.rests_until() == world.now, "nothing is held back"
    world.run(*(assignment(number, TaskKind.FORK) for number in (3, 4, 5, 6, 7, 8)))
    # when there is news
    world.hear(act.CallsEnded(2, ((AttemptId(1, 3), FINE),)))
    # then nobody looks for more as long as none of them can be idle
    assert [len(host.calls) for host in world.core.pool.hosts.values()] == [3, 2]
    assert world.core.rests_until() == world.now + config.fork_s < (world.core.news_due() or 0)
    # until nothing waits behind the call that one of them runs
    world.hear(act.CallsEnded(2, ((AttemptId(1, 6), FINE),)))
    assert world.core.rests_until() == world.now


def test_later_news_does_not_hold_up_what_is_held() -> None:
    world = World()
    world.run(*(assignment(number, TaskKind.COMMAND) for number in (1, 2, 3, 4)))
    world.wait(1.0)
    due = world.core.news_due()
    world.hear(act.BodyEnded(AttemptId(1, 1), FINE), act.Collected(AttemptId(1, 1)))
    world.wait(config.news_hold_s / 2)
    assert world.core.news_due() == due
    assert world.outcomes() == [(1, Outcome.SUCCESS)]
    assert world.core.news_due() is None, "all is told"
    world.wait(1.0)
    world.hear(act.BodyEnded(AttemptId(1, 2), FINE), act.Collected(AttemptId(1, 2)))
    world.run(assignment(5, TaskKind.COMMAND))
    assert world.core.news_due() == world.now + config.news_hold_s, "it is counted anew"


def test_a_manager_that_welcomes_us_again_hears_what_is_here() -> None:
    world = World(held=(DATA, FUNCTION))
    actions = world.hear(WorkerWelcome(RunId("run"), 1, b"k" * 16, 3))
    assert actions == [act.Admitted(b"k" * 16, 3), act.Send(ObjectsHeld((DATA, FUNCTION)))]


def test_what_an_earlier_session_has_ordered_and_has_not_begun_is_stopped_when_a_manager_welcomes_us_anew() -> None:
    # given what was ordered by a manager that has lost us since: bodies, fetches, unpackings, downloads
    world = World(held=(ARCHIVE,))
    world.hear(WELCOME)
    waiting = assignment(2, TaskKind.COMMAND, inputs=(ObjectMount(DATA, "data"),))
    world.run(assignment(1, TaskKind.COMMAND), waiting)
    fetch, download = TransferId(1, 3), TransferId(1, 4)
    content = manifest_of_bytes(b"data")
    world.hear(FetchObject(fetch, DATA, content, ()), UnpackObject(TREE, ARCHIVE, "tree"))
    world.hear(DownloadUrl(download, "https://url", "url"))
    # when it, or one that was started in its place, welcomes us again
    actions = world.hear(WELCOME)
    # then the body goes on, and all else ends ...
    assert list(world.core.attempts) == [AttemptId(1, 1)] and world.outcomes() == []
    assert {act.StopFetch(fetch), act.StopUnpack(TREE), act.StopDownload(download)} <= {*filter(_is_stop, actions)}
    # ... and the same object can be fetched anew at once
    again = FetchObject(TransferId(2, 1), DATA, content, ())
    assert world.hear(again) == [act.StartFetch(again)]


def test_what_an_earlier_session_had_downloaded_is_told_of_when_it_comes_too_late_to_be_stopped() -> None:
    world = World()
    world.hear(WELCOME, DownloadUrl(TransferId(1, 4), "https://url", "url"), WELCOME)
    content = manifest_of_bytes(b"data")
    ended = DownloadEnded(TransferId(1, 4), DownloadFault.NONE, DATA, content, 4)
    assert world.hear(ended) == [act.Send(ended), act.Send(ObjectsHeld((DATA,)))]


def _is_stop(action: act.Action) -> bool:
    return isinstance(action, act.StopFetch | act.StopUnpack | act.StopDownload)


# --- ends ---


def test_an_attempt_that_has_not_started_is_cancelled_at_once() -> None:
    world = World()
    world.run(assignment(1, TaskKind.COMMAND, inputs=(ObjectMount(DATA, "data"),)))
    world.hear(CancelAttempts((AttemptId(1, 1),)))
    assert world.outcomes() == [(1, Outcome.CANCELLED)]


def test_a_running_command_is_asked_to_end_and_then_made_to() -> None:
    world = World()
    world.run(assignment(1, TaskKind.COMMAND))
    key = AttemptId(1, 1)
    assert world.hear(CancelAttempts((key,))) == [act.KillBody(key, force=False)]
    assert world.wait(config.stop_grace_s) == [act.KillBody(key, force=True)]
    world.hear(act.BodyEnded(key, act.Ending(Outcome.KILLED)), act.Collected(key, stdout=b"so far"))
    (result,) = world.results()
    assert (result.outcome, result.stdout) == (Outcome.CANCELLED, b"so far")


def test_a_cancel_that_comes_after_the_end_changes_nothing() -> None:
    world = World()
    world.run(assignment(1, TaskKind.COMMAND))
    key = AttemptId(1, 1)
    world.hear(act.BodyEnded(key, FINE), CancelAttempts((key,)), act.Collected(key))
    assert world.outcomes() == [(1, Outcome.SUCCESS)]


def test_what_is_said_of_an_attempts_end_names_the_task_once() -> None:
    world = World()
    world.run(assignment(1, label="inc"), assignment(2, TaskKind.COMMAND, label="make tea"))
    world.hear(act.HostReady(1))
    world.hear(act.HostEnded(1, act.Ending(Outcome.KILLED, message="killed by SIGSEGV"), ()))
    failed = act.Ending(Outcome.EXIT_CODE, exit_code=2, message="make tea ended with exit code 2")
    world.hear(act.BodyEnded(AttemptId(1, 2), failed))
    world.hear(act.Collected(AttemptId(1, 2)))
    assert sorted(result.message for result in world.results()) == [
        "inc: killed by SIGSEGV",
        "make tea ended with exit code 2",
    ]


def test_no_attempt_starts_on_an_input_that_may_have_been_altered() -> None:
    world = World(held=(DATA,), protected=False)
    mounts = (ObjectMount(DATA, "data"),)
    world.run(assignment(1, TaskKind.COMMAND, inputs=mounts, allotment=TWO))
    world.run(assignment(2, TaskKind.COMMAND, inputs=mounts))
    key = AttemptId(1, 1)
    assert starts(world.hear(act.BodyEnded(key, FINE))) == []
    actions = world.hear(act.Collected(key, Outcome.INPUT_ALTERED, "it wrote to data", altered=(DATA,)))
    assert act.Send(ObjectsLost((DATA,), "it wrote to data")) in actions
    assert starts(actions) == []
    assert starts(world.hear(act.Kept(DATA))) == [2]


def test_results_travel_in_batches_near_the_target() -> None:
    results = [AttemptResult(AttemptId(1, n), Outcome.SUCCESS, value=bytes(100_000)) for n in range(7)]
    assert [len(batch) for batch, _ in batches(results)] == [3, 3, 1]


def test_many_small_results_travel_in_messages_that_the_manager_answers_one_by_one() -> None:
    many = config.message_items_max
    results = [AttemptResult(AttemptId(1, n), Outcome.SUCCESS, value=b"v") for n in range(2 * many + 1)]
    assert [len(batch) for batch, _ in batches(results)] == [many, many, 1]
