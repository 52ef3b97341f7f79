"""How many calls with a fork each go through in a second, against bare forks?"""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from benchmarks.dispatch.bench import SLOTS, Bench, against, inc, seconds_of
from benchmarks.figures import Figure
from vine_function_host import frames


def isolated(at: Bench, rounds: int, count: int) -> list[Figure]:
    """Calls with a fork each; beside them, in turns, bare forks of an interpreter that has loaded the same."""
    submit = partial(at.executor.options(isolation="fork").submit, inc)
    seconds_of(submit, 20)
    pairs = [(fork_and_wait(count), seconds_of(submit, count)) for _ in range(rounds)]
    names = ("isolated_per_s", "fork_per_s", "isolated_of_fork")
    return against(names, pairs, count, {"calls": count, "slots": SLOTS, "rounds": rounds})


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
