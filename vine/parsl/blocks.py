"""How do the blocks of one of Parsl's providers start workers, which of them have joined, and which can go?"""

from __future__ import annotations

import os
import shlex
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vine import errors
from vine.parsl.config import FactoryConfig
from vine.views.reading import open_run

_ID_START = "block-{}-"  # of the workers of one block


def launch_command(block_id: str, connection_file: str, config: FactoryConfig, brought: bool = False) -> str:
    """What a job of the block runs on each of its nodes; `brought` is a connection file that is in the job's folder."""
    first = ""
    if brought:
        connection_file = os.path.basename(connection_file)
        first = f"chmod 600 {connection_file} && "  # Keys that others can read are refused.
    words = ["--connection", connection_file, "--worker-id-start", _ID_START.format(block_id)]
    sizes = {"--cores": config.cores, "--memory": config.memory, "--disk": config.disk, "--gpus": config.gpus}
    for name, size in sizes.items():
        words += [] if size is None else [name, f"{size:g}"]
    words += ["--workspace", str(config.workspace)] if config.workspace is not None else []
    for feature in config.features:
        words += ["--feature", feature]
    options = f" {config.worker_options}" if config.worker_options else ""
    return f"{first}PARSL_WORKER_BLOCK_ID={block_id} {config.worker_executable} {shlex.join(words)}{options}"


class Blocks:
    """What the run's journal says of the workers of blocks."""

    def __init__(self, run_directory: Path) -> None:
        self._run_directory = run_directory

    def joined(self, block_ids: Iterable[str]) -> set[str]:
        """Those of which a worker has ever joined the run."""
        with open_run(self._run_directory) as run:
            names = [name for (name,) in run.connection.execute("SELECT DISTINCT worker_id FROM workers")]
        return {block for block in block_ids if any(name.startswith(_ID_START.format(block)) for name in names)}

    def by_load(self, block_ids: Iterable[str]) -> list[str]:
        """The blocks, those first whose workers have fewest apps; those that have no workers yet before all."""
        load = self._load()
        return sorted(block_ids, key=lambda block: _load_of(block, load))

    def _load(self) -> dict[str, int]:
        """The apps that each worker has: as of a second ago, since the manager tells that often."""
        try:
            with open_run(self._run_directory) as run:
                told = run.snapshot()
        except (errors.VineError, sqlite3.Error):
            return {}
        workers: list[dict[str, Any]] = told[1]["workers"] if told is not None else []
        return {worker["id"]: worker["running"] + worker["staged"] for worker in workers}


def _load_of(block: str, load: dict[str, int]) -> int:
    return sum(apps for name, apps in load.items() if name.startswith(_ID_START.format(block)))
