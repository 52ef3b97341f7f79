"""Do the workers of blocks start as they should, and is it known which have come and which can go?"""

from __future__ import annotations

import json
import shlex
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from vine.manager import schema
from vine.manager.journal import file_name
from vine.parsl.blocks import Blocks, launch_command
from vine.parsl.config import FactoryConfig
from vine_worker.main import parse


def test_the_command_is_one_that_workers_understand() -> None:
    config = FactoryConfig(
        cores=4, memory=1000, features=("a100",), workspace="/scr atch", worker_options="--wall-time 9"
    )
    variable, program, *arguments = shlex.split(launch_command("7", "/run/connection.json", config))
    assert (variable, program) == ("PARSL_WORKER_BLOCK_ID=7", "vine-worker")
    settings = parse(arguments)
    assert settings.worker_id.startswith("block-7-")
    assert (settings.connection, settings.workspace) == (Path("/run/connection.json"), Path("/scr atch"))
    assert (settings.cores, settings.memory_mb, settings.features) == (4.0, 1000.0, ("a100",))
    assert settings.wall_time_s == 9.0
    assert settings.idle_timeout_s is None, "who scales blocks ends their workers, and nobody else"


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    return tmp_path


def told(run_directory: Path, joined: Sequence[str], load: dict[str, tuple[int, int]]) -> Blocks:
    """The blocks of a run whose journal has these workers, of which some are there with so many apps."""
    with sqlite3.connect(run_directory / file_name) as journal:
        journal.execute(f"PRAGMA user_version = {schema.version}")
        journal.execute("CREATE TABLE workers (worker_id TEXT)")
        journal.execute("CREATE TABLE statistics (row INTEGER PRIMARY KEY, at_s REAL, snapshot TEXT)")
        journal.executemany("INSERT INTO workers VALUES (?)", [(name,) for name in joined])
        workers = [{"id": name, "running": running, "staged": staged} for name, (running, staged) in load.items()]
        journal.execute("INSERT INTO statistics VALUES (1, 0.0, ?)", (json.dumps({"workers": workers}),))
    journal.close()
    return Blocks(run_directory)


def test_a_block_has_joined_when_one_of_its_workers_has(run_directory: Path) -> None:
    blocks = told(run_directory, ["block-1-node3-77-ab", "block-1-node4-78-cd", "other"], {})
    assert blocks.joined(["0", "1", "11"]) == {"1"}


def test_those_with_least_to_do_go_first(run_directory: Path) -> None:
    load = {"block-0-a": (2, 0), "block-1-a": (0, 0), "block-1-b": (0, 3), "block-10-a": (1, 0)}
    assert told(run_directory, [], load).by_load(["0", "1", "10", "2"]) == ["2", "10", "0", "1"]


def test_without_news_of_the_run_they_go_as_they_came(run_directory: Path) -> None:
    assert Blocks(run_directory).by_load(["0", "1"]) == ["0", "1"]
