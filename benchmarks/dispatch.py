"""How fast do tasks go out and results come back: calls a second, the latency of one, commands and forks a second."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import vine
from benchmarks.figures import Figure, show
from vine.errors import ExitCode, VineError
from vine_function_host import frames

SLOTS = 2
_READY_S = 60.0  # The most that a worker on this machine may take to come.
_RESULT_S = 120.0  # The most that a round may wait for one more result before it is called lost.


@dataclass(frozen=True, slots=True)
class Bench:
    """A manager with one local worker of two slots, ready."""

    manager: vine.Manager
    executor: vine.Executor


@contextmanager
def bench() -> Iterator[Bench]:
    with (
        tempfile.TemporaryDirectory(prefix="vine-dispatch-") as folder,
        vine.Manager(run_info_path=folder) as manager,
        vine.Executor(manager, min_workers=1, max_workers=1, cores=SLOTS) as executor,
    ):
        manager.wait_for_workers(1, timeout=_READY_S)
        yield Bench(manager, executor.options(cores=1))


def inc(x: int) -> int:
    return x + 1


def calls(at: Bench, rounds: int, count: int) -> list[Figure]:
    """Calls of a tiny function on warm hosts, submitted one by one."""

    def once(count: int) -> float:
        start_s = time.perf_counter()
        futures = [at.executor.submit(inc, x) for x in range(count)]
        wait(futures, timeout=_RESULT_S)
        seconds = time.perf_counter() - start_s
        assert [future.result(timeout=0) for future in futures] == list(range(1, count + 1)), "wrong results"
        return seconds

    once(count=200)  # Both hosts are started and have the function.
    rates = [count / once(count) for _ in range(rounds)]
    return [Figure("calls_per_s", statistics.median(rates), "1/s", {"calls": count, "slots": SLOTS, "rounds": rounds})]


def latency(at: Bench, rounds: int, count: int) -> list[Figure]:
    """A lone call, from its submission until its result is in the caller's hands."""

    def once() -> float:
        start_s = time.perf_counter()
        result = at.executor.submit(inc, 1).result(timeout=_RESULT_S)
        seconds = time.perf_counter() - start_s
        assert result == 2, "wrong result"
        return seconds * 1e3

    for _ in range(20):
        once()
    series = [sorted(once() for _ in range(count)) for _ in range(rounds)]
    params = {"calls": count, "rounds": rounds}
    return [
        Figure("latency_ms_median", statistics.median(s[len(s) // 2] for s in series), "ms", params),
        Figure("latency_ms_p99", statistics.median(s[len(s) * 99 // 100] for s in series), "ms", params),
    ]


def commands(at: Bench, rounds: int, count: int) -> list[Figure]:
    """The command `true`, each in a sandbox of its own; beside it, the same started by hand, in turns."""

    def ours(count: int) -> float:
        start_s = time.perf_counter()
        for _ in range(count):
            task = vine.Task("true")
            task.set_cores(1)
            at.manager.submit(task)
        for _ in range(count):
            ended = at.manager.wait(timeout=_RESULT_S)
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


def isolated(at: Bench, rounds: int, count: int) -> list[Figure]:
    """Calls with a fork each; beside them, in turns, bare forks of an interpreter that has loaded the same."""
    executor = at.executor.options(isolation="fork")

    def ours(count: int) -> float:
        start_s = time.perf_counter()
        futures = [executor.submit(inc, x) for x in range(count)]
        wait(futures, timeout=_RESULT_S)
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


_BENCHMARKS: dict[str, tuple[Callable[[Bench, int, int], list[Figure]], int]] = {
    "calls": (calls, 10_000),
    "latency": (latency, 500),
    "commands": (commands, 1_000),
    "isolated": (isolated, 1_000),
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dispatch", description=__doc__)
    parser.add_argument("benchmarks", nargs="+", choices=_BENCHMARKS, metavar="|".join(_BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="one line of JSON a figure")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median is taken (default 3)")
    options = parser.parse_args(arguments)
    try:
        with bench() as at:
            figures = []
            for name in options.benchmarks:
                measure, count = _BENCHMARKS[name]
                figures += measure(at, options.rounds, count)
    except (VineError, TimeoutError) as error:
        print(f"dispatch: {error}", file=sys.stderr)
        return getattr(error, "exit_code", ExitCode.FAILED)
    show(figures, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
