"""How long does a program wait for its first result: manager, factory, one worker and its host start meanwhile?"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile

from benchmarks.dispatch.bench import RESULT_S, SLOTS
from benchmarks.figures import Figure

# As a user writes it: the function is the script's own, so it travels by dill.
PROGRAM = f"""
import time
import vine
from vine import Executor

def inc(x):
    return x + 1

start_s = time.perf_counter()
executor = Executor(cores={SLOTS})
assert executor.submit(inc, 1).result({RESULT_S}) == 2, "wrong result"
print(time.perf_counter() - start_s)
executor.shutdown()
"""


def startup(rounds: int) -> list[Figure]:
    """From a program's first line after its imports to its first result; each time a program and a run of its own."""
    seconds = [run_once() for _ in range(rounds)]
    return [Figure("startup_s", statistics.median(seconds), "s", {"slots": SLOTS, "rounds": rounds})]


def run_once() -> float:
    with tempfile.TemporaryDirectory(prefix="vine-startup-") as folder:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], cwd=folder, stdout=subprocess.PIPE, text=True, check=True, timeout=RESULT_S
        )
    return float(done.stdout)
