"""What comes back from workers, told to the true scheduler."""

from __future__ import annotations

from tests.scheduler.world import World
from vine.scheduler import actions
from vine.wire import messages as m


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


def test_a_client_that_asks_before_its_file_was_hashed_is_answered_then() -> None:
    world = World(workers=1)
    file = world.local_file("in", bind=False)
    world.say(m.BringFile(file))
    world.settle()
    assert not [message for message in world.inbox if isinstance(message, m.FileBrought)]
    world.bind(file, "in")
    world.settle()
    (brought,) = [message for message in world.inbox if isinstance(message, m.FileBrought)]
    assert brought.path == "/data/in"


def test_a_client_is_brought_a_temporary_file() -> None:
    world = World(workers=1)
    middle = world.temp()
    world.submit(outputs=(middle,), kind=m.TaskKind.COMMAND)
    world.say(m.BringFile(middle))
    world.settle()
    (brought,) = [message for message in world.inbox if isinstance(message, m.FileBrought)]
    assert brought.path is not None
