"""Where does a run live: its directory is made, closed to others, and found again by the name of the latest."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vine.errors import UsageError
from vine.names import RunId
from vine.wire.keys import make_run_dir

if TYPE_CHECKING:
    from vine.manager.main import Options


@dataclass(frozen=True, slots=True)
class RunPlace:
    """Where the run lives and what it is called."""

    run_dir: Path
    staging_dir: Path
    run_id: RunId


def make_place(options: Options) -> RunPlace:
    """Make the run's directory, closed to others."""
    stamp = "-".join(filter(None, (options.name, time.strftime("%Y-%m-%dT%H%M%S"))))
    run_id = RunId(f"{stamp}-{secrets.token_hex(4)}")
    asked = options.run_dir or options.run_info_path
    try:
        if options.run_dir is not None:
            run_dir = options.run_dir.absolute()
            if run_dir.is_dir() and os.listdir(run_dir):  # Before it is closed to others: it may be anything.
                raise UsageError(f"the run directory {run_dir} is not empty: name a new one")
            make_run_dir(run_dir)
        else:
            run_dir = new_folder(options.run_info_path.absolute(), stamp)
        staging_dir = run_dir / "staging"
        staging_dir.mkdir(mode=0o700)
        if options.run_dir is None:
            point_most_recent(run_dir)
    except OSError as error:
        raise UsageError(
            f"{asked} cannot hold the run ({error.strerror}): name a directory that you can write"
        ) from None
    return RunPlace(run_dir, staging_dir, run_id)


def new_folder(parent: Path, stamp: str) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
        with contextlib.suppress(FileExistsError):
            run_dir = parent / f"{stamp}{suffix}"
            run_dir.mkdir(mode=0o700)
            return run_dir
    raise UsageError(f"{parent} has a thousand runs of this second: name another --run-info-path")


def point_most_recent(run_dir: Path) -> None:
    """Views find the latest run by this link. Where links cannot be made, they are told the directory."""
    link = run_dir.parent / "most-recent"
    fresh = run_dir.parent / f".most-recent.{os.getpid()}"
    with contextlib.suppress(OSError):
        fresh.symlink_to(run_dir.name)
        os.replace(fresh, link)
