"""How is a batch system's command run, and what does a job's log say last?"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from vine import config
from vine_factory.launchers.interface import LaunchFailed
from vine_factory.script import Batch, WorkerPlan, helper_script, job_name

_LAST_WORDS_BYTES = 4096  # Of a log's end: enough to hold the line that says what went wrong.

# With such variables users change what the commands of Slurm do by default. Ours are told what they need; what stays
# says where jobs run and who pays, to all of them: SBATCH_CLUSTERS would have us submit where we do not look.
_CHANGES_COMMANDS = re.compile(
    r"SQUEUE_.*|SCANCEL_.*|SBATCH_(?!(ACCOUNT|CONSTRAINT|EXPORT|PARTITION|QOS|RESERVATION)$).*"
)

T = TypeVar("T")


def run(command: Sequence[str]) -> str:
    """What it prints. LaunchFailed, in its own words, if it fails or takes too long."""
    try:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",  # Others name their jobs in whatever encoding they like.
            timeout=config.batch_command_max_s,
            env={name: value for name, value in os.environ.items() if not _CHANGES_COMMANDS.fullmatch(name)},
        )
    except FileNotFoundError:
        raise LaunchFailed(f"there is no {command[0]} here: start the factory where jobs can be submitted") from None
    except subprocess.TimeoutExpired:
        raise LaunchFailed(f"{command[0]} has not answered for {config.batch_command_max_s:g} s") from None
    except OSError as error:
        raise LaunchFailed(f"cannot run {command[0]}: {error.strerror}") from None
    if ended.returncode:
        words = last_line(ended.stderr) or last_line(ended.stdout) or f"exit code {ended.returncode}"
        raise LaunchFailed(f"{shlex.join(command[:1])} failed: {words}")
    return ended.stdout


def write(path: Path, text: str) -> Path:
    """The file, new and whole; LaunchFailed if that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as error:
        raise LaunchFailed(f"cannot write {path} ({error.strerror}): name another --scratch-dir") from None
    return path


def write_script(plan: WorkerPlan, batch: Batch, directives: Sequence[str] = (), index: str = "0") -> Path:
    return write(plan.scratch / f"{job_name(plan, batch)}.sh", helper_script(plan, batch, directives, index))


def portions(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many at once as one command line takes."""
    for start in range(0, len(items), config.batch_jobs_a_command):
        yield items[start : start + config.batch_jobs_a_command]


def last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def last_line_of(log: Path) -> str:
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LAST_WORDS_BYTES))
            return last_line(file.read().decode(errors="replace"))
    except OSError:
        return ""  # It never began, or whoever removed it has their reasons.
