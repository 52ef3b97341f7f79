from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.views.journaled import JournaledWorld
from vine.errors import UsageError
from vine.views.reading import open_run
from vine.views.trace import Written, write_trace


@pytest.fixture
def world(tmp_path: Path) -> JournaledWorld:
    """Three tasks of a second on two workers, with an input that both had to get; one result came to the manager."""
    world = JournaledWorld(tmp_path / "run")
    for name in ("w1", "w2"):
        world.join(name)
    file_id = world.local_file(label="/data/big")
    for number in range(3):
        world.submit(inputs=(file_id,), label=f"fit {number}")
    world.large_values = True
    world.now += 5
    world.settle()
    return world


def traced(world: JournaledWorld, out: Path) -> list[dict[str, Any]]:
    with open_run(world.save()) as run:
        write_trace(run, out)
    events: list[dict[str, Any]] = json.loads(out.read_text())["traceEvents"]
    return events


def test_a_trace_holds_every_attempt_on_a_slot_of_its_worker_and_every_transfer(
    world: JournaledWorld, tmp_path: Path
) -> None:
    events = traced(world, tmp_path / "t.json")
    names = {(e["pid"], e["name"]): e["args"]["name"] for e in events if e["ph"] == "M" and e["tid"] == 0}
    nodes = {pid: name for (pid, what), name in names.items() if what == "process_name"}
    attempts = [e for e in events if e.get("cat") == "attempt"]
    assert sorted(e["name"] for e in attempts) == ["fit 0", "fit 1", "fit 2"]
    assert {nodes[e["pid"]] for e in attempts} <= {"w1", "w2"}
    assert {e["dur"] for e in attempts} == {1_000_000} and {e["args"]["outcome"] for e in attempts} == {"success"}
    transfers = [(e["name"], nodes[e["pid"]]) for e in events if e.get("cat") == "transfer"]
    assert transfers.count(("/data/big", "w1")) == 1
    assert [name for name, node in transfers if node == "manager"]  # the results
    assert [nodes[e["pid"]] for e in events if e.get("cat") == "worker"] == ["w1", "w2"]
    assert [e["args"]["done"] for e in events if e["ph"] == "C"] == [3]


def test_what_is_on_one_track_never_overlaps_and_every_track_has_a_name(world: JournaledWorld, tmp_path: Path) -> None:
    events = traced(world, tmp_path / "t.json")
    tracks: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            tracks[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    for times in tracks.values():
        assert all(later >= end for (_, end), (later, _) in pairwise(times))
    named = {(e["pid"], e["tid"]) for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    assert tracks.keys() <= named


def test_a_run_of_which_nothing_is_known_yet_has_a_trace(tmp_path: Path) -> None:
    with open_run(JournaledWorld(tmp_path / "run").save()) as run:
        assert write_trace(run, tmp_path / "t.json") == Written(0, 0)
    json.loads((tmp_path / "t.json").read_text())


def test_a_trace_that_cannot_be_written_leaves_what_was_there(world: JournaledWorld, tmp_path: Path) -> None:
    with open_run(world.save()) as run, pytest.raises(UsageError, match=r"cannot be written .*name another file"):
        write_trace(run, tmp_path / "nowhere" / "t.json")
    assert not list(tmp_path.glob("**/*.new"))
