"""Which workers may be given a task of a shape, to run or to queue."""

from __future__ import annotations

import pytest

from vine import config
from vine.names import AttemptId, HostId, PeerKey, TaskId, WorkerId
from vine.scheduler.categories import Category
from vine.scheduler.shapes import Shape
from vine.scheduler.tasks import Attempt, TaskRecord
from vine.scheduler.workers import WorkerRecord
from vine.wire.parts import CategorySpec, Request, Resources, TaskKind, TaskSpec
from vine.wire.worker_messages import WorkerHello

ONE_CORE = Request(cores=1)


def shape(
    ahead: int = 0,
    request: Request = ONE_CORE,
    features: tuple[str, ...] = (),
    category: Category | None = None,
) -> Shape:
    return Shape("shape", ahead, request, features, (), category)


def worker(*given: float, cores: float = 2, features: tuple[str, ...] = ()) -> WorkerRecord:
    """One with so many cores, that has been given attempts with so many each."""
    hello = WorkerHello(
        WorkerId("w"), HostId("h"), "h", 1, Resources(cores, 1000, 1000), features, "3", "tcp://a:1", "tcp://a:2"
    )
    record = WorkerRecord(PeerKey("p"), hello, 0.0, 0.0)
    for number, amount in enumerate(given):
        task = TaskRecord(TaskSpec(TaskId(number), TaskKind.CALL), PeerKey("client"), 0.0)
        task.attempt = Attempt(AttemptId(1, number), WorkerId("w"), 0.0, Resources(amount))
        record.take(task)
    return record


@pytest.mark.parametrize(
    ("ahead", "given", "usable", "at_once"),
    [
        (0, (), True, True),
        (0, (1,), True, True),
        (0, (1.5,), False, False),  # It would wait there for the half that is lacking, though another had it first.
        (0, (1, 1), False, False),
        (1, (1, 1), True, False),
        (1, (1, 1, 1), True, False),
        (1, (1, 1, 1, 1), False, False),
    ],
)
def test_a_worker_is_usable_up_to_its_load(ahead: int, given: tuple[float, ...], usable: bool, at_once: bool) -> None:
    queued = shape(ahead)
    assert (queued.usable(worker(*given)), queued.runs_at_once(worker(*given))) == (usable, at_once)


def test_who_is_too_small_lacks_a_feature_is_closed_or_crowded_is_not_usable() -> None:
    closed, crowded = worker(), worker(0.5)
    closed.open = False
    crowded.attempts_max = 1
    assert not shape().usable(worker(cores=0.5))
    assert not shape().usable(closed)
    assert not shape().usable(crowded)
    featured = shape(features=("fast",))
    assert not featured.usable(worker())
    assert featured.usable(worker(features=("fast", "near")))


def test_a_task_that_asks_for_no_cores_runs_on_a_worker_that_is_full() -> None:
    assert shape(request=Request(0, 0, 0, 0)).runs_at_once(worker(1, 1))


def test_a_shape_is_full_with_its_category() -> None:
    category = Category(CategorySpec("few", concurrent_max=1))
    queued = shape(category=category)
    assert not queued.full
    category.running = 1
    assert queued.full and not shape().full


def test_what_workers_of_days_ago_would_have_given_is_forgotten() -> None:
    # given a shape of which tasks wait all the time, while workers come and go, each with other space on its disk
    queued = shape()
    for number in range(3 * config.capacities_kept_max):
        assert queued.allotment(Resources(2, 1000, 1000 + number)) is not None
    # then as few are remembered as may be alive
    assert len(queued.allotments) <= config.capacities_kept_max
