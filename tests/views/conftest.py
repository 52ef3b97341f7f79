"""What the tests of this room share: a world whose journal views can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.views.journaled import JournaledWorld


@pytest.fixture
def world(tmp_path: Path) -> JournaledWorld:
    return JournaledWorld(tmp_path / "run")
