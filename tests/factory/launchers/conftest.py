"""A batch system's commands that answer what a test says, and run nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from vine_factory.launchers import commands


class Commands:
    def __init__(self) -> None:
        self.answers: dict[str, str] = {}  # by the command's name
        self.asked: list[list[str]] = []

    def run(self, command: Sequence[str]) -> str:
        self.asked.append(list(command))
        return self.answers.get(command[0], "")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Commands:
    stand_in = Commands()
    monkeypatch.setattr(commands, "run", stand_in.run)
    return stand_in
