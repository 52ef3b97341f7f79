"""What do the vine columns and speed-ups come to by each reading of the shared-fs column: how much hangs on it?

python -m benchmarks.mnist_sweep.simulate.sensitivity [--out FILE]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from benchmarks.counts import count_of_some
from benchmarks.mnist_sweep.simulate import main as simulation
from benchmarks.mnist_sweep.simulate import paging, paper, parameters, readings
from benchmarks.mnist_sweep.simulate.paging import without_data
from benchmarks.mnist_sweep.simulate.parameters import CLUSTER, Parameters
from benchmarks.mnist_sweep.simulate.readings import MODEL, READINGS
from benchmarks.mnist_sweep.simulate.run import Distribution, Policy, Sweep, Wanted
from benchmarks.mnist_sweep.simulate.table import markdown
from vine.errors import ExitCode, VineError

_FAST_LINK = 1.25e9  # 10 Gbit/s


@dataclass(frozen=True, slots=True)
class Variant:
    """One cluster that predictions are made for."""

    says: str
    parameters: Parameters
    coordinates: int
    misfit: float


def variants(base: Parameters, found: Mapping[str, readings.Found]) -> dict[str, Variant]:
    """The readings, and the model with a link ten times as fast: on shared-fs a node has half a gigabit anyhow."""
    made = {
        name: Variant(reading.says, found[name].on(base, reading), len(reading.coordinates), found[name].misfit)
        for name, reading in READINGS.items()
    }
    model = made[MODEL]
    fast = replace(model.parameters, link_bytes_per_s=_FAST_LINK)
    return {**made, "10 Gbit/s": replace(model, says=f"as {MODEL}, and all links have 10 Gbit/s", parameters=fast)}


def asked(variant: Variant, tasks: int) -> list[Wanted]:
    return [
        Wanted(variant.parameters, size, tasks, Distribution.VINE, policy) for size in paper.SIZES for policy in Policy
    ]


def run_all(made: Mapping[str, Variant], tasks: int, processes: int, console: Console) -> dict[str, list[Sweep]]:
    """The runs of each variant."""
    found: dict[str, list[Sweep]] = {name: [] for name in made}

    def runs() -> Iterator[Sweep]:
        for name, variant in made.items():
            for run in simulation.run_all(asked(variant, tasks), processes):
                found[name].append(run)
                yield run

    simulation.shown(runs(), len(made) * len(paper.SIZES) * len(Policy), console)
    return found


def page(made: Mapping[str, Variant], sweeps: Mapping[str, Sequence[Sweep]], tasks: int) -> str:
    """The whole page."""
    sizes, last = ", ".join(map(str, paper.SIZES)), paper.SIZES[-1]
    head = ["reading", "coordinates", "misfit", f"shared-fs: mean with {sizes} workers", "whole files", "ours"]
    head += [f"run time with {last}: shared-fs over whole files", "over ours", "over data that cost nothing"]
    head += [f"task time with {last}: shared-fs over whole files", "over ours", "over data that cost nothing"]
    papers = ["the paper", "", "", *(_means(columns) for columns in (paper.SHARED_FS, paper.VINE)), ""]
    papers += [f"{paper.RUN_SPEEDUPS[last]:.2f}", "", "", f"{paper.TASK_SPEEDUPS[last]:.2f}", "", ""]
    rows = [papers, *(_row(name, variant, sweeps[name], tasks) for name, variant in made.items())]
    said = "\n".join(f"- {name}: {variant.says}." for name, variant in made.items())
    return (
        "# How much hangs on the reading of the paper's shared-fs column\n\n"
        "Mean task times in seconds by number of workers, and speed-ups. Each reading is fitted on the shared-fs "
        "column, so many coordinates on 13 numbers (misfit: the squares of relative errors; 3 %, of a deviation 10 %, "
        "count 1). Its vine columns are predictions, from one draw of the nodes.\n\n"
        f"{said}\n\n{markdown(head, rows)}\n"
    )


def _row(name: str, variant: Variant, sweeps: Sequence[Sweep], tasks: int) -> list[str]:
    shared = {size: paging.run(variant.parameters, size, tasks) for size in paper.SIZES}
    runs = {(run.workers, run.policy): run for run in sweeps}
    means = {what: paging.moments([time.task_s for time in run.times]) for what, run in runs.items()}
    last = paper.SIZES[-1]
    whole, ours, base = (last, Policy.TASKVINE), (last, Policy.VINE), shared[last]
    free = paging.run(without_data(variant.parameters), last, tasks)
    base_mean, free_mean = paging.moments(base.task_s).mean, paging.moments(free.task_s).mean
    run_s = (runs[whole].run_s, runs[ours].run_s, free.run_s)
    task_s = (means[whole].mean, means[ours].mean, free_mean)
    return [
        name,
        str(variant.coordinates),
        f"{variant.misfit:.1f}",
        _means({size: paging.moments(run.task_s) for size, run in shared.items()}),
        *(_means({size: means[size, policy] for size in paper.SIZES}) for policy in Policy),
        *(f"{base.run_s / seconds:.2f}" for seconds in run_s),
        *(f"{base_mean / seconds:.2f}" for seconds in task_s),
    ]


def _means(columns: Mapping[int, paper.Moments]) -> str:
    return ", ".join(f"{row.mean:.0f}" for row in columns.values())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mnist_sweep.simulate.sensitivity",
        description="What other readings of the paper's shared-fs column predict.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--tasks", type=count_of_some, default=paper.TASKS, metavar="N", help="tasks of each run")
    parser.add_argument(
        "--processes", type=count_of_some, default=2, metavar="N", help="runs that are simulated at once"
    )
    parser.add_argument("--out", type=Path, default=Path("sensitivity.md"), metavar="FILE", help="where the page goes")
    options = parser.parse_args(arguments)
    try:
        base, _ = parameters.read(CLUSTER)
        made = variants(base, readings.read())
        console = Console()
        sweeps = run_all(made, options.tasks, options.processes, console)
        options.out.write_text(page(made, sweeps, options.tasks))
        console.print(f"results: {options.out.resolve()}", highlight=False, markup=False)
    except (VineError, OSError) as error:
        print(f"sensitivity: {error}", file=sys.stderr)
        return ExitCode.FAILED
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
