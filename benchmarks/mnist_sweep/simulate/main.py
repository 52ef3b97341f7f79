"""The simulated sweep from its command line to its files: run, tabulate, draw."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import active_children, get_context

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import figures
from benchmarks.mnist_sweep.simulate import parameters, results, table
from benchmarks.mnist_sweep.simulate.options import Options, parse
from benchmarks.mnist_sweep.simulate.run import Distribution, Policy, Sweep, Wanted, sweep
from vine.errors import ExitCode


def main(arguments: Sequence[str] | None = None) -> int:
    """What goes wrong is told by who calls this: the sweep's own main."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    _run(options)
    return ExitCode.OK


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _run(options: Options) -> None:
    start_s = time.perf_counter()
    options.out.mkdir(parents=True, exist_ok=True)  # Now, and not after minutes, is the time to hear that it cannot be.
    found, entries = parameters.read(options.cluster)
    wanted = asked(options, found)
    console = Console(stderr=options.json)
    sweeps = results.Results(found, shown(run_all(wanted, options.processes), len(wanted), console))
    text = table.of(sweeps, entries)
    (options.out / "table1.md").write_text(text)
    (options.out / "summary.json").write_text(json.dumps(sweeps.summary(), indent=2) + "\n")
    from benchmarks.mnist_sweep.simulate import pictures  # matplotlib takes a second to import.

    pictures.draw_run_times(sweeps, options.out / "figure2.png")
    pictures.draw_histograms(sweeps, options.out / "figure3.png")
    if options.json:
        figures.show(sweeps.figures(), as_json=True)
    else:
        console.print(table.closing(sweeps), highlight=False, markup=False)
        console.print(f"{len(wanted)} runs in {time.perf_counter() - start_s:.0f} s; results: {options.out.resolve()}")


def asked(options: Options, found: parameters.Parameters) -> list[Wanted]:
    """The runs that were asked for, those first that take longest; nobody's policy matters to the shared filesystem."""
    runs = [
        Wanted(found, workers, options.tasks, distribution, policy, seed)
        for workers in sorted(options.workers, reverse=True)
        for distribution in options.distribution
        for policy in (options.policy if distribution is not Distribution.SHARED_FS else (Policy.VINE,))
        for seed in range(options.seed, options.seed + options.draws)
    ]
    return sorted(runs, key=lambda run: (-run.workers, run.distribution is Distribution.SHARED_FS))


def run_all(wanted: Sequence[Wanted], processes: int) -> Iterator[Sweep]:
    """The runs as they end, so many at once."""
    if processes == 1 or len(wanted) == 1:
        yield from map(sweep, wanted)
        return
    with ProcessPoolExecutor(min(processes, len(wanted)), get_context("spawn")) as pool:
        futures = [pool.submit(sweep, run) for run in wanted]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:  # An interrupt, mostly: nobody wants to wait for what runs still.
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():
                process.terminate()
            raise


def shown(sweeps: Iterable[Sweep], total: int, console: Console) -> list[Sweep]:
    """All of them, while a bar moves on a terminal, or a line is printed for each elsewhere."""
    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("runs, {task.description}"))
    found = []
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("simulating", total=total)
        for run in sweeps:
            found.append(run)
            line = f"{results.name_of(run)} with {run.workers} workers: {run.run_s:,.0f} s"
            progress.update(bar, advance=1, description=line)
            if not console.is_terminal:
                console.print(f"[{len(found)}/{total}] {line}", highlight=False, markup=False)
    return found
