"""Are the executors that are compared of the same size, and each as it comes?"""

from __future__ import annotations

from benchmarks.parsl.executors import EXECUTORS, SLOTS


def test_each_has_the_same_slots_and_a_name_of_its_own() -> None:
    vine, htex, threads = (EXECUTORS[name]() for name in ("vine", "htex", "threads"))
    assert [executor.label for executor in (vine, htex, threads)] == list(EXECUTORS)
    assert (vine.factory_config.cores, htex.max_workers_per_node, threads.max_threads) == (SLOTS,) * 3
    assert htex.encrypted
