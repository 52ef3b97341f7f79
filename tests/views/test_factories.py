"""Is it told how the fleets of factories stand, and what trouble they have?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.views.journaled import JournaledWorld
from vine.names import PeerKey, WorkerId
from vine.views.factories import factories
from vine.views.status import main
from vine.wire import messages as m
from vine.wire.parts import Resources


def test_a_run_without_factories_shows_none() -> None:
    assert factories({}) is None


def test_a_fleet_is_shown_with_its_limits_states_and_trouble(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = JournaledWorld(tmp_path / "run")
    world.join("slurm-1-1")
    world.say(m.FactoryHello("slurm", "slurm", 2, 50, Resources(4, 1000, 1000)), PeerKey("factory"))
    trouble = "sbatch failed: invalid partition"
    status = m.FactoryStatus(3, 1, trouble, pending=7, draining=(WorkerId("slurm-1-1"),))
    world.say(status, PeerKey("factory"))
    main([str(world.save())])
    said = capsys.readouterr().out
    [row] = [line for line in said.splitlines() if trouble in line]
    assert row.split()[:8] == ["slurm", "slurm", "2", "to", "50", "7", "3", "1"]
    assert "workers when it ended: 1, 1 blocked or drained" in said
