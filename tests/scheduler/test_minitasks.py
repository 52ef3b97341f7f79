"""Are files that a task of their own makes made when they are needed, once for all that are the same, and again?"""

from __future__ import annotations

import pytest

from tests.scheduler.making import minitask, two_of_one_definition
from tests.scheduler.world import World
from vine.names import FileId, TaskId
from vine.scheduler import actions
from vine.wire import messages as m
from vine.wire.parts import CacheLevel, FileKind, FileSpec, Mount, Outcome, TaskKind, TaskSpec


def runs(world: World) -> int:
    """How often tasks of files have run."""
    recipes = {file.spec.recipe.task_id for file in world.core.state.files.by_id.values() if file.spec.recipe}
    return sum(count for task_id, count in world.runs.items() if task_id in recipes)


def outcome(world: World, task: TaskId) -> Outcome:
    return world.results[task].outcome


def test_nothing_is_made_before_it_is_needed_and_then_it_is_made_once_for_all() -> None:
    world = World(workers=3)
    file = minitask(world, (world.buffer(),))
    world.settle()
    assert runs(world) == 0
    tasks = [world.submit((file,)) for _ in range(6)]
    world.settle()
    assert runs(world) == 1
    assert [outcome(world, task) for task in tasks] == [Outcome.SUCCESS] * 6


def test_the_first_task_that_needs_it_runs_where_it_was_made() -> None:
    world = World(workers=3)
    file = minitask(world)
    task = world.submit((file,))
    world.happen(next(event for event in world.possible_events() if event[0] == "start"))
    maker = next(worker for worker in world.workers.values() if worker.running)
    world.happen(("end", maker, next(iter(maker.running))))
    assert world.worker_of(task) == maker.worker_id


def test_it_is_made_for_a_client_that_fetches_it() -> None:
    world = World(workers=1)
    file = minitask(world)
    world.say(m.BringFile(file))
    world.settle()
    (brought,) = [message for message in world.inbox if isinstance(message, m.FileBrought)]
    assert brought.path is not None


@pytest.mark.parametrize(
    ("first", "second", "times"),
    [
        ({}, {}, 1),
        ({"command": "a"}, {"command": "b"}, 2),
        ({"inputs": b"a"}, {"inputs": b"a"}, 1),
        ({"inputs": b"a"}, {"inputs": b"b"}, 2),
    ],
)
def test_equal_definitions_are_one_and_others_are_not(
    first: dict[str, object], second: dict[str, object], times: int
) -> None:
    # given two definitions, whose inputs are files of their own
    world = World(workers=2)
    files = []
    for given in (first, second):
        data = given.get("inputs")
        inputs = (world.buffer(data),) if isinstance(data, bytes) else ()
        files.append(minitask(world, inputs, str(given.get("command", "make"))))
    # when both are needed
    tasks = [world.submit((file,)) for file in files]
    world.settle()
    # then
    assert runs(world) == times
    assert [outcome(world, task) for task in tasks] == [Outcome.SUCCESS] * 2
    objects = {world.core.state.files.by_id[file].object_id for file in files}
    assert len(objects) == times


def test_definitions_are_compared_when_their_inputs_have_been_read() -> None:
    # given two definitions of files that the client still reads
    world = World(workers=2)
    inputs = [world.local_file(name, bind=False) for name in ("one", "other")]
    tasks = [world.submit((minitask(world, (each,)),)) for each in inputs]
    world.settle()
    assert runs(world) == 0 and "to be read" in world.core.why(tasks[0], world.now)
    # when they turn out to be equal
    for each in inputs:
        world.bind(each, "same")
    world.settle()
    # then
    assert runs(world) == 1
    assert {outcome(world, task) for task in tasks} == {Outcome.SUCCESS}


def test_files_of_tasks_may_be_made_of_each_other_and_are_the_same_if_all_before_is() -> None:
    world = World(workers=2)
    chains = [minitask(world, (minitask(world, (), "first"),), "second") for _ in range(2)]
    tasks = [world.submit((chain,)) for chain in chains]
    world.settle()
    assert runs(world) == 2
    assert {outcome(world, task) for task in tasks} == {Outcome.SUCCESS}


def test_a_failure_is_told_to_all_that_need_it_or_an_equal_one_and_is_not_tried_again() -> None:
    world = World(workers=1)
    world.outcome = lambda assignment: Outcome.EXIT_CODE if assignment.command == "make" else Outcome.SUCCESS
    files = [minitask(world) for _ in range(2)]
    tasks = [world.submit((file,)) for file in files]
    world.settle()
    tasks.append(world.submit((minitask(world),)))
    world.settle()
    assert runs(world) == 1
    for task in tasks:
        assert outcome(world, task) is Outcome.DEPENDENCY_FAILED
        assert "make" in world.results[task].message


def test_an_input_that_cannot_be_read_fails_who_needs_the_file() -> None:
    world = World(workers=1)
    source = world.local_file("gone", bind=False)
    task = world.submit((minitask(world, (source,)),))
    world.say(m.FileUnreadable(source, "no such file"))
    world.settle()
    assert outcome(world, task) in (Outcome.INPUT_MISSING, Outcome.DEPENDENCY_FAILED)
    assert "no such file" in world.results[task].message


def test_what_was_lost_is_made_again_for_all_that_are_the_same() -> None:
    # given a file, and an equal one, on a worker that is lost
    world = World(workers=1)
    files = [minitask(world, cache=CacheLevel.WORKFLOW) for _ in range(2)]
    for file in files:
        world.submit((file,))
    world.settle()
    world.lose(next(iter(world.workers)))
    # when a task needs the one that had no task of its own
    world.join("new")
    task = world.submit((files[1],))
    world.settle()
    # then
    assert runs(world) == 2 and outcome(world, task) is Outcome.SUCCESS
    first, second = (world.core.state.files.by_id[file].object_id for file in files)
    assert first == second


def test_its_inputs_stay_though_they_are_undeclared_until_it_goes_itself() -> None:
    world = World(workers=1)
    source = world.buffer()
    file = minitask(world, (source,))
    world.say(m.ForgetFiles((source,)))
    task = world.submit((file,))
    world.settle()
    assert outcome(world, task) is Outcome.SUCCESS
    world.say(m.ForgetFiles((file,)))
    assert not world.core.state.files.by_id and not world.core.state.minitasks.held


def test_when_the_one_that_makes_it_is_undeclared_another_does() -> None:
    # given two equal files, of which the one in the making goes
    world = World(workers=1)
    first, second = minitask(world), minitask(world)
    one, other = world.submit((first,)), world.submit((second,))
    world.say(m.CancelTasks((one,)))
    world.say(m.ForgetFiles((first,)))
    # then
    world.settle()
    assert outcome(world, other) is Outcome.SUCCESS


def test_why_tells_what_makes_it_be_it_the_task_of_an_equal_file() -> None:
    world = World()
    tasks = [world.submit((minitask(world),)) for _ in range(2)]
    for task in tasks:
        assert "makes" in world.core.why(task, world.now)


def test_no_task_may_have_it_as_an_output() -> None:
    world = World(workers=1)
    task = world.submit((), (minitask(world),))
    assert outcome(world, task) is Outcome.OUTPUT_MISSING
    assert "use a temp" in world.results[task].message


def test_one_that_takes_what_is_not_declared_fails_who_needs_it() -> None:
    world = World(workers=1)
    task = world.submit((minitask(world, (FileId(999),)),))
    assert outcome(world, task) is Outcome.INPUT_MISSING
    assert "is not declared" in world.results[task].message


@pytest.mark.parametrize("wrong", ["no recipe", "another kind", "others' file", "a call", "another's number"])
def test_nonsense_is_dropped(wrong: str) -> None:
    world = World(workers=1)
    file_id, task_id = FileId(world.new_task_id()), world.new_task_id()
    makes = FileId(file_id + 1) if wrong == "others' file" else file_id
    kind = TaskKind.CALL if wrong == "a call" else TaskKind.COMMAND
    number = TaskId(1 << 50) if wrong == "another's number" else task_id
    recipe = TaskSpec(number, kind, "make", outputs=(Mount(makes, "made"),))
    spec = FileSpec(
        file_id,
        FileKind.TEMP if wrong == "another kind" else FileKind.MINITASK,
        CacheLevel.WORKFLOW,
        "made",
        recipe=None if wrong == "no recipe" else recipe,
    )
    world.say(m.DeclareFiles((spec,)))
    assert world.core.state.strange == 1 and file_id not in world.core.state.files.by_id


def test_the_journal_knows_how_it_is_made() -> None:
    world = World()
    file = minitask(world)
    records = [record for action in world.done if isinstance(action, actions.Journal) for record in action.records]
    (declared,) = [record for record in records if getattr(record, "spec", None) and record.spec.file_id == file]
    assert declared.spec.recipe is not None and declared.spec.recipe.command == "make"


def test_a_task_that_takes_one_which_is_the_same_as_one_made_before_has_it_at_once() -> None:
    # given a file that was made, and is still there
    world = World(workers=2)
    first = minitask(world)
    world.submit((first,))
    world.settle()
    # when a task takes another of the same definition, and a file that is not there yet
    second, late = minitask(world), world.local_file(bind=False)
    tasks = [world.submit((second,)), world.submit((minitask(world), late))]
    assert [world.state_of(task) for task in tasks] == ["staged", "waiting"]
    world.bind(late)
    world.settle()
    # then nothing is made a second time
    assert [outcome(world, task) for task in tasks] == [Outcome.SUCCESS] * 2 and runs(world) == 1


def test_what_a_file_was_to_be_made_of_is_not_kept_for_it_when_that_has_failed() -> None:
    world = World(workers=1)
    world.outcome = lambda assignment: Outcome.EXIT_CODE if assignment.command == "make" else Outcome.SUCCESS
    local = world.local_file()
    made = minitask(world, (local,))
    world.submit((made,))
    world.say(m.ForgetFiles((local,)))
    world.settle()
    assert world.core.state.files.by_id[made].failure and local not in world.core.state.files.by_id


def test_a_ready_task_whose_file_is_lost_stays_ready_if_an_equal_one_was_made_meanwhile() -> None:
    # given an equal file on the only worker, of which the one that made it has been undeclared
    world = World(workers=1)
    old = next(iter(world.workers))
    first, second = minitask(world), minitask(world)
    for file in (first, second):
        world.submit((file,))
    world.settle()
    world.say(m.ForgetFiles((first,)))
    # and the same definition, made anew on another worker while the first is busy
    busy = [world.submit()]
    new = world.join()
    world.submit((minitask(world),))
    while events := [event for event in world.possible_events() if event[1] is new]:
        world.happen(events[0])
    # when a task that is ready loses its file with the first worker
    busy += [world.submit() for _ in range(6)]
    task = world.submit((second,))
    assert world.state_of(task) == "ready"
    world.lose(old)
    # then it takes what was made meanwhile
    world.settle()
    assert {outcome(world, each) for each in (*busy, task)} == {Outcome.SUCCESS}


def test_one_that_was_lost_is_made_by_its_own_task_when_the_one_that_made_it_goes_while_it_does_so_again() -> None:
    # given two of one definition, which are lost, and a task that waits for the second while the first is made anew
    world = World(workers=1)
    first, second = two_of_one_definition(world)
    world.lose(*world.workers)
    task = world.submit((second,))
    assert world.state_of(task) == "waiting"
    # when the first is not declared any more
    world.say(m.ForgetFiles((first,)))
    # then the second is made all the same
    world.join()
    world.settle()
    assert outcome(world, task) is Outcome.SUCCESS
