"""What did the user ask this worker to be: the command line of `vine-worker`."""

from __future__ import annotations

import argparse
import os
import re
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from vine import __version__
from vine.errors import ExitCode, UsageError, VineError
from vine.names import WorkerId
from vine_worker import machine
from vine_worker.settings import Settings
from vine_worker.slot import slot_of
from vine_worker.worker import Worker

_plain_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def parse(argv: Sequence[str] | None) -> Settings:
    parser = argparse.ArgumentParser(prog="vine-worker", description="Runs the tasks of one vine run on this machine.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--connection", type=Path, required=True, help="the run's connection.json, or its folder")
    parser.add_argument(
        "--cores", type=amount, help="cores for tasks (default: the batch slot's, or all that may be used)"
    )
    parser.add_argument(
        "--memory", type=megabytes, metavar="MB", help="memory for tasks (default: the slot's, or the machine's)"
    )
    parser.add_argument(
        "--disk", type=megabytes, metavar="MB", help="disk for tasks and cache (default: the slot's, or what is free)"
    )
    parser.add_argument(
        "--gpus", type=devices, help="GPUs for tasks (default: the slot's, or the NVIDIA devices found)"
    )
    parser.add_argument(
        "--workspace",
        type=Path,
        metavar="DIR",
        help="for caches, sandboxes, files kept for ever (default: vine-UID in the temporary folder)",
    )
    parser.add_argument("--feature", action="append", default=[], metavar="NAME", help="something that tasks ask for")
    parser.add_argument(
        "--host-name",
        type=plain_name,
        metavar="NAME",
        help="workers with the same name count as one host (default: those with the same workspace on one machine)",
    )
    parser.add_argument("--idle-timeout", type=amount, metavar="S", help="end after so long without a task")
    parser.add_argument(
        "--wall-time", type=amount, metavar="S", help="end after so long, without tasks before (default: the slot's)"
    )
    parser.add_argument(
        "--address", metavar="HOST", help="where peers reach this worker (default: as the manager does)"
    )
    parser.add_argument("--worker-id", type=plain_name, metavar="ID", help="a name that no other worker of the run has")
    parser.add_argument(
        "--worker-id-start", type=plain_name, metavar="START", help="what the name it makes up begins with"
    )
    parser.add_argument("--parent-fd", type=int, metavar="N", help="a pipe whose end is this worker's end")
    parser.add_argument(
        "--protect",
        choices=("auto", "mount", "check"),
        default="auto",
        help="mount inputs read-only, check them after each task, or the first where it can be had (default)",
    )
    given = parser.parse_args(argv)
    return Settings(
        connection=given.connection,
        worker_id=WorkerId(given.worker_id or default_id(given.worker_id_start or "")),
        workspace=given.workspace.absolute() if given.workspace else default_workspace(),
        cores=given.cores,
        memory_mb=given.memory,
        disk_mb=given.disk,
        gpus=given.gpus,
        features=tuple(given.feature),
        host_name=given.host_name,
        address=given.address,
        idle_timeout_s=given.idle_timeout,
        wall_time_s=given.wall_time,
        parent_fd=given.parent_fd,
        protect=given.protect,
    )


def amount(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not 0 <= value <= 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and a billion")
    return value


def devices(text: str) -> float:
    """Tasks may share one, but a worker has it or has it not."""
    value = amount(text)
    if value != int(value):
        raise argparse.ArgumentTypeError(f"{text} are no whole GPUs: give a whole number, and tasks a share of one")
    return value


def megabytes(text: str) -> float:
    try:
        return amount(text)
    except argparse.ArgumentTypeError as why:
        raise argparse.ArgumentTypeError(f"{why}: give a number of MB, such as 10000 for 10 GB") from None


def plain_name(text: str) -> str:
    """A name that can be a folder's."""
    if not _plain_name.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} has other characters than letters, digits and _.- or is too long")
    return text


def default_id(start: str = "") -> str:
    host = re.sub(r"[^A-Za-z0-9_.-]", "-", machine.hostname())[:60].lstrip("-._") or "worker"
    return f"{start}{host}-{os.getpid()}-{secrets.token_hex(2)}"


def default_workspace() -> Path:
    """A folder of the user's own in the temporary one, into which nobody else can put anything."""
    folder = Path(tempfile.gettempdir()) / f"vine-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or folder.is_symlink() or status.st_mode & 0o022:
        raise UsageError(f"{folder} is somebody else's or open to others; give a --workspace of your own")
    return folder


def main(argv: Sequence[str] | None = None) -> int:
    try:
        Worker(parse(argv).within(slot_of(os.environ), time.time())).run()
    except VineError as why:
        sys.stderr.write(f"vine-worker: {why}\n")
        return why.exit_code
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
