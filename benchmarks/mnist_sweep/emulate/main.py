"""The emulated sweep from its options to its files: is all there, prepare, run each distribution, compare."""

from __future__ import annotations

import json
import signal

from benchmarks.mnist_sweep import comparison, packing, report, shared
from benchmarks.mnist_sweep.emulate import filesystem
from benchmarks.mnist_sweep.emulate.run import DISTRIBUTIONS, disks, emulate
from benchmarks.mnist_sweep.options import Options
from vine.errors import ExitCode, VineError


def run(options: Options) -> int:
    if lacks := filesystem.missing():
        raise VineError(
            f"--mode emulate needs {' and '.join(lacks)}: run it as root, after "
            "`apt-get install iproute2 sshfs openssh-server`"
        )
    signal.signal(signal.SIGTERM, _interrupt)  # Namespaces, mounts and sshd would stay.
    options.out.mkdir(parents=True, exist_ok=True)
    print("preparing the environment and the dataset (kept in the cache for the next time)", flush=True)
    packages = packing.prepare(options.cache, options.mnist)
    packages.pack_missing()
    in_place = shared.prepare(options.shared, packages)
    where = disks(options.workers, packages)
    print(introduction(options, in_memory=where is not None), flush=True)
    runs: list[report.Run] = []

    def ended(run: report.Run) -> None:
        runs.append(run)
        folder = options.out / run.distribution
        folder.mkdir(exist_ok=True)
        report.write(run, folder)
        print(f"{run.distribution}: {len(run.succeeded)} of {len(run.rows)} tasks succeeded", flush=True)

    try:
        emulate(options, packages, in_place, where, ended)
    finally:
        if runs:
            _conclude(runs, options)
    succeeded = all(len(run.succeeded) == options.tasks for run in runs)
    return ExitCode.OK if succeeded else ExitCode.FAILED


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def introduction(options: Options, in_memory: bool) -> str:
    """What is emulated, and how it is smaller than the paper's."""
    rate = f"{options.rate * 8 / 1e6:g} Mbit/s"
    return "\n".join(
        (
            f"{options.workers} hosts with a worker of {options.worker_cores} cores each, one of the manager's and one "
            f"of the file server's; each link {rate} each way",
            f"shared filesystem: sshfs, mounted by each host with {','.join(filesystem.CACHING)}; the server has all "
            "files in memory",
            f"hosts' disks: {'memory' if in_memory else 'the one disk of this machine, for which they wait'}",
            f"scaled down from the paper: {options.tasks} combinations, {options.images:,} images and "
            f"{options.epochs} epochs each, on the processors of this one machine",
            f"one after the other: {', '.join(DISTRIBUTIONS)}; each with new workers and empty caches, from when the "
            "workers are connected",
        )
    )


def _conclude(runs: list[report.Run], options: Options) -> None:
    table = comparison.comparison(runs)
    (options.out / "table1.md").write_text(table)
    summaries = {run.distribution: report.summary(run) for run in runs}
    found = comparison.speedup_figures(runs)
    summaries["speedup_over_shared_fs"] = {
        name: {"run_time": run, "mean_task_time": task} for name, (run, task) in found.items()
    }
    (options.out / "summary.json").write_text(json.dumps(summaries, indent=2) + "\n")
    print(f"\n{table}")
    failed = [(run.distribution, row) for run in runs for row in run.rows if not row.succeeded]
    for distribution, row in failed[:5]:
        print(f"{distribution}: task {row.number} ended as '{row.outcome}': {row.message}")
    print(f"results: {options.out.resolve()}", flush=True)
