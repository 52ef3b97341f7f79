"""What does a worker's job do: the helper script that each launcher submits, and that runs by hand as well."""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vine import config
from vine.factory_options import FactoryOptions
from vine.names import RunId, WorkerId
from vine.wire.parts import Resources

_ARCHIVE = re.compile(r".*\.(tar|tgz|tbz2|txz|tzst|tar\.(gz|bz2|xz|zst))")


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """What all workers of a factory have in common."""

    run_id: RunId
    factory: str  # the factory's name
    connection: Path
    size: Resources
    options: FactoryOptions
    scratch: Path  # for scripts and logs
    python: str
    python_path: str = ""  # with the user's own modules


@dataclass(frozen=True, slots=True)
class Batch:
    """Workers that are submitted together: PREFIX-FIRST, PREFIX-(FIRST + 1), ..."""

    prefix: str
    first: int
    number: int

    @classmethod
    def of(cls, worker_ids: Sequence[WorkerId]) -> Batch:
        prefix, _, first = worker_ids[0].rpartition("-")
        batch = cls(prefix, int(first), len(worker_ids))
        assert [batch.worker_id(index) for index in range(len(worker_ids))] == list(worker_ids), "not consecutive"
        return batch

    def worker_id(self, index: int) -> WorkerId:
        return WorkerId(f"{self.prefix}-{self.first + index}")


def job_name(plan: WorkerPlan, batch: Batch) -> str:
    """What the batch system calls these jobs; `batch_named` reads it."""
    return f"vine.{plan.run_id}.{batch.prefix}.{batch.first}"


def worker_named(plan: WorkerPlan, name: str, index: int) -> WorkerId | None:
    """The worker that is this job of that name; None if it is not of this factory, whenever that was started."""
    found = re.fullmatch(rf"vine\.{re.escape(plan.run_id)}\.({re.escape(plan.factory)}-\d+)\.(\d+)", name)
    return None if found is None else Batch(found[1], int(found[2]), index + 1).worker_id(index)


def helper_script(plan: WorkerPlan, batch: Batch, directives: Sequence[str] = (), index: str = "0") -> str:
    """The text; `directives` are lines for the batch system, `index` what in it tells which of the batch it is."""
    options = plan.options
    lines = [
        "#!/bin/bash",
        f"# Starts one of {batch.number} workers of the vine run {plan.run_id} for its factory {plan.factory}.",
        f"# By hand: bash THIS_FILE INDEX, with an INDEX from 0 to {batch.number - 1}.",
        *directives,
        "set -e",
        f"index=${{1:-{index}}}",
        f"worker={batch.prefix}-$(({batch.first} + index))",
        "# The run's keys stay in their file, which the batch system may have brought here.",
        f"connection={shlex.quote(str(plan.connection))}",
        '[ -e "$connection" ] || { connection=$(basename "$connection"); chmod 600 "$connection"; }',
        "",
    ]
    if plan.python_path:  # Modules and the user's lines add to it.
        lines.append(f"export PYTHONPATH={shlex.quote(plan.python_path)}")
    if options.module:
        # A profile is written for shells that go on after what fails.
        lines += ["type module >/dev/null 2>&1 || { set +e; . /etc/profile; set -e; }"]
        lines += [f"module load {name}" for name in options.module]
    lines += options.setup
    archived = is_archive(options.worker_environment)
    lines += _environment(plan, archived)
    command = [
        '"$python" -m vine_worker.main --worker-id "$worker"',
        *(" ".join(pair) for pair in _arguments(plan)),
        '"${@:2}"',
    ]
    text = " \\\n    ".join(command)
    lines += ["", *_BEFORE, text + " &", *_WAIT] if archived else ["", "exec " + text]
    return "\n".join(lines) + "\n"


def is_archive(environment: str | None) -> bool:
    return environment is not None and _ARCHIVE.fullmatch(environment) is not None


# A signal may come before there is a worker, or when that has just ended; it ends a wait with a code of its own.
_BEFORE = [
    "asked= worker_pid=",
    'trap \'asked=1; [ -z "$worker_pid" ] || kill "$worker_pid" 2>/dev/null || :\' TERM INT',
]
_WAIT = [
    "worker_pid=$!",
    '[ -z "$asked" ] || kill "$worker_pid" 2>/dev/null || :',
    'while :; do wait "$worker_pid" && ended=0 || ended=$?; kill -0 "$worker_pid" 2>/dev/null || break; done',
    'exit "$ended"',
]


def _environment(plan: WorkerPlan, archived: bool) -> list[str]:
    """Which interpreter runs the worker; an archive is unpacked beside the job's other temporary files."""
    environment = plan.options.worker_environment
    if environment is None:
        return [f"python={shlex.quote(plan.python)}"]
    if not archived:
        return [f"python={double_quoted(environment)}/bin/python"]
    return [
        f"archive={double_quoted(environment)}",
        '[ -e "$archive" ] || archive=$(basename "$archive")',  # as the batch system brought it
        'environment=$(mktemp -d "${_CONDOR_SCRATCH_DIR:-${TMPDIR:-/tmp}}/vine-environment.XXXXXX")',
        "trap 'rm -rf \"$environment\"' EXIT",  # however it ends: also while it unpacks, or where there is no room
        'tar -x -C "$environment" -f "$archive"',
        '[ ! -x "$environment/bin/conda-unpack" ] || "$environment/bin/python" "$environment/bin/conda-unpack"',
        'python="$environment/bin/python"',
    ]


def _arguments(plan: WorkerPlan) -> list[tuple[str, str]]:
    """The options of `vine-worker`."""
    options, size = plan.options, plan.size
    found = [("--connection", '"$connection"')]
    amounts = (("cores", size.cores), ("memory", size.memory_mb), ("disk", size.disk_mb), ("gpus", size.gpus))
    found += [(f"--{name}", f"{amount:.10g}") for name, amount in amounts]
    found += [("--feature", shlex.quote(feature)) for feature in options.feature]
    if options.workspace is not None:
        found.append(("--workspace", double_quoted(_from_here(options.workspace))))
    if options.wall_time is not None:
        found.append(("--wall-time", f"$(({math.ceil(worker_wall_time_s(options.wall_time))} - SECONDS))"))
    return found


def _from_here(path: str) -> str:
    """The same folder wherever the job starts, unless it begins with a variable of the node's."""
    return path if path.startswith("$") else os.path.abspath(path)


def worker_wall_time_s(job_s: float) -> float:
    """Of a job that may last so long: its worker has left before the batch system ends the job."""
    return job_s - min(config.wall_reserve_s, config.wall_drain_share * job_s)


def double_quoted(text: str) -> str:
    """For bash, which puts in the values of $NAMES and runs nothing."""
    escaped = re.sub(r'(["\\`]|\$(?![A-Za-z_{]))', r"\\\1", text)
    return f'"{escaped}"'
