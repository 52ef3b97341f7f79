"""A client of a scripted manager, for the tests that need the whole way to the socket and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.scripted import ScriptedManager
from vine.client.executor import Executor
from vine.client.manager import Manager


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[ScriptedManager]:
    manager = ScriptedManager(tmp_path / "run")
    yield manager
    manager.stop()


@pytest.fixture
def manager(scripted: ScriptedManager) -> Iterator[Manager]:
    with Manager(connection=scripted.connection) as manager:
        yield manager


@pytest.fixture
def executor(manager: Manager) -> Iterator[Executor]:
    with Executor(manager) as executor:
        yield executor
