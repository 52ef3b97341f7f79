"""Peers that are silent, strange or told to end."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scheduler.world import World
from vine import config
from vine.scheduler import actions
from vine.wire import messages as m
from vine.wire.worker_messages import TasksStarted, WorkerBye

ROOT = Path(__file__).resolve().parents[2]


def test_a_silent_worker_is_given_up() -> None:
    world = World(workers=1)
    task = world.submit()
    world.core.heard(world.client, 1000.0)
    world.step(world.core.tick(1000.0))
    assert world.state_of(task) == "ready"
    assert not world.core.state.workers


@pytest.mark.parametrize(
    ("heard_at", "cut_at", "now", "is_given_up"),
    [
        pytest.param(0.9, 1.5, 4.4, False, id="it may come back for a moment"),
        pytest.param(0.9, 1.5, 4.6, True, id="it did not"),
        pytest.param(4.0, None, 4.6, False, id="it has a new connection"),
        pytest.param(4.0, 1.5, 4.6, False, id="it was heard since"),
        pytest.param(0.9, 7.0, 12.0, False, id="the connection was closed for its silence"),
        pytest.param(0.9, 7.0, 16.0, True, id="it was silent for too long"),
    ],
)
def test_a_worker_whose_end_has_closed_its_connection_is_soon_given_up(
    heard_at: float, cut_at: float | None, now: float, is_given_up: bool
) -> None:
    world = World(workers=1)
    task = world.submit()
    (worker,) = world.workers.values()
    world.core.heard(worker.peer, heard_at, cut_at)
    world.step(world.core.tick(now))
    assert (world.state_of(task) == "ready") is is_given_up
    assert (not world.core.state.workers) is is_given_up


def test_where_many_are_cut_off_at_once_each_is_waited_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "worker_cut_off_each_s", 1.0)
    world = World(workers=3)
    for worker in world.workers.values():
        world.core.heard(worker.peer, 0.9, 1.5)
    world.step(world.core.tick(1.5 + 3 + 3 - 0.1))
    assert len(world.core.state.workers) == 3
    world.step(world.core.tick(1.5 + 3 + 3 + 0.1))
    assert not world.core.state.workers


def test_a_strange_message_changes_nothing() -> None:
    world = World(workers=1)
    worker = next(iter(world.workers.values()))
    world.say(m.SubmitTasks(()), worker.peer)
    world.say(TasksStarted(()), world.client)
    world.say(WorkerBye("?"), actions.PeerKey("nobody"))
    assert world.core.state.strange == 3


def test_at_the_end_everybody_is_told() -> None:
    world = World(workers=2)
    world.step(world.core.stop("done", 1.0))
    assert all(worker.ended for worker in world.workers.values())
    assert isinstance(world.done[-1], actions.EndRun)


def digest_of_a_run() -> str:
    """A worker is lost with many files that a client has asked for."""
    world = World(workers=1)
    temps = [world.temp() for _ in range(12)]
    for temp in temps:
        world.submit(outputs=(temp,))
    world.settle()
    for temp in temps:
        world.say(m.BringFile(temp))
    world.lose(next(iter(world.workers)))
    world.join()
    world.settle()
    return hashlib.sha256(repr(world.done).encode()).hexdigest()


def test_a_run_does_not_depend_on_how_strings_are_hashed() -> None:
    program = "from tests.scheduler.test_core import digest_of_a_run as d; print(d())"
    digests = set()
    for hash_seed in ("1", "2", "77"):
        variables = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed}
        there = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True)
        assert there.returncode == 0, there.stderr
        digests.add(there.stdout)
    assert len(digests) == 1
