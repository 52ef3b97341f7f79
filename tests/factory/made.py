"""Fleets, demands and actions of factories, as their tests say them in few words."""

from __future__ import annotations

import shlex
import sys
import tarfile
from pathlib import Path
from typing import Any

from vine.factory_options import options_of
from vine.names import RunId, WorkerId
from vine.wire.messages import FleetDemand
from vine.wire.parts import Request, Resources, WorkDemand
from vine_factory.launchers.choice import size_of_workers
from vine_factory.policy import Action, Cancel, Drain, FleetLimits, FleetPolicy, Launch
from vine_factory.script import WorkerPlan

SIZE = Resources(cores=4, memory_mb=8_000, disk_mb=10_000)
ONE_CORE = Request(cores=1)
WHOLE = Request(cores=4)
IDLE_TIMEOUT_S = 60.0
LIMITS = FleetLimits(0, 10, SIZE, IDLE_TIMEOUT_S)


def policy(minimum: int = 0, maximum: int = 10, **limits: Any) -> FleetPolicy:
    """One whose batch system has nothing of ours: its minimum is launched at time 0."""
    fleet = FleetPolicy(FleetLimits(minimum, maximum, SIZE, IDLE_TIMEOUT_S, **limits), "local")
    fleet.listed({}, 0.0)
    return fleet


def names(*numbers: int) -> tuple[WorkerId, ...]:
    return tuple(WorkerId(f"local-{number}") for number in numbers)


def work(waiting: int = 0, running: int = 0, *, connected: str = "", idle: str = "", draining: str = "") -> FleetDemand:
    """A demand of so many one-worker tasks, and the workers as their numbers: "12" for local-1 and local-2."""
    return FleetDemand(
        waiting=(WorkDemand(WHOLE, waiting),),
        running=(WorkDemand(WHOLE, running),),
        connected=names(*map(int, connected)),
        idle=names(*map(int, idle)),
        draining=names(*map(int, draining)),
    )


def launched(*numbers: int) -> list[Action]:
    return [Launch(names(*numbers))]


def drained(*numbers: int) -> list[Action]:
    return [Drain(name) for name in names(*numbers)]


def cancelled(*numbers: int, reason: str) -> list[Action]:
    return [Cancel(names(*numbers), reason)]


def plan_in(folder: Path, worker: str = "", **options: Any) -> WorkerPlan:
    """Of a run called "run" and a factory "local", whose workers run this Python code in place of ours."""
    (folder / "connection.json").touch()
    code, stand_in = folder / "stand-in.py", folder / "stand-in"
    code.write_text(worker)
    stand_in.write_text(f'#!/bin/bash\nexec {shlex.quote(sys.executable)} {shlex.quote(str(code))} "$@"\n')
    stand_in.chmod(0o755)
    known = options_of({name.replace("_", "-"): value for name, value in options.items()})
    return WorkerPlan(
        run_id=RunId("run"),
        factory="local",
        connection=folder / "connection.json",
        size=size_of_workers(known),
        options=known,
        scratch=folder / "scratch",
        python=str(stand_in),
    )


def packed(folder: Path, python: str) -> Path:
    """An environment as conda-pack makes them, with this as its interpreter."""
    (folder / "packed" / "bin").mkdir(parents=True)
    for name, text in (("python", python), ("conda-unpack", "")):
        (folder / "packed" / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / "packed" / "bin" / name).chmod(0o755)
    archive = folder / "environment.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder / "packed", ".")
    return archive
