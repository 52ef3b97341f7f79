"""How do the simulated runs look: Figures 2 and 3 in the paper's form."""

from __future__ import annotations

from pathlib import Path

import numpy
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.mnist_sweep.simulate.results import Results
from benchmarks.mnist_sweep.simulate.run import Distribution, Policy

_COLOURS = {Distribution.SHARED_FS: "#c44e52", Distribution.VINE: "#4c72b0", Distribution.VINE_HOT: "#dd8452"}
_BINS = 50
_TITLES = {Policy.TASKVINE: "vine by the taskvine policy", Policy.VINE: "vine, ours"}


def draw_run_times(sweeps: Results, path: Path) -> None:
    """Figure 2: the run time over the number of workers, a panel for each policy that was simulated."""
    policies = [
        policy for policy in Policy if any(sweeps.run(size, Distribution.VINE, policy) for size in sweeps.sizes)
    ]
    figure = Figure(figsize=(4.6 * max(1, len(policies)), 3.4), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, max(1, len(policies)), squeeze=False, sharey=True)[0]
    for panel, policy in zip(panels, policies or [Policy.VINE], strict=True):
        width = 0.8 / len(Distribution)
        for number, distribution in enumerate(Distribution):
            of_policy = policy if distribution is not Distribution.SHARED_FS else Policy.VINE
            runs = [sweeps.run(size, distribution, of_policy) for size in sweeps.sizes]
            places = [place + (number - 1) * width for place, run in enumerate(runs) if run is not None]
            heights = [run.run_s for run in runs if run is not None]
            bars = panel.bar(places, heights, width, label=distribution.value, color=_COLOURS[distribution])
            panel.bar_label(bars, fmt="%.0f", fontsize=5, padding=1)
        panel.set_xticks(range(len(sweeps.sizes)), [str(size) for size in sweeps.sizes])
        panel.set_title(_TITLES[policy], fontsize=9)
        panel.set_xlabel("workers")
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, fontsize=8)
    panels[0].set_ylabel("workflow execution time (s)")
    figure.savefig(path)


def draw_histograms(sweeps: Results, path: Path) -> None:
    """Figure 3: histograms of task times, the mean of the draws; a row a distribution, a column a number of workers."""
    rows = [("shared-fs", Distribution.SHARED_FS, Policy.VINE)]
    rows += [(_TITLES[policy], Distribution.VINE, policy) for policy in Policy]
    rows = [row for row in rows if any(sweeps.run(size, *row[1:]) for size in sweeps.sizes)]
    figure = Figure(
        figsize=(2.6 * len(sweeps.sizes) + 0.6, 1.9 * max(1, len(rows)) + 0.4), dpi=150, layout="constrained"
    )
    FigureCanvasAgg(figure)
    panels = figure.subplots(max(1, len(rows)), len(sweeps.sizes), squeeze=False, sharex=True)
    longest = max(time.task_s for run in sweeps.sweeps for time in run.times)
    bins = numpy.linspace(0.0, longest, _BINS + 1)
    for (title, distribution, policy), line in zip(rows, panels, strict=False):
        for size, panel in zip(sweeps.sizes, line, strict=True):
            run = sweeps.run(size, distribution, policy)
            if run is not None:
                times = [time.task_s for time in run.times]
                panel.hist(times, bins=bins, weights=[1 / sweeps.draws] * len(times), color=_COLOURS[distribution])
            panel.set_title(f"{title}, {size} workers", fontsize=8)
            panel.tick_params(labelsize=6)
            panel.spines[["top", "right"]].set_visible(False)
        line[0].set_ylabel("task count", fontsize=8)
    for panel in panels[-1]:
        panel.set_xlabel("execution time (s)", fontsize=8)
    figure.savefig(path)
