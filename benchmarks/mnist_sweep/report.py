"""What did the sweep find and how long did its tasks take: the files that a run leaves behind."""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.mnist_sweep.grid import AXES, Combination

_BEST = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One task of the sweep, however it ended; times in seconds."""

    number: int
    combination: Combination
    outcome: str
    message: str = ""
    accuracy: float | None = None  # on the digits that choose the best combination
    test_accuracy: float | None = None  # on those that no choice has seen
    worker: str = ""
    hostname: str = ""
    attempts: int = 1
    queue_s: float = 0.0  # from submission until its assignment to a worker
    stage_in_s: float = 0.0  # until every input was on that worker, verified and unpacked
    wait_s: float = 0.0  # until a slot was free
    run_s: float = 0.0  # the body alone
    task_s: float = 0.0  # from the assignment until the result, as the paper counts
    fit_s: float = 0.0  # within the body, the training alone
    prefix: str = ""
    python: str = ""
    numpy: str = ""
    sklearn: str = ""

    @property
    def succeeded(self) -> bool:
        return self.accuracy is not None


@dataclass(frozen=True, slots=True)
class Run:
    """A whole sweep: what was asked, its tasks, and what it cost."""

    distribution: str
    workers: int
    rows: Sequence[Row]
    figures: dict[str, Any] = field(default_factory=dict)  # of the run as a whole, unit in the name

    @property
    def succeeded(self) -> list[Row]:
        return [row for row in self.rows if row.succeeded]

    @property
    def best(self) -> list[Row]:
        return sorted(self.succeeded, key=lambda row: -(row.accuracy or 0))[:_BEST]


def shown(value: object) -> str:
    """A hyperparameter as a person writes it: hidden layers as 64-64."""
    return "-".join(map(str, value)) if isinstance(value, tuple) else str(value)


# --- files ---------------------------------------------------------------------------------------


def write(run: Run, out: Path) -> None:
    """Write every file of the report into the folder."""
    write_tasks(run.rows, out / "tasks.csv")
    (out / "table1.md").write_text(tables(run))
    (out / "best.md").write_text(best_table(run))
    (out / "summary.json").write_text(json.dumps(summary(run), indent=2) + "\n")
    draw_histogram(run, out / "histogram.png")


_TIMES = ("queue_s", "stage_in_s", "wait_s", "run_s", "task_s", "fit_s")
_REST = ("attempts", "outcome", "message", "prefix", "python", "numpy", "sklearn")


def write_tasks(rows: Iterable[Row], path: Path) -> None:
    """A row a task: its combination, accuracy, worker, and where its time went."""
    plain = ("accuracy", "test_accuracy", "worker", "hostname")
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["number", *AXES, *plain, *_TIMES, *_REST])
        for row in rows:
            axes = [shown(row.combination[name]) for name in AXES]
            times = [f"{getattr(row, name):.4f}" for name in _TIMES]
            writer.writerow(
                [row.number, *axes, *(getattr(row, name) for name in plain), *times]
                + [getattr(row, name) for name in _REST]
            )


def moments(values: Sequence[float]) -> dict[str, float | None]:
    """Mean, median and standard deviation of all tasks there were, as in the paper's Table 1."""
    if not values:
        return {"mean": None, "median": None, "std": None}
    return {"mean": statistics.mean(values), "median": statistics.median(values), "std": statistics.pstdev(values)}


def tables(run: Run) -> str:
    """The paper's Table 1 for this run, and the same of the bodies alone."""

    def table(title: str, times: Sequence[float]) -> str:
        cells = " | ".join("-" if value is None else f"{value:.2f}" for value in moments(times).values())
        return (
            f"{title}\n\n| workers | {run.distribution}: mean | median | std |\n| ---: | ---: | ---: | ---: |\n"
            f"| {run.workers} | {cells} |\n"
        )

    whole = f"Task time in seconds ({len(run.succeeded)} tasks): from the assignment to a worker until the result, "
    return "\n".join(
        (
            table(whole + "stage-in and extraction included.", [row.task_s for row in run.succeeded]),
            table("The body alone, in seconds.", [row.run_s for row in run.succeeded]),
        )
    )


def best_table(run: Run) -> str:
    """The best combinations by validation accuracy."""
    lines = [
        f"| validation | test | {' | '.join(name.replace('_', ' ') for name in AXES)} |",
        f"| ---: | ---: | {' | '.join('---' for _ in AXES)} |",
    ]
    for row in run.best:
        axes = " | ".join(shown(row.combination[name]) for name in AXES)
        lines.append(f"| {row.accuracy:.4f} | {row.test_accuracy:.4f} | {axes} |")
    return "\n".join(lines) + "\n"


def summary(run: Run) -> dict[str, Any]:
    """The run in figures, for programs."""
    return {
        "distribution": run.distribution,
        "workers": run.workers,
        "tasks": len(run.rows),
        "succeeded": len(run.succeeded),
        "failed": len(run.rows) - len(run.succeeded),
        "best_accuracy": run.best[0].accuracy if run.best else None,
        "task_s": moments([row.task_s for row in run.succeeded]),
        "body_s": moments([row.run_s for row in run.succeeded]),
        "prefixes": sorted({row.prefix for row in run.succeeded}),
        "best": [
            {"number": row.number, "accuracy": row.accuracy, "test_accuracy": row.test_accuracy, **row.combination}
            for row in run.best
        ],
        **run.figures,
    }


def draw_histogram(run: Run, path: Path) -> None:
    """The task times in the form of the paper's Figure 3."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(4.8, 3.2), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    times = [row.task_s for row in run.succeeded]
    axes.hist(times, bins=min(50, max(10, len(times) // 4)), color="#4c72b0", edgecolor="white", linewidth=0.4)
    axes.set_xlim(left=0)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(f"{run.distribution}, {run.workers} workers, {len(times)} tasks", fontsize=10)
    axes.set_xlabel("execution time (s)")
    axes.set_ylabel("task count")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
