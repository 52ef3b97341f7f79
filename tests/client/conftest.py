"""A client of a scripted manager, for the tests that need the whole way to the socket and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.scripted import ScriptedManager
from tests.client.staged import FakeSession
from vine.client.executor import Executor
from vine.client.manager import Manager
from vine.client.stager import Stager


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


@pytest.fixture
def session() -> Any:
    return FakeSession()


@pytest.fixture
def stager(session: Any, tmp_path: Path) -> Stager:
    return Stager(session, str(tmp_path))
