"""How is the sweep run: files declared, one call a combination, a row for each result as it comes."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import vine
from benchmarks.mnist_sweep import network
from benchmarks.mnist_sweep.grid import combination, draw
from benchmarks.mnist_sweep.options import IMAGES_LEAST, Options
from benchmarks.mnist_sweep.packing import Packages
from benchmarks.mnist_sweep.progress import Standing, view
from benchmarks.mnist_sweep.report import Row, Run
from vine.content.folders import remove_members
from vine.errors import VineError
from vine.wire.parts import TaskResult

_REFRESH_S = 0.5  # How often the progress is drawn while nothing ends.
WRONG_ENVIRONMENT = "wrong-environment"  # Our own outcome, beside those of the runtime.


def sweep(options: Options, packages: Packages) -> Run:
    """The whole run, packing included where the distribution says so; an interrupt ends it early."""
    with _workspace() as workspace:
        warm_s = warm(options, packages, workspace) if options.distribution == "vine-warm" else 0.0
        start_s = time.perf_counter()
        pack_s = packages.pack() if options.distribution == "vine" else 0.0
        with _runtime(options, workspace) as (manager, executor):
            futures = submit(manager, executor, options, packages)
            rows, interrupted = collect(manager, futures, workspace)
            run_s = time.perf_counter() - start_s
            moved = standing(manager, len(futures), rows)
            if interrupted:
                executor.shutdown(wait=False, cancel_futures=True)
    figures = {
        "interrupted": interrupted,
        "images": options.images,
        "epochs": options.epochs,
        "worker_cores": options.worker_cores,
        "task_cores": options.task_cores,
        "run_s": run_s,
        "pack_s": pack_s,
        "warm_s": warm_s,
        "mb_from_manager": moved.manager_mb,
        "mb_from_peers": moved.peers_mb,
        "environment": packages.environment.sizes(),
        "dataset": packages.dataset.sizes(),
    }
    return Run(options.distribution, options.workers, rows, figures)


def warm(options: Options, packages: Packages, workspace: Path) -> float:
    """A short run that leaves environment and dataset, packed and unpacked, with every worker; returns its seconds."""
    start_s = time.perf_counter()
    # As many tasks as workers, each of which fills one: so every worker gets one.
    short = replace(options, tasks=options.workers, task_cores=options.worker_cores, images=IMAGES_LEAST, epochs=1)
    with _runtime(options, workspace) as (manager, executor):
        manager.wait_for_workers(options.workers)
        rows, interrupted = collect(manager, submit(manager, executor, short, packages), workspace)
    if interrupted:
        raise KeyboardInterrupt
    warmed = {row.worker for row in rows if row.succeeded}
    if len(warmed) < options.workers:
        why = next((f" ({row.message})" for row in rows if row.message), "")
        raise VineError(f"{len(warmed)} of {options.workers} workers could be warmed{why}: run it again")
    return time.perf_counter() - start_s


@contextmanager
def _workspace() -> Iterator[Path]:
    """Where each worker makes a folder of its own; what is kept there for ever goes with it."""
    with TemporaryDirectory(prefix="vine-sweep-", ignore_cleanup_errors=True) as folder:
        workspace = Path(folder).resolve()
        yield workspace
        remove_members(workspace)  # Stores are read-only, and only this knows how to remove them.


@contextmanager
def _runtime(options: Options, workspace: Path) -> Iterator[tuple[vine.Manager, vine.Executor]]:
    """A run with its workers."""
    workers = options.workers
    with (
        vine.Manager(run_info_path=options.out / "vine-run-info") as manager,
        vine.Executor(
            manager, min_workers=workers, max_workers=workers, cores=options.worker_cores, workspace=workspace
        ) as executor,
    ):
        yield manager, executor


def submit(
    manager: vine.Manager, executor: vine.Executor, options: Options, packages: Packages
) -> dict[Future[Any], int]:
    """One call a combination; which future has which."""
    cache = "forever" if options.distribution == "vine-warm" else "workflow"
    environment = manager.declare_environment(packages.environment.tarball, cache=cache)
    dataset = manager.declare_untar(manager.declare_file(packages.dataset.tarball, cache=cache), cache=cache)
    bound = executor.options(cores=options.task_cores, environment=environment, inputs={"mnist": dataset})
    train = network.by_value(network.train)
    fixed = (options.images, options.epochs, options.task_cores)
    return {bound.submit(train, number, combination(number), *fixed): number for number in draw(options.tasks)}


def collect(manager: vine.Manager, futures: Mapping[Future[Any], int], workspace: Path) -> tuple[list[Row], bool]:
    """The rows of the tasks in the order drawn, and whether somebody interrupted before the last one."""
    rows: dict[Future[Any], Row] = {}
    try:
        with view() as shown:
            for ended in batches(futures):
                rows.update((future, row_of(futures[future], future, workspace)) for future in ended)
                shown.show(standing(manager, len(futures), rows.values()))
    except KeyboardInterrupt:
        pass
    return [rows[future] for future in futures if future in rows], len(rows) < len(futures)


def batches(futures: Iterable[Future[Any]]) -> Iterator[set[Future[Any]]]:
    """What has ended since the last time, often enough to watch by; until all have."""
    pending = set(futures)
    while pending:
        ended, pending = wait(pending, timeout=_REFRESH_S, return_when=FIRST_COMPLETED)
        yield ended


def standing(manager: vine.Manager, total: int, rows: Collection[Row]) -> Standing:
    state = manager.stats
    succeeded = [row.accuracy for row in rows if row.accuracy is not None]
    return Standing(
        total=total,
        done=len(succeeded),
        running=min(state.tasks.get("running", 0), total - len(rows)),  # The news may be a second old.
        failed=len(rows) - len(succeeded),
        best=max(succeeded, default=None),
        manager_mb=state.bytes_from_manager / 1e6,
        peers_mb=state.bytes_from_peers / 1e6,
    )


def row_of(number: int, future: Future[Any], workspace: Path) -> Row:
    """What an ended call says of itself, and what the runtime says of it."""
    row = Row(number, combination(number), outcome="cancelled")
    result: TaskResult | None = getattr(future, "task", None)  # None: it never got as far as a manager's answer.
    if result is not None:
        row = replace(
            row,
            outcome=result.outcome.value,
            worker=result.worker_id or "",
            hostname=result.hostname,
            attempts=result.attempts,
            queue_s=result.queue_s,
            task_s=result.task_s,
            **{name: getattr(result.times, name) for name in ("stage_in_s", "wait_s", "run_s")},
        )
    if future.cancelled():
        return row
    if (error := future.exception()) is not None:
        return replace(
            row,
            outcome=row.outcome if result is not None else "lost",
            message=" ".join(f"{type(error).__name__}: {error}".split()),
        )
    found = future.result()
    row = replace(row, **{name: found[name] for name in ("fit_s", "prefix", "python", "numpy", "sklearn")})
    if (why := foreign(found["prefix"], found["folder"], workspace)) is not None:
        return replace(row, outcome=WRONG_ENVIRONMENT, message=why)
    return replace(row, accuracy=found["accuracy"], test_accuracy=found["test_accuracy"])


def foreign(prefix: str, sandbox: str, workspace: Path) -> str | None:
    """Why the interpreter of this prefix is none that the sandbox's worker has in its store; None if it is."""
    inside, around = Path(prefix), Path(sandbox)
    if inside.is_relative_to(workspace) and around.is_relative_to(workspace):
        store, worker = (path.relative_to(workspace).parts[:1] for path in (inside, around))
        if store and store[0].startswith("vine-store") and store != worker:
            return None
    return f"ran in {prefix}, which is not where its worker unpacks: its sandbox was {sandbox}"
