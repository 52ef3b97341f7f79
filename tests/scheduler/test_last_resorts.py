"""What becomes of tasks for whom nobody else is left, or whose input's last copy goes bad?"""

from __future__ import annotations

from tests.scheduler.world import World
from vine.wire import messages as m
from vine.wire.parts import FetchFault, Outcome
from vine.wire.worker_messages import ObjectsLost


def test_a_task_is_tried_again_where_its_data_could_not_be_had_when_nobody_else_is_left() -> None:
    # given a task whose data could not be had on one of two workers
    world = World(workers=2)
    task = world.submit((world.local_file(),))
    first = world.workers[world.worker_of(task) or ""]  # type: ignore[index] # it has one
    world.fetch_ends(first, next(iter(first.fetching)), FetchFault.DISK_FULL)
    (second,) = [worker for worker in world.workers.values() if worker is not first]
    assert world.worker_of(task) == second.worker_id
    # when the other one is lost
    world.lose(second.worker_id)
    world.pass_time(1)
    # then it is tried where it was before, and ends with its cause if that goes wrong again
    assert world.worker_of(task) == first.worker_id
    world.fetch_ends(first, next(iter(first.fetching)), FetchFault.DISK_FULL)
    assert world.results[task].outcome is Outcome.DISK_FULL


def test_a_file_of_which_the_last_copy_goes_bad_under_a_task_that_runs_is_made_again_for_the_others() -> None:
    # given a task that runs with a temporary file, and another one that waits for its turn with it
    world = World(workers=1)
    temp = world.temp()
    world.submit((), (temp,))
    world.settle()
    (worker,) = world.workers.values()
    runs = world.submit((temp,))
    world.happen(next(event for event in world.possible_events() if event[0] == "start"))
    waits = world.submit((temp,))
    # when a bit has flipped in the only copy
    bad = world.core.state.files.object_of(temp)
    assert bad is not None
    worker.holds.discard(bad.object_id)
    world.say(ObjectsLost((bad.object_id,), "its bytes are not its own"), worker.peer)
    other = world.local_file()
    world.submit((temp, other))
    # then what is said of that worker's files meanwhile is answered, and all end
    world.say(m.PruneFiles((other,)))
    assert world.state_of(runs) == "running"
    world.settle()
    assert world.results[runs].outcome is world.results[waits].outcome is Outcome.SUCCESS
