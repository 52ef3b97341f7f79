"""Function hosts, ended after each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.function_host.running import RunningHost


@pytest.fixture
def host(tmp_path: Path) -> Iterator[RunningHost]:
    running = RunningHost(tmp_path)
    yield running
    running.process.kill()
    running.process.wait()
    running.channel.close()


@pytest.fixture
def forking(tmp_path: Path) -> Iterator[RunningHost]:
    running = RunningHost(tmp_path, fork=True)
    yield running
    running.process.kill()
    running.process.wait()
    running.channel.close()
