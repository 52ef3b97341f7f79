"""The sweep from its command line to its files: prepare, run, report."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from benchmarks.mnist_sweep import packing, report, shared
from benchmarks.mnist_sweep.emulate import main as emulated
from benchmarks.mnist_sweep.options import Options, mode_of, parse
from benchmarks.mnist_sweep.run import sweep
from vine.errors import ExitCode, VineError

_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
_FAILURES_SHOWN = 5


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        if mode_of(arguments) == "simulate":
            from benchmarks.mnist_sweep.simulate.main import main as simulate  # It needs none of what real runs do.

            return simulate(arguments)
        options = parse(arguments)
        return emulated.run(options) if options.mode == "emulate" else _run(options)
    except VineError as error:
        print(f"mnist_sweep: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # A full disk, a folder that is not ours: the user's to mend.
        print(f"mnist_sweep: {error}", file=sys.stderr)
        return ExitCode.FAILED
    except KeyboardInterrupt:
        print("mnist_sweep: interrupted", file=sys.stderr)
        return _INTERRUPTED


def _run(options: Options) -> int:
    start_s = time.perf_counter()
    options.out.mkdir(parents=True, exist_ok=True)  # Now, and not after an hour, is the time to hear that it cannot be.
    print("preparing the environment and the dataset (kept in the cache for the next time)", flush=True)
    if options.front_end == "parsl":
        from benchmarks.mnist_sweep import on_parsl  # Parsl is not needed for anything else.

        packages = packing.prepare(options.cache, options.mnist, on_parsl.requirements())
    else:
        packages = packing.prepare(options.cache, options.mnist)
    if options.distribution != "vine":
        packages.pack_missing()  # That nobody fetches in a run on a shared filesystem, but its report says their size.
    in_place = shared.prepare(options.shared, packages) if options.distribution == "shared-fs" else None
    prepare_s = time.perf_counter() - start_s
    print(
        f"{options.tasks} combinations on {options.workers} workers, {options.distribution}"
        f"{' by Parsl' if options.front_end == 'parsl' else ''}: "
        f"{options.images:,} images, {options.epochs} epochs each",
        flush=True,
    )
    if options.distribution == "vine-warm":
        print(f"first a short run of {options.workers} tasks warms the workers", flush=True)
    run = sweep(options, packages, in_place)
    run.figures["prepare_s"] = prepare_s
    report.write(run, options.out)
    print(closing(run, options))
    if run.figures["interrupted"]:
        return _INTERRUPTED
    return ExitCode.OK if len(run.succeeded) == options.tasks else ExitCode.FAILED


def closing(run: report.Run, options: Options) -> str:
    """What a person wants to know at the end."""
    failed = [row for row in run.rows if not row.succeeded]
    figures = run.figures
    cut = ", interrupted" if figures["interrupted"] else ""
    lines = ["", f"{len(run.succeeded)} of {options.tasks} tasks succeeded in {figures['run_s']:.1f} s{cut}"]
    lines += [f"  task {row.number} ended as '{row.outcome}': {row.message}" for row in failed[:_FAILURES_SHOWN]]
    if len(failed) > _FAILURES_SHOWN:
        lines.append(f"  ... and {len(failed) - _FAILURES_SHOWN} more; see tasks.csv")
    for name in ("environment", "dataset"):
        packed_mb, unpacked_mb = (figures[name][size] / 1e6 for size in ("packed_bytes", "unpacked_bytes"))
        lines.append(f"{name}: {packed_mb:.1f} MB packed, {unpacked_mb:.1f} MB unpacked")
    lines.append(
        f"moved: {figures['mb_from_manager']:.1f} MB from manager, {figures['mb_from_peers']:.1f} MB from peers"
    )
    lines += ["", report.tables(run), "The best combinations:", "", report.best_table(run)]
    lines.append(f"results: {options.out.resolve()}")
    return "\n".join(lines)
