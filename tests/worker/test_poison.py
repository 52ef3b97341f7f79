"""What becomes of bodies that start processes, or print, without end, and of their neighbours?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.worker.manager import ScriptedManager
from tests.worker.test_worker import sleepers
from vine.names import WorkerId
from vine.wire.parts import Assignment, Outcome, TaskKind
from vine.wire.worker_messages import RunAttempts

pytestmark = pytest.mark.live

MOST = {"processes_max": 20, "printed_bytes_max": 1 << 20}  # for one body, in these tests
Poison = Callable[[ScriptedManager, WorkerId], Assignment]


def fork() -> None:
    import subprocess

    for _ in range(11):
        subprocess.Popen(["sleep", "4321"], start_new_session=True)
        last = subprocess.Popen(["sleep", "4321"])
    last.wait()


def say() -> None:
    while True:
        print("more " * 100)


def forking_command(manager: ScriptedManager, worker: WorkerId) -> Assignment:
    command = "for i in $(seq 11); do setsid sleep 4321 & sleep 4321 & done; wait"
    return manager.assignment(TaskKind.COMMAND, command=command, label="poison")


def forking_call(manager: ScriptedManager, worker: WorkerId) -> Assignment:
    return manager.assignment(TaskKind.CALL, function=manager.function(worker, fork), label="poison")


def printing_command(manager: ScriptedManager, worker: WorkerId) -> Assignment:
    return manager.assignment(TaskKind.COMMAND, command="yes", label="poison")


def printing_call(manager: ScriptedManager, worker: WorkerId) -> Assignment:
    return manager.assignment(TaskKind.CALL, function=manager.function(worker, say), label="poison")


@pytest.mark.parametrize(
    ("poison", "outcome", "words"),
    [
        (forking_command, Outcome.PROCESS_LIMIT, "processes at once, and the limit is 20"),
        (forking_call, Outcome.PROCESS_LIMIT, "processes at once, and the limit is 20"),
        (printing_command, Outcome.OUTPUT_LIMIT, "and the limit is 1 MB"),
        (printing_call, Outcome.OUTPUT_LIMIT, "and the limit is 1 MB"),
    ],
)
def test_who_takes_more_than_any_may_is_killed_with_all_it_has_started_and_its_neighbour_goes_on(
    manager: ScriptedManager, tmp_path: Path, poison: Poison, outcome: Outcome, words: str
) -> None:
    # given
    manager.start_worker(limits=MOST)
    worker = manager.joined()
    gate = tmp_path / "gate"
    neighbour = manager.assignment(TaskKind.COMMAND, command=f"until [ -e {gate} ]; do sleep 0.05; done; echo fine")
    # when
    poisoned = poison(manager, worker)
    manager.say(worker, RunAttempts((neighbour, poisoned)))
    (ended,) = manager.results_of(poisoned)
    gate.touch()
    # then
    assert ended.outcome is outcome
    assert ended.message.startswith("poison: ") and words in ended.message
    assert manager.results_of(neighbour)[0].stdout == b"fine\n"
    manager.until(lambda: not sleepers())


def test_what_a_failed_command_has_printed_is_among_the_runs_logs(manager: ScriptedManager, worker: WorkerId) -> None:
    ended = manager.command(worker, "yes | head -c 1000000; exit 3")
    assert ended.spilled is not None and ended.spilled in ended.message
    assert Path(ended.spilled).parent == manager.folder / "run" / "logs"
    assert (Path(ended.spilled) / "stdout").stat().st_size == 1_000_000


def test_a_call_that_prints_without_end_is_known_though_its_log_is_kept_short(manager: ScriptedManager) -> None:
    manager.start_worker(limits=MOST | {"host_log_bytes_max": 64 << 10})
    worker = manager.joined()
    poisoned = printing_call(manager, worker)
    manager.say(worker, RunAttempts((poisoned,)))
    (ended,) = manager.results_of(poisoned)
    assert ended.outcome is Outcome.OUTPUT_LIMIT
    logs = manager.folder / "run" / "logs"
    manager.until(lambda: any(path.stat().st_size <= 64 << 10 for path in logs.glob("*.host-*.log.1")))
    manager.until(lambda: all(path.stat().st_size <= 64 << 10 for path in logs.glob("*.host-*.log")))
