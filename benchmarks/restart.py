"""How soon is a manager ready that was killed with many calls queued, and is anything lost or done twice?"""

from __future__ import annotations

import argparse
import concurrent.futures
import operator
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import vine
from benchmarks.figures import Figure, show
from vine.manager.journal import file_name

_LIMIT_S = 120.0  # A run that takes longer is lost.


@contextmanager
def _program(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    program = subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        yield program
    finally:
        program.terminate()
        program.wait()
        if program.stdout is not None:
            program.stdout.close()


def _ready(program: subprocess.Popen[str]) -> None:
    assert program.stdout is not None
    line = program.stdout.readline()
    assert line.startswith("ready "), f"the manager said {line!r}"


def measure(tasks: int) -> list[Figure]:
    """From the start of the second manager, after kill -9 of the first, until it is ready; and what became of all."""
    with tempfile.TemporaryDirectory(prefix="vine-restart-") as name:
        run_dir = Path(name) / "run"
        start = ("vine.manager.main", "--run-dir", str(run_dir))
        with _program(*start) as first:
            _ready(first)
            with vine.Manager(connection=run_dir) as manager, vine.Executor(manager) as executor:
                futures = [executor.submit(operator.add, number, 1) for number in range(tasks)]
                _await(lambda: _written(run_dir) == tasks, "all calls are in the journal")
                first.send_signal(signal.SIGKILL)
                first.wait()
                began_s = time.perf_counter()
                with _program(*start) as second:
                    _ready(second)
                    ready_s = time.perf_counter() - began_s
                    workspace = str(Path(name) / "workspace")
                    with _program("vine_worker.main", "--connection", str(run_dir), "--workspace", workspace):
                        lost, wrong = _lost_and_wrong(futures)
                        _await(lambda: _succeeded(run_dir) >= tasks, "all ends are in the journal")
                        again = _succeeded(run_dir) - tasks
    params = {"tasks": tasks}
    return [
        Figure("restart_s", ready_s, "s", params),
        Figure("restart_tasks_lost", lost, "tasks", params),
        Figure("restart_wrong_results", wrong, "tasks", params),
        Figure("restart_bodies_again", again, "bodies", params),
    ]


def _lost_and_wrong(futures: Sequence[Future[int]]) -> tuple[int, int]:
    """How many calls have not ended in time, and how many have ended with something else than they should."""
    concurrent.futures.wait(futures, _LIMIT_S)
    found = [future.result() if future.done() else None for future in futures]
    wrong = sum(value is not None and value != number + 1 for number, value in enumerate(found))
    return found.count(None), wrong


def _succeeded(run_dir: Path) -> int:
    return _count(run_dir, "SELECT count(*) FROM attempts WHERE outcome = 'success'")


def _written(run_dir: Path) -> int:
    return _count(run_dir, "SELECT count(*) FROM tasks")


def _count(run_dir: Path, question: str) -> int:
    connection = sqlite3.connect(run_dir / file_name)
    try:
        return int(connection.execute(question).fetchone()[0])
    finally:
        connection.close()


def _await(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _LIMIT_S
    while not holds():
        assert time.monotonic() < deadline, f"still not so: {what}"
        time.sleep(0.02)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.restart", description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000, metavar="N", help="calls queued (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="a JSON line for each figure")
    options = parser.parse_args(arguments)
    show(measure(options.tasks), as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
