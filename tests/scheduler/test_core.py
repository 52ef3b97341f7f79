"""Stories of a run, told to the true scheduler: who gets what, and what becomes of it."""

from __future__ import annotations

import pytest

from tests.scheduler.world import World
from vine import config
from vine.names import MANAGER
from vine.scheduler import actions
from vine.wire import messages as m


def test_a_call_runs_and_its_value_reaches_the_client() -> None:
    world = World(workers=1)
    task = world.submit(function=world.buffer(b"code"))
    world.settle()
    assert world.results[task].outcome is m.Outcome.SUCCESS
    assert world.results[task].value == b"v"


def test_a_task_takes_the_worker_that_holds_its_input() -> None:
    world = World(workers=2)
    big = world.local_file()
    first = world.submit((big,))
    holder = world.worker_of(first)
    world.settle()
    second = world.submit((big,))
    assert world.worker_of(second) == holder


def test_without_data_the_emptiest_worker_is_taken() -> None:
    world = World(workers=2, cores=2)
    first, second = world.submit(), world.submit()
    assert world.worker_of(first) != world.worker_of(second)


def test_a_task_waits_for_the_results_it_takes() -> None:
    world = World(workers=1)
    first = world.submit()
    second = world.submit(depends=(first,))
    assert world.state_of(second) == "waiting"
    assert f"task {first}" in world.core.why(second, 0.0)
    world.settle()
    given = [a.message for a in world.sent(m.RunAttempts)][-1]
    assert given.assignments[0].values == (m.DependencyValue(first, value=b"v"),)
    assert world.results[second].outcome is m.Outcome.SUCCESS


def test_a_failed_dependency_fails_everything_behind_it_with_its_name() -> None:
    world = World(workers=1)
    world.outcome = lambda assignment: m.Outcome.EXCEPTION
    first = world.submit(label="first")
    second = world.submit(depends=(first,))
    third = world.submit(depends=(second,))
    world.settle()
    assert world.results[second].outcome is m.Outcome.DEPENDENCY_FAILED
    assert "first" in world.results[second].message
    assert world.results[third].outcome is m.Outcome.DEPENDENCY_FAILED


def test_a_long_chain_of_failures_does_not_recurse() -> None:
    world = World(workers=1)
    world.outcome = lambda assignment: m.Outcome.EXCEPTION
    last = world.submit()
    for _ in range(2000):
        # `check` is linear in the tasks: tell the core alone.
        task = world._number()
        spec = m.TaskSpec(task, m.TaskKind.CALL, depends=(last,))  # type: ignore[arg-type]
        world.core.handle(world.client, m.SubmitTasks((spec,)), 0.0)
        last = task  # type: ignore[assignment]
    world.settle()
    assert world.results[last].outcome is m.Outcome.DEPENDENCY_FAILED


def test_the_manager_uploads_a_file_once_and_peers_do_the_rest() -> None:
    world = World(workers=8)
    big = world.local_file()
    for _ in range(8):
        world.submit((big,))
    world.settle()
    sources = [a.message.sources[0].source for a in world.sent(m.FetchObject)]
    assert len(sources) == 8
    assert sources.count(MANAGER) == 1


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


def test_a_failed_source_is_replaced_by_another() -> None:
    world = World(workers=2)
    big = world.local_file()
    first = world.submit((big,))
    world.settle()
    holder = world.core.state.files.object_of(big).holders - {MANAGER}  # type: ignore[union-attr]
    second = world.submit((big,))
    third = world.submit((big,))
    other = next(w for w in world.workers.values() if w.worker_id not in holder)
    (transfer,) = other.fetching
    assert other.fetching[transfer].sources[0].source in holder
    world.fetch_ends(other, transfer, m.FetchFault.SOURCE_REFUSED)
    (transfer,) = other.fetching
    assert other.fetching[transfer].sources[0].source == MANAGER
    world.settle()
    assert {world.results[task].outcome for task in (first, second, third)} == {m.Outcome.SUCCESS}


def test_tasks_of_a_lost_worker_run_elsewhere() -> None:
    world = World(workers=2)
    task = world.submit()
    world.lose(world.worker_of(task))  # type: ignore[arg-type]
    world.settle()
    assert world.results[task].outcome is m.Outcome.SUCCESS
    assert world.results[task].attempts == 2


def test_a_task_that_loses_worker_after_worker_fails_and_says_so() -> None:
    world = World(workers=config.worker_losses_max + 1)
    task = world.submit()
    for _ in range(config.worker_losses_max):
        world.lose(world.worker_of(task))  # type: ignore[arg-type]
    assert world.results[task].outcome is m.Outcome.WORKER_LOST
    assert "killed" in world.results[task].message


def test_a_late_result_of_a_lost_attempt_is_ignored() -> None:
    world = World(workers=1)
    task = world.submit()
    stale = next(iter(world.workers.values()))
    (attempt,) = stale.assigned
    world.step(world.core.peer_lost(stale.peer, "partition", 0.0))
    world.join("w9")
    again = m.WorkerHello(stale.worker_id, "h", "h", 1, m.Resources(1, 1, 1), (), "3", "tcp://a:1", "tcp://a:2")  # type: ignore[arg-type]
    world.say(again, stale.peer)
    late = m.AttemptResult(attempt, m.Outcome.SUCCESS, value=b"stale")  # type: ignore[arg-type]
    world.say(m.AttemptsEnded((late,)), stale.peer)
    assert task not in world.results
    world.settle()
    assert world.results[task].value == b"v"


def test_a_lost_temporary_file_is_made_again_by_its_producer() -> None:
    world = World(workers=1)
    middle = world.temp()
    producer = world.submit(outputs=(middle,), kind=m.TaskKind.COMMAND)
    world.settle()
    world.lose(next(iter(world.workers)))
    world.join()
    consumer = world.submit((middle,), kind=m.TaskKind.COMMAND)
    world.settle()
    assert world.results[consumer].outcome is m.Outcome.SUCCESS
    assert world.runs[producer] == 2


def test_a_chain_of_lost_temporary_files_is_made_again() -> None:
    world = World(workers=1)
    previous = world.temp()
    world.submit(outputs=(previous,), kind=m.TaskKind.COMMAND)
    for _ in range(5):
        following = world.temp()
        world.submit((previous,), (following,), kind=m.TaskKind.COMMAND)
        previous = following
    world.settle()
    world.lose(next(iter(world.workers)))
    world.join()
    consumer = world.submit((previous,), kind=m.TaskKind.COMMAND)
    world.settle()
    assert world.results[consumer].outcome is m.Outcome.SUCCESS
    assert sum(world.runs.values()) == 13


def test_a_full_disk_sends_the_task_to_another_worker() -> None:
    world = World(workers=2)
    task = world.submit((world.local_file(),))
    first = world.workers[world.worker_of(task)]  # type: ignore[index]
    world.fetch_ends(first, next(iter(first.fetching)), m.FetchFault.DISK_FULL)
    assert world.worker_of(task) not in (None, first.worker_id)
    world.settle()
    assert world.results[task].outcome is m.Outcome.SUCCESS


def test_a_task_whose_data_fit_nowhere_fails_and_does_not_hang() -> None:
    world = World(workers=1)
    task = world.submit((world.local_file(),))
    only = next(iter(world.workers.values()))
    world.fetch_ends(only, next(iter(only.fetching)), m.FetchFault.DISK_FULL)
    assert world.results[task].outcome is m.Outcome.DISK_FULL


def test_a_local_file_that_changed_fails_the_tasks_that_need_it() -> None:
    world = World(workers=1)
    big = world.local_file()
    task, later = world.submit((big,)), world.submit((big,))
    only = next(iter(world.workers.values()))
    world.fetch_ends(only, next(iter(only.fetching)), m.FetchFault.SOURCE_CHANGED)
    assert world.results[task].outcome is m.Outcome.INPUT_CHANGED
    assert world.results[later].outcome is m.Outcome.INPUT_CHANGED
    assert world.results[world.submit((big,))].outcome is m.Outcome.INPUT_CHANGED


def test_a_task_that_fits_no_worker_fails_soon_and_names_the_largest() -> None:
    world = World(workers=1, cores=2)
    task = world.submit(request=m.Request(cores=8))
    world.pass_time(1)
    assert world.state_of(task) == "ready"
    world.pass_time(config.no_fit_grace_s + 1)
    assert world.results[task].outcome is m.Outcome.NO_WORKER_FITS
    assert "8 cores" in world.results[task].message
    assert "2 cores" in world.results[task].message


def test_without_any_worker_a_task_waits_and_says_why() -> None:
    world = World()
    task = world.submit()
    world.pass_time(1000)
    assert "none is connected" in world.core.why(task, world.now)


def test_a_missing_input_fails_at_submission() -> None:
    world = World(workers=1)
    task = world.submit((world.local_file("gone", bind=False, exists=False),))
    assert world.results[task].outcome is m.Outcome.INPUT_MISSING
    assert "does not exist" in world.results[task].message


def test_an_unreadable_input_fails_the_tasks_that_wait_for_it() -> None:
    world = World(workers=1)
    file = world.local_file(bind=False)
    task = world.submit((file,))
    assert "hashed" in world.core.why(task, 0.0)
    world.say(m.FileUnreadable(file, "permission denied"))
    assert world.results[task].message == "permission denied"


def test_a_task_fails_as_often_as_it_may() -> None:
    world = World(workers=1)
    world.outcome = lambda assignment: m.Outcome.EXIT_CODE
    task = world.submit(retries=2)
    world.settle()
    assert world.runs[task] == 3
    assert world.results[task].outcome is m.Outcome.EXIT_CODE


@pytest.mark.parametrize("started", [False, True])
def test_a_cancelled_task_ends_as_cancelled(started: bool) -> None:
    world = World(workers=1)
    running, queued = world.submit(), world.submit()
    if started:
        world.happen(world.possible_events()[0])
    world.say(m.CancelTasks((running, queued)))
    assert world.results[queued].outcome is m.Outcome.CANCELLED
    world.settle()
    assert world.results[running].outcome is m.Outcome.CANCELLED


def test_large_values_come_to_the_manager_and_stay_on_no_worker() -> None:
    world = World(workers=2)
    world.large_values = True
    first = world.submit()
    second = world.submit(depends=(first,))
    world.settle()
    assert world.results[first].value_path == "/run/staging/result-1.1.client"
    assert world.results[second].outcome is m.Outcome.SUCCESS
    world.say(m.ForgetResults((first, second)))
    assert all(not worker.holds for worker in world.workers.values())
    assert not world.core.state.files.objects


def test_many_small_results_travel_as_objects_so_that_no_assignment_is_too_long() -> None:
    world = World(workers=1)
    world.value = lambda assignment: str(assignment.task_id).encode() * 10_000
    parts = tuple(world.submit() for _ in range(40))
    total = world.submit(depends=parts)
    world.settle()
    assert world.results[total].outcome is m.Outcome.SUCCESS
    given = [a.message for a in world.sent(m.RunAttempts)][-1].assignments[0]
    inline = sum(len(value.value) for value in given.values if value.value is not None)
    assert inline <= config.dependency_bytes_inline_max
    assert all((value.value is None) != (value.object_id is None) for value in given.values)


def test_an_archive_is_fetched_and_unpacked_once_a_worker() -> None:
    world = World(workers=2)
    tree = world.untar(world.local_file("env"))
    for _ in range(6):
        world.submit((tree,))
    world.settle()
    assert len(world.results) == 6
    assert len(world.sent(m.UnpackObject)) == 2
    assert len(world.sent(m.FetchObject)) == 2


def test_files_of_cache_level_task_leave_the_workers_after_use() -> None:
    world = World(workers=1)
    world.submit((world.local_file(cache=m.CacheLevel.TASK),))
    world.settle()
    assert not next(iter(world.workers.values())).holds


def test_when_a_client_leaves_its_files_leave_the_workers_but_those_of_level_worker() -> None:
    world = World(workers=1)
    kept = world.local_file("kept", cache=m.CacheLevel.WORKER)
    world.submit((world.local_file("dropped"), kept))
    world.settle()
    identity = world.core.state.files.by_id[kept].object_id
    world.say(m.ClientBye())
    assert next(iter(world.workers.values())).holds == {identity}
    assert not world.served


def test_an_undeclared_file_stays_until_its_last_task_has_ended() -> None:
    world = World(workers=1)
    big = world.local_file()
    task = world.submit((big,))
    world.say(m.ForgetFiles((big,)))
    world.settle()
    assert world.results[task].outcome is m.Outcome.SUCCESS
    assert not next(iter(world.workers.values())).holds
    assert big not in world.core.state.files.by_id


def test_an_output_of_a_local_file_comes_back_to_its_path_before_the_task_is_done() -> None:
    world = World(workers=1)
    out = world.local_file("out", bind=False, exists=False)
    task = world.submit(outputs=(out,), kind=m.TaskKind.COMMAND)
    events = world.possible_events
    while task not in world.results:
        if world.local:
            assert world.state_of(task) == "collecting"
        world.happen(events()[0])
    assert [a.destination for a in world.done if isinstance(a, actions.Fetch)] == ["/data/out"]


def test_a_worker_lost_before_its_result_was_collected_has_the_task_run_again() -> None:
    world = World(workers=2)
    world.large_values = True
    task = world.submit()
    while not world.local:
        world.happen(world.possible_events()[0])
    world.lose(world.worker_of(task))  # type: ignore[arg-type]
    world.settle()
    assert world.results[task].outcome is m.Outcome.SUCCESS
    assert world.runs[task] == 2


def test_a_client_is_brought_a_temporary_file() -> None:
    world = World(workers=1)
    middle = world.temp()
    world.submit(outputs=(middle,), kind=m.TaskKind.COMMAND)
    world.say(m.BringFile(middle))
    world.settle()
    (brought,) = [message for message in world.inbox if isinstance(message, m.FileBrought)]
    assert brought.path is not None


def test_a_higher_priority_goes_first() -> None:
    world = World(workers=1)
    world.submit()
    low, high = world.submit(priority=1), world.submit(priority=2)
    order: list[object] = []
    world.outcome = lambda assignment: order.append(assignment.task_id) or m.Outcome.SUCCESS  # type: ignore[func-returns-value]
    world.settle()
    assert order[1:] == [high, low]


def test_short_tasks_are_queued_ahead_and_long_ones_are_not() -> None:
    world = World(workers=1)
    shape = {"function": world.buffer(b"f")}
    world.submit(**shape)
    world.settle()  # It took a second: nothing is queued ahead.
    tasks = [world.submit(**shape) for _ in range(5)]
    assert [world.state_of(task) for task in tasks].count("staged") == 1
    world.settle()
    next(iter(world.core.state.placement.shapes.values())).mean_run_s = 0.001
    tasks = [world.submit(**shape) for _ in range(5)]
    assert [world.state_of(task) for task in tasks].count("staged") == 5


def test_what_a_task_leaves_out_is_shared_out_in_proportion() -> None:
    world = World()
    world.join(cores=4, memory_mb=1000)
    world.submit(request=m.Request(cores=1))
    (run,) = world.sent(m.RunAttempts)
    assert run.message.assignments[0].allotment == m.Resources(1, 250, 250, 0)


def test_a_task_that_asks_for_nothing_gets_the_whole_worker() -> None:
    world = World(workers=1, cores=4)
    first, second = world.submit(request=m.Request()), world.submit(request=m.Request())
    assert world.state_of(first) == "staged"
    assert world.state_of(second) == "ready"


def test_the_papers_shape_fits_eight_tasks_on_a_worker() -> None:
    world = World()
    worker = world.join(cores=16, memory_mb=16_000)
    assert worker.cores == 16
    world.core.state.workers[worker.worker_id].hello = m.WorkerHello(
        worker.worker_id, "h", "h", 1, m.Resources(16, 16_000, 16_000), (), "3", "tcp://a:1", "tcp://a:2"
    )  # type: ignore[arg-type]
    shape = m.Request(cores=2, memory_mb=2000, disk_mb=2000)
    tasks = [world.submit(request=shape) for _ in range(9)]
    assert [world.state_of(task) for task in tasks] == ["staged"] * 8 + ["ready"]


def test_a_silent_worker_is_given_up() -> None:
    world = World(workers=1)
    task = world.submit()
    world.core.heard(world.client, 1000.0)
    world.step(world.core.tick(1000.0))
    assert world.state_of(task) == "ready"
    assert not world.core.state.workers


def test_a_strange_message_changes_nothing() -> None:
    world = World(workers=1)
    worker = next(iter(world.workers.values()))
    world.say(m.SubmitTasks(()), worker.peer)
    world.say(m.TasksStarted(()), world.client)
    world.say(m.WorkerBye("?"), actions.PeerKey("nobody"))
    assert world.core.state.strange == 3


def test_a_file_bound_to_a_name_that_is_not_its_hash_is_malformed() -> None:
    from tests.scheduler.world import manifest
    from vine.errors import MalformedMessage

    world = World()
    file = world.local_file(bind=False)
    with pytest.raises(MalformedMessage):
        world.say(m.FileBound(file, "0" * 64, manifest("x"), "/x", None))  # type: ignore[arg-type]


def test_at_the_end_everybody_is_told() -> None:
    world = World(workers=2)
    world.step(world.core.stop("done", 1.0))
    assert all(worker.ended for worker in world.workers.values())
    assert isinstance(world.done[-1], actions.EndRun)


def test_the_snapshot_is_plain_data() -> None:
    import json

    world = World(workers=2)
    world.submit((world.local_file(),))
    world.submit(depends=(world.submit(),))
    world.outcome = lambda assignment: m.Outcome.KILLED
    json.dumps(world.core.snapshot(1.0))
    world.settle()
    assert world.core.snapshot(1.0)["failures"]
