"""How many calls with a fork each go through in a second, against bare forks?"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from concurrent.futures import wait
from pathlib import Path

from benchmarks.dispatch.bench import RESULT_S, SLOTS, Bench, inc
from benchmarks.figures import Figure
from vine_function_host import frames


def isolated(at: Bench, rounds: int, count: int) -> list[Figure]:
    """Calls with a fork each; beside them, in turns, bare forks of an interpreter that has loaded the same."""
    executor = at.executor.options(isolation="fork")

    def ours(count: int) -> float:
        start_s = time.perf_counter()
        futures = [executor.submit(inc, x) for x in range(count)]
        wait(futures, timeout=RESULT_S)
        seconds = time.perf_counter() - start_s
        assert [future.result(timeout=0) for future in futures] == list(range(1, count + 1)), "wrong results"
        return seconds

    ours(count=20)
    pairs = [(fork_and_wait(count), ours(count)) for _ in range(rounds)]
    params = {"calls": count, "slots": SLOTS, "rounds": rounds}
    return [
        Figure("isolated_per_s", statistics.median(count / own for _, own in pairs), "1/s", params),
        Figure("fork_per_s", statistics.median(count / bare for bare, _ in pairs), "1/s", params),
        Figure("isolated_of_fork", statistics.median(bare / own for bare, own in pairs), "", params),
    ]


# What a function host has loaded when it forks; then forks, when it is told how many.
_FORKER = """
import os, sys
sys.path.insert(0, sys.argv[1])
from vine_function_host import channel, host, serialiser
serialiser.Serialiser(None).dill()
import gc; gc.freeze()
print("ready", flush=True)
for _ in range(int(sys.stdin.readline())):
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
print("done", flush=True)
"""


def fork_and_wait(count: int) -> float:
    """Seconds for so many bare forks, shared out to as many interpreters as there are slots."""
    arguments = [sys.executable, "-c", _FORKER, str(Path(frames.__file__).parent.parent)]
    forkers = [
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(SLOTS)
    ]
    for forker in forkers:
        assert forker.stdout is not None and forker.stdout.readline() == "ready\n", "no interpreter to fork"
    start_s = time.perf_counter()
    for forker in forkers:
        assert forker.stdin is not None
        forker.stdin.write(f"{count // SLOTS}\n")
        forker.stdin.flush()
    for forker in forkers:
        assert forker.stdout is not None and forker.stdout.readline() == "done\n", "forks failed"
    seconds = time.perf_counter() - start_s
    for forker in forkers:
        forker.communicate()
    return seconds
