"""What the fleet can run, told to the true scheduler."""

from __future__ import annotations

from tests.scheduler.world import World
from vine import config
from vine.wire import messages as m


def test_a_task_that_fits_no_worker_fails_soon_and_names_the_largest() -> None:
    world = World(workers=1, cores=2)
    task = world.submit(request=m.Request(cores=8))
    world.pass_time(1)
    assert world.state_of(task) == "ready"
    world.pass_time(config.no_fit_grace_s + 1)
    assert world.results[task].outcome is m.Outcome.NO_WORKER_FITS
    assert "8 cores" in world.results[task].message
    assert "2 cores" in world.results[task].message
    assert f"task {task} (" in world.results[task].message
