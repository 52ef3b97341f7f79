"""A batch system's commands that answer what a test says, and run nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from vine_factory.launchers import commands
from vine_factory.launchers.interface import LaunchFailed


class Commands:
    def __init__(self) -> None:
        self.answers: dict[str, str] = {}  # by the command's name
        self.asked: list[list[str]] = []
        self.failing: dict[str, str] = {}  # what it says, by an argument without which it would not fail

    def run(self, command: Sequence[str]) -> str:
        self.asked.append(list(command))
        for argument in command:
            if argument in self.failing:
                raise LaunchFailed(f"{command[0]} failed: {self.failing[argument]}")
        return self.answers.get(command[0], "")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Commands:
    stand_in = Commands()
    monkeypatch.setattr(commands, "run", stand_in.run)
    return stand_in
