"""What becomes of a body that starts processes without end, and of its neighbours?"""

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

MOST = 20  # processes of a body, in these tests


def start_many() -> None:
    import subprocess

    for _ in range(MOST // 2 + 1):
        subprocess.Popen(["sleep", "4321"], start_new_session=True)
        last = subprocess.Popen(["sleep", "4321"])
    last.wait()


def forking_command(manager: ScriptedManager, worker: WorkerId) -> Assignment:
    command = f"for i in $(seq {MOST // 2 + 1}); do setsid sleep 4321 & sleep 4321 & done; wait"
    return manager.assignment(TaskKind.COMMAND, command=command, label="bomb")


def forking_call(manager: ScriptedManager, worker: WorkerId) -> Assignment:
    return manager.assignment(TaskKind.CALL, function=manager.function(worker, start_many), label="bomb")


@pytest.mark.parametrize("forking", [forking_command, forking_call])
def test_who_starts_too_many_processes_is_killed_with_all_of_them_and_its_neighbour_goes_on(
    manager: ScriptedManager, tmp_path: Path, forking: Callable[[ScriptedManager, WorkerId], Assignment]
) -> None:
    # given
    manager.start_worker(limits={"processes_max": MOST})
    worker = manager.joined()
    gate = tmp_path / "gate"
    neighbour = manager.assignment(TaskKind.COMMAND, command=f"until [ -e {gate} ]; do sleep 0.05; done; echo fine")
    # when
    bomb = forking(manager, worker)
    manager.say(worker, RunAttempts((neighbour, bomb)))
    (ended,) = manager.results_of(bomb)
    gate.touch()
    # then
    assert ended.outcome is Outcome.PROCESS_LIMIT
    assert ended.message.startswith("bomb: had ") and f"the limit is {MOST}" in ended.message
    assert manager.results_of(neighbour)[0].stdout == b"fine\n"
    manager.until(lambda: not sleepers())
