"""Do tasks of a category get what it says, or what its tasks have needed, and no more of them run than may?"""

from __future__ import annotations

import pytest

from tests.scheduler.world import World
from vine import config
from vine.names import TaskId
from vine.scheduler.categories import Category
from vine.wire import messages as m
from vine.wire.parts import (
    Assignment,
    CategoryMode,
    CategorySpec,
    Limits,
    Measured,
    Outcome,
    Policy,
    Request,
    Resources,
)

ENOUGH = config.category_samples_min
MAX = CategoryMode.MAX


def a_world(spec: CategorySpec, cores: float = 8, memory_mb: float = 8000) -> World:
    world = World()
    world.join(cores=cores, memory_mb=memory_mb)
    world.say(m.SetCategory(spec))
    return world


def submit(world: World, request: Request | None = None, name: str = "fit") -> TaskId:
    return world.submit(request=request or Request(), policy=Policy(category=name))


def given(world: World, task: TaskId) -> Assignment:
    (worker,) = world.workers.values()
    assigned = (*worker.assigned.values(), *(a for a in worker.running.values() if a is not None))
    return next(assignment for assignment in assigned if assignment.task_id == task)


def learnt(world: World, memory_mb: float) -> None:
    """Enough tasks of the category have ended and have used so much."""
    world.measured = lambda assignment: Measured(1.0, memory_mb, 1.0)
    for _ in range(ENOUGH):
        submit(world)
    world.settle()


def test_a_fixed_category_gives_what_its_tasks_leave_out_and_their_own_figures_go_first() -> None:
    world = a_world(CategorySpec("fit", most=Request(cores=1, memory_mb=500, disk_mb=100)))
    plain, own = submit(world), submit(world, Request(memory_mb=700))
    assert given(world, plain).allotment == Resources(1, 500, 100, 0)
    assert given(world, plain).limits == Limits(500, 100)
    assert given(world, own).allotment == Resources(1, 700, 100, 0)


def test_tasks_of_other_categories_and_of_none_are_left_alone() -> None:
    world = a_world(CategorySpec("fit", most=Request(cores=1)))
    assert given(world, submit(world, name="plot")).allotment.cores == 8


def test_tasks_that_wait_already_are_given_what_is_set_later() -> None:
    world = a_world(CategorySpec("fit"))
    submit(world)
    waiting = [submit(world) for _ in range(3)]
    world.say(m.SetCategory(CategorySpec("fit", most=Request(cores=2, memory_mb=2000, disk_mb=250))))
    world.settle()
    assert all(world.results[task].outcome is Outcome.SUCCESS for task in waiting)
    assert world.core.state.placement.shapes[waiting_shape(world), 0].request.cores == 2


def test_tasks_that_fitted_nowhere_do_once_their_category_asks_for_less() -> None:
    world = a_world(CategorySpec("fit", most=Request(memory_mb=10_000)))
    task = submit(world)
    assert world.state_of(task) == "ready"
    world.say(m.SetCategory(CategorySpec("fit", most=Request(memory_mb=1000))))
    assert world.state_of(task) == "staged"


def waiting_shape(world: World) -> str:
    (key,) = {key for key, _ in world.core.state.placement.shapes}
    return key


def test_what_enough_tasks_have_used_at_most_decides_for_those_that_wait() -> None:
    world = a_world(CategorySpec("fit", MAX))
    world.measured = lambda assignment: Measured(1.0, 410.0, 30.0)
    tasks = [submit(world) for _ in range(ENOUGH + 4)]  # The first of them have the worker to themselves.
    for _ in range(ENOUGH):
        assert sum(world.state_of(task) == "staged" for task in tasks if task not in world.results) == 1
        for event in [event for event in world.possible_events() if event[0] in ("start",)]:
            world.happen(event)
        world.happen(next(event for event in world.possible_events() if event[0] == "end"))
    assert [world.state_of(task) for task in tasks if task not in world.results] == ["staged"] * 4
    last = given(world, tasks[-1])
    assert last.allotment == Resources(1, 450, 50, 0)
    assert last.limits == Limits(450, 50)


def test_until_enough_is_known_the_guess_is_taken() -> None:
    world = a_world(CategorySpec("fit", MAX, first=Request(cores=1, memory_mb=300)))
    assert given(world, submit(world)).allotment.memory_mb == 300


def test_a_task_that_needs_more_than_others_did_is_run_once_more_with_the_maximum() -> None:
    world = a_world(CategorySpec("fit", MAX, most=Request(memory_mb=4000)))
    learnt(world, memory_mb=400)
    task = submit(world)
    assert given(world, task).limits == Limits(400, 50)
    world.outcome = lambda assignment: Outcome.MEMORY_LIMIT
    world.happen(next(event for event in world.possible_events() if event[0] == "start"))
    world.happen(next(event for event in world.possible_events() if event[0] == "end"))
    assert given(world, task).limits == Limits(memory_mb=4000)
    world.settle()
    assert world.results[task].outcome is Outcome.MEMORY_LIMIT
    assert world.results[task].attempts == 2


def test_a_task_that_exceeds_its_own_figure_is_not_run_again() -> None:
    world = a_world(CategorySpec("fit", MAX, most=Request(memory_mb=4000)))
    world.outcome = lambda assignment: Outcome.MEMORY_LIMIT
    task = submit(world, Request(memory_mb=100))
    world.settle()
    assert world.results[task].attempts == 1


def test_nobody_is_given_more_than_the_maximum() -> None:
    category = Category(CategorySpec("fit", MAX, most=Request(memory_mb=100)))
    for _ in range(ENOUGH):
        category.observe(Measured(2.0, 400.0, 0.0), 1.0)
    assert category.fill(Request(), at_maximum=False) == Request(2, 100, config.category_step_mb)


def of_uses(mode: CategoryMode, uses: list[float], **said: Request) -> Category:
    category = Category(CategorySpec("fit", mode, **said))
    for memory_mb in uses:
        category.observe(Measured(1.0, memory_mb, 10.0), 1.0)
    return category


@pytest.mark.parametrize(
    ("mode", "memory_mb"), [(MAX, 1000), (CategoryMode.MAX_THROUGHPUT, 200), (CategoryMode.MIN_WASTE, 200)]
)
def test_what_was_used_decides_in_the_way_of_the_mode(mode: CategoryMode, memory_mb: float) -> None:
    uses = [190.0] * 10 + [1000.0]
    assert of_uses(mode, uses).fill(Request(), at_maximum=False) == Request(1, memory_mb, 50)


def test_a_category_of_which_much_was_measured_already_is_given_another_mode() -> None:
    category = of_uses(MAX, [190.0] * 10 + [1000.0])
    category.set(CategorySpec("fit", CategoryMode.MIN_WASTE))
    assert category.fill(Request(), at_maximum=False).memory_mb == 200


def test_a_task_that_was_stopped_at_its_first_size_has_the_maximum_in_the_second_run() -> None:
    world = a_world(CategorySpec("fit", CategoryMode.MAX_THROUGHPUT, most=Request(memory_mb=4000)))
    learnt(world, memory_mb=190)
    task = submit(world)
    assert given(world, task).limits == Limits(200, 50)
    world.outcome = lambda a: Outcome.SUCCESS if a.allotment.memory_mb == 4000 else Outcome.MEMORY_LIMIT
    world.settle()
    assert world.results[task].outcome is Outcome.SUCCESS
    assert world.results[task].attempts == 2


def test_no_figure_of_a_category_is_below_its_minimum() -> None:
    least = Request(cores=2, memory_mb=700)
    for mode in CategoryMode:
        category = of_uses(mode, [190.0] * 10, most=Request(memory_mb=500), least=least)
        assert category.fill(Request(), at_maximum=False).memory_mb == 700
        assert category.fill(Request(), at_maximum=False).cores == 2
        assert category.fill(Request(memory_mb=10), at_maximum=False).memory_mb == 10


def test_a_minimum_alone_is_given_and_limits_nothing() -> None:
    world = a_world(CategorySpec("fit", least=Request(memory_mb=2000, disk_mb=100)))
    task = submit(world)
    assert given(world, task).allotment.memory_mb == 2000
    assert given(world, task).limits is None


def test_no_more_run_at_once_than_may_and_the_others_say_so() -> None:
    world = a_world(CategorySpec("fit", most=Request(cores=1), concurrent_max=2))
    tasks = [submit(world, Request(memory_mb=n)) for n in (100, 100, 200, 200)]  # of two shapes
    other = world.submit()
    assert [world.state_of(task) for task in tasks] == ["staged", "staged", "ready", "ready"]
    assert world.state_of(other) == "staged"
    assert world.core.why(tasks[3], 0.0) == "waits for others of its category 'fit' to end: 2 may run at once"
    world.settle()
    assert all(world.results[task].outcome is Outcome.SUCCESS for task in tasks)


def test_a_lost_worker_gives_the_places_of_its_tasks_back() -> None:
    world = a_world(CategorySpec("fit", most=Request(cores=1), concurrent_max=1))
    tasks = [submit(world), submit(world)]
    world.lose(next(iter(world.workers)))
    world.join()
    world.settle()
    assert set(tasks) <= set(world.results)


def test_the_categories_of_a_client_go_with_it() -> None:
    world = a_world(CategorySpec("fit"))
    submit(world)
    assert [each["name"] for each in world.core.snapshot(0.0)["categories"]] == ["fit"]
    world.say(m.ClientBye())
    world.settle()
    assert not world.core.state.categories


def test_more_run_as_soon_as_more_may() -> None:
    world = a_world(CategorySpec("fit", most=Request(cores=1), concurrent_max=1))
    tasks = [submit(world), submit(world)]
    assert [world.state_of(task) for task in tasks] == ["staged", "ready"]
    world.say(m.SetCategory(CategorySpec("fit", most=Request(cores=1), concurrent_max=2)))
    assert world.state_of(tasks[1]) == "staged"


def test_a_task_that_ends_with_its_worker_gives_its_place_to_another() -> None:
    world = a_world(CategorySpec("fit", most=Request(cores=1), concurrent_max=1))
    first, second = submit(world), submit(world)
    (worker,) = world.workers
    world.join(cores=8, memory_mb=8000)
    world.say(m.CancelTasks((first,)))
    world.lose(worker)
    assert world.results[first].outcome is Outcome.CANCELLED
    assert world.state_of(second) == "staged"
