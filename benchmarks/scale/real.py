"""How close do many real workers come to the time that their calls must take?"""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import wait

import vine
from benchmarks.figures import Figure

WORKERS, CALLS, CALL_S = 64, 2048, 0.25
_READY_S = 300.0  # The most that so many workers may take to come, on a machine of two cores.


def figures(rounds: int) -> list[Figure]:
    """One-slot workers, all connected, and calls that sleep: the first round also starts each worker's interpreter."""
    with (
        tempfile.TemporaryDirectory(prefix="vine-scale-") as folder,
        vine.Manager(run_info_path=folder) as manager,
        vine.Executor(manager, min_workers=WORKERS, max_workers=WORKERS, cores=1) as executor,
    ):
        start_s = time.perf_counter()
        manager.wait_for_workers(WORKERS, timeout=_READY_S)
        print(f"scale: {WORKERS} workers after {time.perf_counter() - start_s:.1f} s", file=sys.stderr, flush=True)
        seconds = [round_s(executor, number) for number in range(rounds + 1)]
    ideal_s = CALLS * CALL_S / WORKERS
    params = {"workers": WORKERS, "calls": CALLS, "call_s": CALL_S}
    return [
        Figure("many_workers_of_ideal_first", ideal_s / seconds[0], "", {**params, "interpreters": "started within"}),
        Figure("many_workers_of_ideal", ideal_s / sorted(seconds[1:])[rounds // 2], "", {**params, "rounds": rounds}),
    ]


def round_s(executor: vine.Executor, number: int) -> float:
    start_s = time.perf_counter()
    futures = [executor.submit(time.sleep, CALL_S) for _ in range(CALLS)]
    wait(futures, timeout=10 * CALLS * CALL_S / WORKERS)
    seconds = time.perf_counter() - start_s
    assert all(future.result(timeout=0) is None for future in futures), "a call has failed"
    print(f"scale: round {number}: {seconds:.2f} s", file=sys.stderr, flush=True)
    return seconds
