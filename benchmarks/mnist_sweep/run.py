"""How is the sweep run: files declared, one call a combination, a row for each result as it comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import vine
from benchmarks.broadcast.processes import Where
from benchmarks.mnist_sweep import network
from benchmarks.mnist_sweep.fleet import Fleet, share
from benchmarks.mnist_sweep.grid import combination, draw
from benchmarks.mnist_sweep.options import IMAGES_LEAST, Options
from benchmarks.mnist_sweep.packing import Packages
from benchmarks.mnist_sweep.programs import Programs
from benchmarks.mnist_sweep.progress import Standing, view
from benchmarks.mnist_sweep.provision import Provision, in_place, staged
from benchmarks.mnist_sweep.report import Row, Run
from benchmarks.mnist_sweep.shared import Shared
from vine.content.folders import remove_members
from vine.errors import VineError
from vine.wire.parts import TaskResult

_REFRESH_S = 0.5  # How often the progress is drawn while nothing ends.
WRONG_ENVIRONMENT = "wrong-environment"  # Our own outcome, beside those of the runtime.


@dataclass(frozen=True, slots=True)
class Site:
    """A run with its workers, ready for the sweep."""

    manager: vine.Manager
    executor: Any  # a vine.Executor, or what has the same methods on Parsl
    check: Callable[[], None]  # raises a VineError when the run cannot go on, and nobody else would say so


def sweep(options: Options, packages: Packages, shared: Shared | None) -> Run:
    """The whole run, packing included where the distribution says so; an interrupt ends it early."""
    with workspace_folder() as workspace:
        warm_s = warm(options, packages, workspace) if options.distribution == "vine-warm" else 0.0
        start_s = time.perf_counter()
        pack_s = packages.pack() if options.distribution == "vine" else 0.0
        with _runtime(options, workspace, shared) as site:
            provision = _provision(site, options, packages, shared, workspace)
            return measure(site, provision, options, packages, start_s, {"pack_s": pack_s, "warm_s": warm_s})


def measure(
    site: Site, provision: Provision, options: Options, packages: Packages, start_s: float, figures: dict[str, Any]
) -> Run:
    """Submit the tasks and await them; the run began at `start_s`."""
    futures = submit(site.executor, options, provision)
    try:
        rows, interrupted = collect(site, futures, provision)
    except VineError:
        site.executor.shutdown(wait=False, cancel_futures=True)  # Or its end would await what cannot end.
        raise
    run_s = time.perf_counter() - start_s
    moved = standing(site.manager, len(futures), rows)
    if interrupted:
        site.executor.shutdown(wait=False, cancel_futures=True)
    figures = {
        "interrupted": interrupted,
        "front_end": options.front_end,
        "images": options.images,
        "epochs": options.epochs,
        "worker_cores": options.worker_cores,
        "task_cores": options.task_cores,
        "run_s": run_s,
        **figures,
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
    with _runtime(options, workspace, None) as site:
        site.manager.wait_for_workers(options.workers)
        provision = _provision(site, options, packages, None, workspace)
        rows, interrupted = collect(site, submit(site.executor, short, provision), provision)
    if interrupted:
        raise KeyboardInterrupt
    warmed = {row.worker for row in rows if row.succeeded}
    if len(warmed) < options.workers:
        why = next((f" ({row.message})" for row in rows if row.message), "")
        raise VineError(f"{len(warmed)} of {options.workers} workers could be warmed{why}: run it again")
    return time.perf_counter() - start_s


@contextmanager
def workspace_folder(parent: Path | None = None) -> Iterator[Path]:
    """Where each worker makes a folder of its own; what is kept there for ever goes with it."""
    with TemporaryDirectory(prefix="vine-sweep-", dir=parent, ignore_cleanup_errors=True) as folder:
        workspace = Path(folder).resolve()
        yield workspace
        remove_members(workspace)  # Stores are read-only, and only this knows how to remove them.


@contextmanager
def _runtime(options: Options, workspace: Path, shared: Shared | None) -> Iterator[Site]:
    """A run with workers that the factory starts; on a shared environment, or a Python that was named, its own are."""
    if options.front_end == "parsl":
        from benchmarks.mnist_sweep import on_parsl

        with on_parsl.calls(options, workspace) as parsl:
            yield Site(parsl.manager, parsl, lambda: None)
        return
    workers = options.workers
    with vine.Manager(run_info_path=options.out / "vine-run-info") as manager:
        python = options.worker_python if shared is None else shared.python
        if python is None:
            with vine.Executor(
                manager, min_workers=workers, max_workers=workers, cores=options.worker_cores, workspace=workspace
            ) as executor:
                yield Site(manager, executor, lambda: None)
        else:
            size = share(workers, options.worker_cores, workspace)
            fleet = Fleet(python, [Where()] * workers, workspace, size, apart=False)
            with Programs(manager.run_directory / "workers") as programs, vine.Executor(manager) as executor:
                fleet.start(programs, manager)
                yield Site(manager, executor, programs.check)


def _provision(site: Site, options: Options, packages: Packages, shared: Shared | None, workspace: Path) -> Provision:
    if shared is not None:
        return in_place(shared)
    if options.front_end == "parsl":
        provision: Provision = site.executor.provision(packages, workspace)
        return provision
    return staged(site.manager, packages, "forever" if options.distribution == "vine-warm" else "workflow", workspace)


def submit(executor: Any, options: Options, provision: Provision) -> dict[Future[Any], int]:
    """One call a combination; which future has which."""
    bound = executor.options(cores=options.task_cores, **provision.bound)
    train = network.by_value(network.train)
    fixed = (options.images, options.epochs, options.task_cores, provision.digits)
    return {bound.submit(train, number, combination(number), *fixed): number for number in draw(options.tasks)}


def collect(site: Site, futures: Mapping[Future[Any], int], provision: Provision) -> tuple[list[Row], bool]:
    """The rows of the tasks in the order drawn, and whether somebody interrupted before the last one."""
    rows: dict[Future[Any], Row] = {}
    try:
        with view() as shown:
            for ended in batches(futures):
                rows.update((future, row_of(futures[future], future, provision.fault)) for future in ended)
                shown.show(standing(site.manager, len(futures), rows.values()))
                site.check()
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


def row_of(number: int, future: Future[Any], fault: Callable[[str, str], str | None]) -> Row:
    """What an ended call says of itself, and what the runtime says of it."""
    row = Row(number, combination(number), outcome="cancelled")
    call = getattr(future, "task_record", {}).get("exec_fu", future)  # of Parsl's future, ours of the last try
    result: TaskResult | None = getattr(call, "task", None)  # None: it never got as far as a manager's answer.
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
    if (why := fault(found["prefix"], found["folder"])) is not None:
        return replace(row, outcome=WRONG_ENVIRONMENT, message=why)
    return replace(row, accuracy=found["accuracy"], test_accuracy=found["test_accuracy"])
