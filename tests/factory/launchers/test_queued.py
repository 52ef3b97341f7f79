"""Does a launcher that says only how its batch system speaks do the rest by what is common?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.factory.launchers.conftest import Commands
from tests.factory.made import plan_in
from vine import config
from vine.names import WorkerId
from vine_factory.fleet import JobState
from vine_factory.launchers import commands
from vine_factory.launchers.interface import LaunchFailed
from vine_factory.launchers.queued import QueuedLauncher

THREE = [WorkerId(f"local-1-{number}") for number in (4, 5, 6)]


class MyLauncher(QueuedLauncher):
    removal = ("mydel", "-f")

    def prepare(self, worker_ids: Sequence[WorkerId]) -> list[str]:
        return ["mysub", *worker_ids]

    def query(self) -> dict[WorkerId, JobState]:
        return dict.fromkeys(map(WorkerId, commands.run(["mystat"]).split()), JobState.RUNNING)

    def submitted_as(self, answer: str) -> str:
        return answer.split()[-1]

    def element(self, job: str, index: int) -> str:
        return f"{job}[{index}]"


@pytest.fixture
def launcher(tmp_path: Path, asked: Commands, monkeypatch: pytest.MonkeyPatch) -> MyLauncher:
    """Its job 9 has three elements; two may be named on a command line."""
    monkeypatch.setattr(config, "batch_jobs_a_command", 2)
    launcher = MyLauncher(plan_in(tmp_path))
    asked.answers["mysub"] = "it is job 9\n"
    launcher.submit(THREE)
    return launcher


def test_what_was_submitted_can_be_cancelled_by_its_elements(launcher: MyLauncher, asked: Commands) -> None:
    launcher.cancel([*THREE, WorkerId("unknown")])
    assert asked.asked == [["mysub", *THREE], ["mydel", "-f", "9[0]", "9[1]"], ["mydel", "-f", "9[2]"]]


def test_a_job_that_has_just_ended_keeps_no_other_from_being_cancelled(launcher: MyLauncher, asked: Commands) -> None:
    asked.failing["9[0]"] = "job 9[0] not found"
    launcher.cancel(THREE)
    assert asked.asked[2:] == [["mydel", "-f", "9[2]"], ["mystat"]]
    # and one that is still there was not ended
    asked.answers["mystat"] = THREE[1]
    with pytest.raises(LaunchFailed, match="not found"):
        launcher.cancel(THREE)


def test_an_answer_without_a_job_is_told_in_its_own_words(tmp_path: Path, asked: Commands) -> None:
    asked.answers["mysub"] = "come back tomorrow\n"
    with pytest.raises(LaunchFailed, match="mysub said 'come back tomorrow', which is no job"):
        MyLauncher(plan_in(tmp_path)).submit(THREE)
