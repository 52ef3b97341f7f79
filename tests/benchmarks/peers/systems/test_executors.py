"""Any Executor of the standard library's kind does the work that is asked of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from benchmarks.peers.systems.executors import OnExecutor


def test_results_come_in_the_order_of_their_calls() -> None:
    with ThreadPoolExecutor(2) as threads:
        system = OnExecutor(threads, lambda x: x + 1)
        assert system.gather([system.submit(x) for x in range(5)]) == [1, 2, 3, 4, 5]
