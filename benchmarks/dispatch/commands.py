"""How many commands run in a second, against the same started by hand?"""

from __future__ import annotations

import os
import time
from collections import deque

import vine
from benchmarks.dispatch.bench import RESULT_S, SLOTS, Bench, against
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
    names = ("commands_per_s", "fork_exec_per_s", "commands_of_fork_exec")
    return against(names, pairs, count, {"commands": count, "slots": SLOTS, "rounds": rounds})


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
