"""How many commands run in a second, against the same started by hand?"""

from __future__ import annotations

import os
import statistics
import time
from collections import deque

import vine
from benchmarks.dispatch.bench import RESULT_S, SLOTS, Bench
from benchmarks.figures import Figure


def commands(at: Bench, rounds: int, count: int) -> list[Figure]:
    """The command `true`, each in a sandbox of its own; beside it, the same started by hand, in turns."""

    def ours(count: int) -> float:
        start_s = time.perf_counter()
        for _ in range(count):
            task = vine.Task("true")
            task.set_cores(1)
            at.manager.submit(task)
        for _ in range(count):
            ended = at.manager.wait(timeout=RESULT_S)
            assert ended is not None and ended.successful() and ended.exit_code == 0, "a command failed"
        return time.perf_counter() - start_s

    ours(count=20)
    pairs = [(spawn_and_wait(count), ours(count)) for _ in range(rounds)]
    params = {"commands": count, "slots": SLOTS, "rounds": rounds}
    return [
        Figure("commands_per_s", statistics.median(count / own for _, own in pairs), "1/s", params),
        Figure("fork_exec_per_s", statistics.median(count / bare for bare, _ in pairs), "1/s", params),
        Figure("commands_of_fork_exec", statistics.median(bare / own for bare, own in pairs), "", params),
    ]


def spawn_and_wait(count: int) -> float:
    """Seconds for starting `true` so often by hand, as many at once as there are slots."""
    running: deque[int] = deque()
    start_s = time.perf_counter()
    for _ in range(count):
        if len(running) == SLOTS:
            os.waitpid(running.popleft(), 0)
        running.append(os.posix_spawnp("true", ["true"], os.environ))
    while running:
        os.waitpid(running.popleft(), 0)
    return time.perf_counter() - start_s
