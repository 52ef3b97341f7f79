"""How do the simulated runs compare with the paper: Table 1, speed-ups, and where the time of a task goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.mnist_sweep.simulate import paper, results
from benchmarks.mnist_sweep.simulate.parameters import Entry
from benchmarks.mnist_sweep.simulate.results import Results, Saved, error
from benchmarks.mnist_sweep.simulate.run import Distribution, Policy

MISS = 0.15  # A mean that is further from the paper's is one that needs a reason.
_FS, _VINE, _HOT = Distribution.SHARED_FS, Distribution.VINE, Distribution.VINE_HOT
_COLUMNS = {"shared-fs": (_FS, Policy.VINE), "vine by taskvine policy": (_VINE, Policy.TASKVINE)}
_MOMENTS = ("mean", "median", "std")


def of(sweeps: Results, entries: Mapping[str, Entry]) -> str:
    """The whole page."""
    parts = [
        "# The paper's evaluation, simulated",
        f"{sweeps.tasks:,} tasks in each run, {sweeps.draws} draws of the nodes for each; all times in seconds of "
        "virtual time. The model is fitted on the shared-fs column of the paper's Table 1 and on the gain from 128 to "
        "256 workers that its text states for shared-fs, and on nothing else: what stands below for vine is a "
        "prediction. Task time runs from the assignment to a worker until the result.",
        "## Table 1",
        table1(sweeps),
        far(sweeps),
        "## Speed-ups over shared-fs",
        speedups(sweeps),
        "## Run times (Figure 2)",
        run_times(sweeps),
        "## Where the mean task time goes",
        breakdown(sweeps),
        "## What our policy saves over whole files",
        saved(sweeps),
        "## The cluster",
        cluster(entries),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table1(sweeps: Results) -> str:
    """The paper's numbers, ours, and the error of each; our own policy has nothing in the paper to err from."""
    rows = []
    for size in sweeps.sizes:
        for name, (distribution, policy) in _COLUMNS.items():
            found, papers = sweeps.moments(size, distribution, policy), results.papers_of(distribution, size)
            if found is not None:
                cells = [_against(getattr(found, part), getattr(papers, part, None)) for part in _MOMENTS]
                rows.append([str(size), name, *(cell for three in cells for cell in three)])
        ours = sweeps.moments(size, _VINE, Policy.VINE)
        if ours is not None:
            cells = [("", _seconds(getattr(ours, part)), "") for part in _MOMENTS]
            rows.append([str(size), "vine, ours", *(cell for three in cells for cell in three)])
    head = ["workers", "distribution"]
    for part in _MOMENTS:
        head += [f"{part}: paper", "simulated", "error"]
    return markdown(head, rows)


def speedups(sweeps: Results) -> str:
    """Over shared-fs, and from 128 to 256 workers."""
    rows = []
    for of, what, papers, found in (
        (0, "run time", paper.RUN_SPEEDUPS, sweeps.run_speedup),
        (1, "mean task time", paper.TASK_SPEEDUPS, sweeps.task_speedup),
    ):
        for size in sweeps.sizes:
            theirs, ours = found(size, Policy.TASKVINE), found(size, Policy.VINE)
            bound = sweeps.bound(size)
            cells = [_ratio(ours), "" if bound is None else _ratio(bound[of])]
            rows.append([what, str(size), *_against(theirs, papers.get(size), _ratio), *cells])
    gains = (
        ("shared-fs", paper.SHARED_FS_GAIN, sweeps.gain(_FS), sweeps.gain(_FS)),
        ("vine", paper.VINE_GAIN, sweeps.gain(_VINE, Policy.TASKVINE), sweeps.gain(_VINE, Policy.VINE)),
    )
    for name, papers_gain, theirs, ours in gains:
        rows.append([f"128 to 256 workers, {name}", "", *_against(theirs, papers_gain, _ratio), _ratio(ours), ""])
    head = ["speed-up in", "workers", "paper", "taskvine policy", "error", "ours", "data that cost nothing"]
    return markdown(head, rows)


def run_times(sweeps: Results) -> str:
    """From the request for workers until the last result."""
    rows = [
        [
            str(run.workers),
            results.name_of(run),
            _seconds(run.run_s),
            _seconds(run.pack_s) if run.pack_s else "",
            str(run.at_once),
            f"{run.manager_copies:.1f}" if run.manager_copies else "",
        ]
        for run in sweeps.sweeps
    ]
    head = ["workers", "distribution", "run time", "of it packing", "tasks at once, a worker", "copies from manager"]
    return markdown(head, rows)


def breakdown(sweeps: Results) -> str:
    rows = [
        [str(run.workers), results.name_of(run), *map(_seconds, results.breakdown(run).values())]
        for run in sweeps.sweeps
    ]
    head = ["waiting for environment", "unpacking it", "waiting for dataset", "reading in place", "computing", "rest"]
    return markdown(["workers", "distribution", *head], rows)


def saved(sweeps: Results) -> str:
    """In seconds, draw for draw, with the standard error where there are several."""
    rows = []
    for size in sweeps.sizes:
        for distribution in (_VINE, _HOT):
            if found := sweeps.saved(size, distribution):
                rows.append([str(size), distribution.value, *map(_saved, found.values())])
    head = ["run time", "mean task time", "waiting for environment", "unpacking it", "waiting for dataset"]
    return markdown(["workers", "distribution", *head, "reading in place", "computing", "rest"], rows)


def cluster(entries: Mapping[str, Entry]) -> str:
    rows = []
    for name, entry in entries.items():
        each = entry.value.items() if isinstance(entry.value, dict) else [("", entry.value)]
        shown = ", ".join(f"{size}: {one:g}" if size else f"{one:g}" for size, one in each)
        rows.append([name, shown, entry.unit, entry.origin, entry.source])
    return markdown(["parameter", "value", "unit", "is", "from"], rows)


def closing(sweeps: Results) -> str:
    """What a person wants to know at the end."""
    return "\n".join(["", table1(sweeps), "", far(sweeps), "", speedups(sweeps)])


def far(sweeps: Results) -> str:
    """One line on the columns that the model misses."""
    missed = misses(sweeps)
    return f"Mean task times further than {MISS:.0%} from the paper's: {', '.join(missed)}." if missed else ""


def misses(sweeps: Results) -> list[str]:
    """The columns whose mean is further from the paper's than it should be."""
    found = []
    for size in sweeps.sizes:
        for name, (distribution, policy) in _COLUMNS.items():
            ours, papers = sweeps.moments(size, distribution, policy), results.papers_of(distribution, size)
            if ours is not None and papers is not None and abs(off := error(ours.mean, papers.mean)) > MISS:
                found.append(f"{name} with {size} workers {off:+.0%}")
    return found


# --- cells ---------------------------------------------------------------------------------------


def _seconds(value: float) -> str:
    return f"{value:.1f}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _saved(found: Saved) -> str:
    return f"{found.mean_s:.1f}" + ("" if found.error_s is None else f" ± {found.error_s:.1f}")


def _against(found: float | None, papers: float | None, shown: object = _seconds) -> tuple[str, str, str]:
    """Three cells: the paper's, ours, the error."""
    assert callable(shown)
    return (
        "" if papers is None else shown(papers),
        "" if found is None else shown(found),
        "" if found is None or papers is None else f"{error(found, papers):+.1%}",
    )


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
