"""What can a factory be told: the options of `vine-factory`, of the file that it re-reads, and of `vine.Factory`.

All three say the same words: `--max-workers 8`, `"max-workers": 8`, `max_workers=8`. This is where each is declared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from vine import config
from vine.errors import UsageError

Workers = Annotated[int, Meta(ge=0, le=config.workers_max)]
Amount = Annotated[float, Meta(ge=0, le=1e9)]
Line = Annotated[str, Meta(min_length=1, max_length=config.path_chars_max, pattern=r"^[^\0\n]*\Z")]

BatchType = Literal["local", "slurm", "htcondor"]


class FactoryOptions(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="kebab"
):
    """Every option with its type, default and help. Those of `LIVE` may change while the factory runs."""

    batch_type: Annotated[BatchType, Meta(description="where workers run (default: here)")] = "local"
    name: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,59}\Z")] | None,
        Meta(description="of this factory: started again, it takes over its jobs (default: the batch type, -2, ...)"),
    ] = None

    min_workers: Annotated[Workers, Meta(description="never fewer (default: 0)")] = 0
    max_workers: Annotated[Workers | None, Meta(description="never more (default: the minimum, or 1)")] = None
    workers_per_cycle: Annotated[
        Annotated[int, Meta(ge=1, le=config.workers_max)] | None,
        Meta(description="ask for no more in one cycle (default: as many as are wanted)"),
    ] = None
    cycle: Annotated[
        Annotated[float, Meta(ge=0.1, le=86_400)],
        Meta(description=f"seconds between two looks at the batch system (default: {config.factory_cycle_s:g})"),
    ] = config.factory_cycle_s
    tasks_per_worker: Annotated[
        Annotated[float, Meta(gt=0, le=1e9)] | None,
        Meta(description="of waiting and running tasks, one worker for so many (default: as many as fit one at once)"),
    ] = None
    capacity: Annotated[
        bool, Meta(description="no more workers than the manager, as it measures itself, can keep busy")
    ] = False
    idle_timeout: Annotated[
        Amount, Meta(description=f"release workers in surplus for so many seconds (default: {config.idle_timeout_s:g})")
    ] = config.idle_timeout_s

    cores: Annotated[Amount | None, Meta(description="of each worker (default: local: an equal share; else 1)")] = None
    memory: Annotated[
        Amount | None, Meta(description="MB of each worker (default: local: an equal share; else 2000 a core)")
    ] = None
    disk: Annotated[
        Amount | None, Meta(description="MB of each worker (default: local: an equal share; else 5000 a core)")
    ] = None
    gpus: Annotated[
        Annotated[int, Meta(ge=0, le=1000)] | None, Meta(description="of each worker, whole ones (default: none)")
    ] = None
    feature: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=config.name_chars_max)], ...],
        Meta(description="of each worker: something that tasks ask for"),
    ] = ()
    wall_time: Annotated[
        Annotated[float, Meta(ge=1, le=1e9)] | None,
        Meta(description="seconds that a job may last; its worker is empty before (default: no limit)"),
    ] = None

    workspace: Annotated[
        Line | None,
        Meta(description="where workers keep caches and sandboxes, on their node; $NAMES are the node's"),
    ] = None
    python: Annotated[
        Line | None, Meta(description="the interpreter on the nodes (default: the one that runs this)")
    ] = None
    worker_environment: Annotated[
        Line | None,
        Meta(description="with vine in it, instead: a folder that nodes see, or an archive, unpacked on each"),
    ] = None
    module: Annotated[tuple[Line, ...], Meta(description="`module load` this before a worker starts")] = ()
    setup: Annotated[tuple[Line, ...], Meta(description="a line of shell to run before a worker starts")] = ()
    batch_option: Annotated[
        tuple[Line, ...],
        Meta(description="slurm: an option of sbatch (--partition=gpu); htcondor: a line of the submit file"),
    ] = ()
    requirements: Annotated[Line | None, Meta(description="htcondor: an expression that machines must satisfy")] = None
    scratch_dir: Annotated[
        Line | None, Meta(description="where scripts and logs of jobs go (default: in the run's folder)")
    ] = None

    @property
    def most_workers(self) -> int:
        return max(self.min_workers, 1) if self.max_workers is None else self.max_workers


# What a file that is edited may change in a running factory.
LIVE = frozenset(
    {
        "min_workers", "max_workers", "workers_per_cycle", "cycle", "tasks_per_worker", "capacity", "idle_timeout",
    }
)  # fmt: skip

_FIELD = re.compile(r"(?P<what>.*?) - at `\$\.(?P<where>[a-z-]+)(\[\d+\])?`")


def options_of(given: Mapping[str, Any], texts: bool = False) -> FactoryOptions:
    """The options of these, by the names that files have; with `texts`, values may be as on a command line.

    Raises UsageError naming the option that cannot be, and what it should be.
    """
    try:
        options = msgspec.convert(dict(given), FactoryOptions, strict=not texts)
    except msgspec.ValidationError as error:
        raise UsageError(_told(str(error), given)) from None
    if options.min_workers > options.most_workers:
        raise UsageError(
            f"min-workers {options.min_workers} is more than max-workers {options.most_workers}: swap them"
        )
    if options.requirements is not None and options.batch_type != "htcondor":
        raise UsageError(f"requirements are HTCondor's: with batch-type {options.batch_type}, use batch-option")
    return options


def _told(error: str, given: Mapping[str, Any]) -> str:
    found = _FIELD.fullmatch(error)
    if found is None:
        return f"{error}: see `vine-factory --help` for the names of options"
    value = given.get(found["where"])
    expected = found["what"].split(", got ")[0].replace("`", "").replace(" | null", "")
    if expected.startswith("Invalid enum"):
        expected = f"expected one of {', '.join(get_args(BatchType))}"
    return f"{found['where']} {value!r} cannot be: {expected[0].lower()}{expected[1:]}"
