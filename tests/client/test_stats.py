"""Are the run's figures under TaskVine's names what they are under ours?"""

from __future__ import annotations

from vine.client.stats import Stats
from vine.wire.messages import RunState


def test_tasks_are_counted_by_where_they_are() -> None:
    counts = {"waiting": 1, "ready": 2, "staged": 4, "running": 8, "collecting": 16}
    stats = Stats(RunState(3, 12.0, {**counts, "done": 32, "failed": 64, "cancelled": 128}, 5, 6))
    assert (stats.workers, stats.workers_connected, stats.cores, stats.total_cores) == (3, 3, 12.0, 12.0)
    assert (stats.tasks_waiting, stats.tasks_on_workers, stats.tasks_running) == (3, 28, 8)
    assert (stats.tasks_with_results, stats.tasks_submitted) == (16, 255)
    assert (stats.tasks_done, stats.tasks_failed, stats.tasks_cancelled) == (224, 64, 128)
    assert (stats.bytes_from_manager, stats.bytes_from_peers, stats.tasks["done"]) == (5, 6, 32)


def test_of_a_run_that_has_begun_nothing_is_counted() -> None:
    stats = Stats(RunState(0, 0.0, {}, 0, 0))
    assert (stats.tasks_waiting, stats.tasks_submitted) == (0, 0)
