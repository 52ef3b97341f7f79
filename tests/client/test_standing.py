"""Is a program that asks for what its run has not told with what it has?"""

from __future__ import annotations

from pathlib import Path

import pytest

from vine import errors
from vine.client.standing import Standing
from vine.wire.messages import RunState


class Told(Standing):
    """Of a run with one worker."""

    def __init__(self) -> None:
        self.name, self.port, self.run_directory = "run", 9123, Path("/run")
        self.state = RunState(1, 2.0, {"running": 1}, 10, 20)
        self._session = self  # type: ignore[assignment]


def test_figures_come_with_where_the_run_lies() -> None:
    told = Told()
    assert told.status("manager") == [told.status()]
    assert (told.status()["cores"], told.status()["port"]) == (2.0, 9123)
    assert told.stats.tasks_running == 1


def test_any_other_word_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(errors.UsageError, match="'files': ask for one of 'manager', 'workers', 'tasks', 'categories'"):
        Told().status("files")
