"""Which large results stay on workers, and what becomes of them, told to the true scheduler."""

from __future__ import annotations

import pytest

from tests.scheduler.world import World, manifest
from vine import config
from vine.content.manifest import object_id
from vine.names import MANAGER, TaskId
from vine.scheduler import actions
from vine.scheduler.records import AttemptAssigned, AttemptEnded, TaskEnded
from vine.wire import messages as m
from vine.wire.parts import AttemptResult, MadeOutput, Outcome
from vine.wire.worker_messages import AttemptsEnded


@pytest.fixture
def world() -> World:
    world = World(workers=2)
    world.large_values = True
    return world


def advance(world: World, until: str, task: TaskId) -> None:
    """Let things happen until the task is in this state."""
    while world.state_of(task) != until:
        world.happen(world.possible_events()[0])


def made(world: World) -> tuple[TaskId, TaskId]:
    """A task with a remote result, and the one that has taken it; both have ended."""
    first = world.submit()
    second = world.submit(depends=(first,))
    world.settle()
    return first, second


def holders(world: World, task: TaskId) -> set[str]:
    value = world.core.state.tasks.by_id[task].value_object
    return set() if value is None else set(world.core.state.files.objects[value].holders)


def lose_all(world: World, task: TaskId) -> None:
    for worker_id in sorted(holders(world, task) - {MANAGER}):
        world.lose(worker_id)
    world.join()


def brought(world: World) -> list[tuple[TaskId, str | None]]:
    return [(each.task_id, each.path) for each in world.inbox if isinstance(each, m.ResultBrought)]


def fetched(world: World) -> list[str]:
    """Where the manager pulled things to."""
    return [action.destination for action in world.done if isinstance(action, actions.Fetch)]


# --- which stay ---


@pytest.mark.parametrize("when", ["ready", "staged", "running"])
def test_one_that_another_task_takes_stays_however_early_that_is_submitted(world: World, when: str) -> None:
    first = world.submit()
    if when != "ready":
        advance(world, when, first)
    second = world.submit(depends=(first,))
    advance(world, "done", first)
    assert world.results[first].remote and world.results[first].value_path is None
    world.settle()
    assert world.results[second].outcome is Outcome.SUCCESS
    assert fetched(world) == [f"/run/staging/result-{world_attempt(world, second)}"]
    assert holders(world, first) - {MANAGER}


def world_attempt(world: World, task: TaskId) -> str:
    """The attempt that the path of a collected result names."""
    path = world.core.state.tasks.by_id[task].value_path
    assert path is not None
    return path.rpartition("result-")[2]


def test_one_that_nobody_takes_comes_to_the_manager_and_whoever_takes_it_later_has_it_from_there(world: World) -> None:
    first = world.submit()
    world.settle()
    assert not world.results[first].remote and world.results[first].value_path is not None
    second = world.submit(depends=(first,))
    world.settle()
    assert world.results[second].outcome is Outcome.SUCCESS and MANAGER in holders(world, first)


def test_one_that_its_client_wants_to_stay_does(world: World) -> None:
    first = world.submit()
    world.say(m.KeepResults((first,)))
    world.settle()
    assert world.results[first].remote and not fetched(world)
    second = world.submit(depends=(first,))
    world.settle()
    assert world.results[second].outcome is Outcome.SUCCESS


def test_small_ones_come_inline_whoever_wants_them_to_stay(world: World) -> None:
    world.large_values = False
    first = world.submit()
    world.say(m.KeepResults((first,)))
    world.settle()
    assert world.results[first].value == b"v" and not world.results[first].remote


def test_exceptions_come_to_the_client_though_others_wait_for_the_result(world: World) -> None:
    world.outcome = lambda assignment: Outcome.EXCEPTION
    first = world.submit()
    second = world.submit(depends=(first,))
    world.settle()
    assert not world.results[first].remote
    assert world.results[second].outcome is Outcome.DEPENDENCY_FAILED


def test_who_takes_it_runs_where_it_is() -> None:
    world = World(workers=3)
    world.large_values = True
    first = world.submit()
    second = world.submit(depends=(first,))
    advance(world, "done", first)
    (holder,) = holders(world, first)
    advance(world, "running", second)
    assert world.worker_of(second) == holder


# --- what is asked for ---


def test_a_client_that_asks_has_a_copy_of_its_own_and_it_is_as_safe_as_any_other_then(world: World) -> None:
    first, _ = made(world)
    world.say(m.BringResult(first))
    world.settle()
    assert brought(world) == [(first, f"/run/staging/result-of-{first}.client")]
    lose_all(world, first)
    third = world.submit(depends=(first,))
    world.settle()
    assert world.results[third].outcome is Outcome.SUCCESS and world.runs[first] == 1


def test_one_that_is_lost_while_it_is_brought_is_made_again_and_brought(world: World) -> None:
    first, _ = made(world)
    world.say(m.BringResult(first))
    lose_all(world, first)
    world.settle()
    assert brought(world) == [(first, f"/run/staging/result-of-{first}.client")]
    assert world.runs[first] == 2


def test_one_that_is_forgotten_or_was_never_there_is_said_to_be_gone(world: World) -> None:
    first, second = made(world)
    world.say(m.ForgetResults((first, second)))
    for task in (first, TaskId(77)):
        world.say(m.BringResult(task))
    assert brought(world) == [(first, None), (TaskId(77), None)]


@pytest.mark.parametrize("where", ["on its way", "to be made again"])
def test_one_that_is_forgotten_before_it_came_is_answered(world: World, where: str) -> None:
    first, _ = made(world)
    if where == "to be made again":
        lose_all(world, first)
    world.say(m.BringResult(first))
    assert brought(world) == []
    world.say(m.ForgetResults((first,)))
    world.settle()
    assert brought(world) == [(first, None)]


# --- what is lost ---


def test_one_that_is_lost_is_made_again_when_it_is_taken_and_its_end_is_told_once(world: World) -> None:
    first, _ = made(world)
    lose_all(world, first)
    third = world.submit(depends=(first,))
    world.settle()
    assert world.results[third].outcome is Outcome.SUCCESS
    assert world.runs[first] == 2  # `World` sees to it that no end is told twice.


def test_one_that_is_small_when_its_task_runs_again_for_a_lost_file_is_taken_as_that(world: World) -> None:
    # given a task with a remote result and a file, both of which are lost
    temp = world.temp()
    first = world.submit((), (temp,))
    world.say(m.KeepResults((first,)))
    world.settle()
    lose_all(world, first)
    # when it runs again for the file, and its result is small this time
    world.large_values = False
    second = world.submit((temp,))
    world.settle()
    assert world.results[second].outcome is Outcome.SUCCESS and world.runs[first] == 2
    # then who takes the result is given that
    third = world.submit(depends=(first,))
    world.settle()
    assert world.results[third].outcome is Outcome.SUCCESS and world.runs[first] == 2


def test_who_was_staged_for_it_waits_until_it_is_made_again(world: World) -> None:
    first = world.submit()
    second = world.submit(depends=(first,))
    advance(world, "staged", second)
    lose_all(world, first)
    assert world.state_of(second) == "waiting"
    world.settle()
    assert world.results[second].outcome is Outcome.SUCCESS and world.runs[first] == 2


def test_who_was_staged_for_it_waits_though_another_one_of_the_lost_worker_has_it_made_again_first(
    world: World,
) -> None:
    # given one task that runs where the result is, and one that is staged for it elsewhere
    first = world.submit()
    second, third = world.submit(depends=(first,)), world.submit(depends=(first,))
    advance(world, "done", first)
    (holder,) = holders(world, first)
    there, elsewhere = sorted((second, third), key=lambda task: world.worker_of(task) != holder)
    assert (world.worker_of(there), world.state_of(elsewhere)) == (holder, "staged")
    # when that worker is lost
    world.lose(holder)
    # then both wait until it is made again
    assert [world.state_of(task) for task in (there, elsewhere)] == ["waiting"] * 2
    world.settle()
    assert all(world.results[task].outcome is Outcome.SUCCESS for task in (second, third))
    assert world.runs[first] == 2


def test_a_line_of_lost_ones_is_made_again_from_its_beginning(world: World) -> None:
    # given a line of remote results, of which only the last is still wanted
    line = [world.submit()]
    for _ in range(4):
        line.append(world.submit(depends=(line[-1],)))
    world.say(m.KeepResults((line[-1],)))
    world.settle()
    world.say(m.ForgetResults(tuple(line[:-1])))
    # then only that is on workers, and all are remembered
    assert len(world.core.state.files.objects) == 1
    # when it is lost
    lose_all(world, line[-1])
    world.say(m.BringResult(line[-1]))
    world.settle()
    # then all run again, and are forgotten when it is safe
    assert [world.runs[task] for task in line] == [2] * 5
    assert set(world.core.state.tasks.by_id) == {line[-1]}


def test_a_line_that_grows_long_is_cut_by_a_result_that_comes_to_the_manager(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "recovery_depth_max", 3)
    line = [world.submit()]
    for _ in range(8):
        line.append(world.submit(depends=(line[-1],)))
    world.settle()
    remote = [world.results[task].remote for task in line[:-1]]
    assert remote == [True] * 3 + [False] + [True] * 3 + [False]
    world.say(m.ForgetResults(tuple(line)))
    assert not world.core.state.tasks.by_id


def test_its_inputs_are_kept_for_that_though_their_client_has_undeclared_them(world: World) -> None:
    file = world.local_file()
    first = world.submit((file,))
    second = world.submit(depends=(first,))
    world.settle()
    world.say(m.ForgetFiles((file,)))
    lose_all(world, first)
    third = world.submit(depends=(first,))
    world.settle()
    assert world.results[third].outcome is Outcome.SUCCESS and world.runs[first] == 2
    world.say(m.ForgetResults((first, second, third)))
    assert file not in world.core.state.files.by_id


def test_what_it_was_made_from_is_kept_for_that_though_it_came_to_the_manager(world: World) -> None:
    # given a result at the manager, and one made from it that has stayed
    origin = world.submit()
    world.settle()
    first = world.submit(depends=(origin,))
    world.say(m.KeepResults((first,)))
    world.settle()
    world.say(m.ForgetResults((origin,)))
    # when that is lost
    lose_all(world, first)
    world.say(m.BringResult(first))
    world.settle()
    # then its origin did not run again, and goes
    assert (world.runs[origin], world.runs[first]) == (1, 2)
    assert origin not in world.core.state.tasks.by_id


def test_one_whose_task_fails_the_second_time_fails_who_takes_it_and_who_asks(world: World) -> None:
    first, _ = made(world)
    lose_all(world, first)
    world.outcome = lambda assignment: Outcome.EXCEPTION
    third = world.submit(depends=(first,))
    world.say(m.BringResult(first))
    world.settle()
    assert world.results[third].outcome is Outcome.DEPENDENCY_FAILED
    assert "was lost, and its task ended with exception" in world.results[third].message
    assert brought(world) == [(first, None)]


def test_one_that_is_small_the_second_time_is_the_result_all_the_same(world: World) -> None:
    first, _ = made(world)
    lose_all(world, first)
    world.large_values = False
    third = world.submit(depends=(first,))
    world.say(m.BringResult(first))
    world.settle()
    assert world.results[third].outcome is Outcome.SUCCESS
    assert brought(world) == [(first, f"/run/staging/result-of-{first}.client")]
    # and the attempt that has made it is known to have ended, though it has left nothing else
    records = [record for action in world.done if isinstance(action, actions.Journal) for record in action.records]
    given = {record.attempt for record in records if isinstance(record, AttemptAssigned)}
    assert given == {record.attempt for record in records if isinstance(record, AttemptEnded | TaskEnded)} - {None}


def test_a_client_that_leaves_takes_all_of_it_along(world: World) -> None:
    made(world)
    world.say(m.ClientBye())
    world.settle()
    state = world.core.state
    assert not state.tasks.by_id and not state.files.objects


def test_one_that_was_other_bytes_before_it_was_lost_leaves_nothing_of_them_behind(world: World) -> None:
    # given a task with a remote result and a file, both of which are lost
    temp = world.temp()
    first = world.submit(outputs=(temp,))
    world.say(m.KeepResults((first,)))
    world.settle()
    before = world.core.state.tasks.by_id[first].value_object
    lose_all(world, first)
    # when it runs again for the sake of its file, and returns something else
    taker = world.submit((temp,))
    advance(world, "running", first)
    (worker,) = [each for each in world.workers.values() if each.running]
    ((attempt, _),) = worker.running.items()
    other, made = manifest("another value", 4), manifest("the file again", 4)
    worker.holds.update({object_id(other), object_id(made)})
    outputs = (MadeOutput(temp, object_id(made), made),)
    worker.running.clear()
    ended = AttemptResult(
        attempt,
        Outcome.SUCCESS,
        outputs=outputs,
        value_object=object_id(other),
        value_manifest=other,  # type: ignore[arg-type]
    )
    world.say(AttemptsEnded((ended,)), worker.peer)
    # then its result is what it has returned last
    assert before not in world.core.state.files.objects
    world.settle()
    assert world.results[taker].outcome is Outcome.SUCCESS
