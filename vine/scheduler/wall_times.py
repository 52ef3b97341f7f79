"""Which workers live long enough for a task: how long may they, and how much of that is left?"""

from __future__ import annotations

from vine import config
from vine.scheduler.workers import WorkerRecord
from vine.wire.worker_messages import WorkerHello


def end_of(hello: WorkerHello, now: float) -> float | None:
    """When the worker's wall time is over, if it has any."""
    return None if hello.time_left_s is None else now + hello.time_left_s


def lasts(worker: WorkerRecord, time_min_s: float, now: float) -> bool:
    """Whether the worker lives for so long from now. What is no more so never is again."""
    return worker.ends_at is None or now + time_min_s <= worker.ends_at


def drains_at(worker: WorkerRecord) -> float | None:
    """When the worker is given its last task, so that those that it has may end before it does."""
    if worker.ends_at is None:
        return None
    share_s = config.wall_drain_share * (worker.hello.wall_time_s or 0.0)
    return worker.ends_at - min(config.wall_drain_s, share_s)


def could_last(worker: WorkerRecord, time_min_s: float) -> bool:
    """Whether another worker that is given as much time does, at its start."""
    return worker.hello.wall_time_s is None or time_min_s <= worker.hello.wall_time_s
