"""What does the whole journal come to: totals, functions, failures, workers, and how numbers changed over the run."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import fmean

from vine.manager.replay import task_spec
from vine.views.curves import Change, Curve, Histogram, curve, histogram, quantile
from vine.views.reading import Run
from vine.views.spans import BODIES, label_of
from vine.views.tables import Table, amount_of_bytes, duration, fine_duration
from vine.wire.parts import TaskKind, TaskSpec

_rows_shown_max = 20
_FAILED = "outcome NOT IN ('success', 'cancelled')"

_CHANGES = {
    "running": f"SELECT begun_s, 1 FROM ({BODIES}) UNION ALL SELECT over_s, -1 FROM ({BODIES}) WHERE over_s NOT NULL",  # noqa: S608
    "cores": "SELECT joined_s, cores FROM workers UNION ALL SELECT left_s, -cores FROM workers WHERE left_s NOT NULL",
    "workers": "SELECT joined_s, 1 FROM workers UNION ALL SELECT left_s, -1 FROM workers WHERE left_s NOT NULL",
    "submitted": "SELECT accepted_s, 1 FROM tasks",
    "done": "SELECT ended_s, 1 FROM tasks WHERE outcome = 'success'",
    "failed": f"SELECT ended_s, 1 FROM tasks WHERE {_FAILED}",  # noqa: S608 - all of these are our own words
    "from_manager": "SELECT ended_s, bytes_from_manager FROM transfers",
    "from_workers": "SELECT ended_s, bytes - bytes_from_manager FROM transfers WHERE NOT download",
    "from_urls": "SELECT ended_s, bytes FROM transfers WHERE download",
}


def curve_of(run: Run, name: str, points: int) -> Curve:
    """How one of the numbers above changed over the run."""
    changes: Iterator[Change] = run.connection.execute(_CHANGES[name])
    return curve(changes, run.began_s(), run.latest_s(), points)


def body_times(run: Run, bins: int) -> Histogram:
    """Of attempts whose end their worker has told."""
    return histogram(_column(run, "SELECT run_s FROM attempts WHERE run_s > 0 ORDER BY run_s"), bins)


def task_times(run: Run, bins: int) -> Histogram:
    """From submission until the result was committed."""
    query = "SELECT ended_s - accepted_s AS took FROM tasks WHERE outcome = 'success' ORDER BY took"
    return histogram(_column(run, query), bins)


def _column(run: Run, query: str) -> list[float]:
    return [value for (value,) in run.connection.execute(query)]


# --- tables ----------------------------------------------------------------------------------------


def totals(run: Run) -> Table:
    """The run in a few lines."""
    connection = run.connection
    states = connection.execute("SELECT state, count(*) FROM tasks GROUP BY state ORDER BY count(*) DESC").fetchall()
    attempts, body_s = connection.execute("SELECT count(*), sum(run_s) FROM attempts").fetchone()
    cpu_s, measured_s = connection.execute(
        "SELECT sum(cpu_s), sum(run_s) FROM attempts WHERE cpu_s NOT NULL"
    ).fetchone()
    workers, hosts = connection.execute(
        "SELECT count(DISTINCT worker_id), count(DISTINCT hostname) FROM workers"
    ).fetchone()
    end = "SELECT sum(cores * (coalesce(left_s, ?) - joined_s)) FROM workers"
    (offered_s,) = connection.execute(end, (run.latest_s(),)).fetchone()
    moved = connection.execute(
        "SELECT count(*), sum(fault != 'none'), total(bytes_from_manager),"
        " total(CASE WHEN download THEN 0 ELSE bytes - bytes_from_manager END), total(download * bytes) FROM transfers"
    ).fetchone()
    transfers, broken, *amounts = (amount or 0 for amount in moved)
    ways = zip(amounts, ("the manager", "workers", "URLs"), strict=True)
    used = f", {duration(cpu_s)} of processor in {duration(measured_s)} of those that were measured" if cpu_s else ""
    rows = [
        ["tasks", ", ".join(f"{count:,} {state}" for state, count in states) or "none"],
        ["attempts", f"{attempts:,}; their bodies ran {duration(body_s or 0.0)} in all{used}"],
        ["workers", f"{workers:,} on {hosts:,} hosts, {duration(offered_s or 0.0)} of their cores"],
        [
            "transfers",
            f"{transfers:,}, {broken:,} broken; {', '.join(f'{amount_of_bytes(n)} from {who}' for n, who in ways)}",
        ],
    ]
    return Table("In all", (), rows)


@dataclass(slots=True)
class _Group:
    """What the attempts of one function, or of commands that begin alike, have taken."""

    runs: array[float] = field(default_factory=lambda: array("d"))
    inputs: array[float] = field(default_factory=lambda: array("d"))
    waits: array[float] = field(default_factory=lambda: array("d"))
    failed: int = 0


def by_function(run: Run) -> Table | None:
    """Where the time went, by what was run."""
    groups: dict[str, _Group] = defaultdict(_Group)
    query = "SELECT spec, run_s, stage_in_s, wait_s, attempts.outcome FROM attempts JOIN tasks USING (task_id)"
    for encoded, run_s, stage_in_s, wait_s, outcome in run.connection.execute(
        f"{query} WHERE attempts.ended_s NOT NULL"
    ):
        group = groups[_kind_of(task_spec(encoded))]
        group.failed += outcome not in ("success", "cancelled")
        if run_s:
            group.runs.append(run_s)
            group.inputs.append(stage_in_s)
            group.waits.append(wait_s)
    most = sorted(groups.items(), key=lambda item: -sum(item[1].runs))[:_rows_shown_max]
    columns = (
        "what",
        "attempts",
        "failed",
        "body: in all",
        "mean",
        "median",
        "longest",
        "inputs: mean",
        "then waited: mean",
    )
    return Table("Where the time went", columns, [_row(name, group) for name, group in most]) if most else None


def _kind_of(spec: TaskSpec) -> str:
    label = spec.label or spec.kind.value
    return f"{label.split()[0]} ..." if spec.kind is TaskKind.COMMAND and len(label.split()) > 1 else label


def _row(name: str, group: _Group) -> list[str]:
    runs = sorted(group.runs)
    means = [fmean(times) if times else 0.0 for times in (runs, group.inputs, group.waits)]
    body = [duration(sum(runs)), *map(fine_duration, (means[0], quantile(runs, 0.5), quantile(runs, 1.0)))]
    return [name, f"{len(runs):,}", f"{group.failed:,}", *body, *map(fine_duration, means[1:])]


def failures_by_kind(run: Run) -> Table | None:
    """How tasks and attempts ended that did not succeed; an attempt that failed may have been tried again."""
    query = (
        "SELECT outcome, sum(tasks), sum(attempts), max(message) FROM ("  # noqa: S608 - our own words
        f"SELECT outcome, 1 AS tasks, 0 AS attempts, message FROM tasks WHERE {_FAILED}"
        f" UNION ALL SELECT outcome, 0, 1, message FROM attempts WHERE {_FAILED}"
        ") GROUP BY outcome ORDER BY 2 DESC, 3 DESC"
    )
    rows = [
        [outcome, f"{tasks:,}", f"{attempts:,}", message or ""]
        for outcome, tasks, attempts, message in run.connection.execute(query)
    ]
    return Table("What failed", ("outcome", "tasks", "attempts", "such as"), rows) if rows else None


def last_failures(run: Run) -> Table | None:
    """The tasks that failed last, with cause and log."""
    query = (
        f"SELECT task_id, outcome, message, worker_id, ended_s FROM tasks WHERE {_FAILED}"  # noqa: S608 - our own words
        " ORDER BY ended_s DESC LIMIT ?"
    )
    rows = [
        [
            str(task_id),
            label_of(run.connection, task_id),
            _since(run, ended_s),
            outcome,
            message or "",
            worker or "",
            log_of(run, worker),
        ]
        for task_id, outcome, message, worker, ended_s in run.connection.execute(query, (_rows_shown_max,)).fetchall()
    ]
    return (
        Table("The last failures", ("task", "what", "at", "outcome", "cause", "worker", "log"), rows) if rows else None
    )


def longest(run: Run) -> Table | None:
    """The bodies that ran longest."""
    what = "task_id, worker_id, run_s, memory_mb, outcome"
    query = f"SELECT {what} FROM attempts WHERE run_s > 0 ORDER BY run_s DESC LIMIT 10"  # noqa: S608 - our own words
    rows = [
        [
            str(task_id),
            label_of(run.connection, task_id),
            duration(run_s),
            worker,
            "" if memory_mb is None else f"{memory_mb:.0f} MB",
            outcome,
        ]
        for task_id, worker, run_s, memory_mb, outcome in run.connection.execute(query).fetchall()
    ]
    return Table("The longest bodies", ("task", "what", "ran", "worker", "memory", "outcome"), rows) if rows else None


def workers(run: Run) -> Table | None:
    """Who took part, from when until why, and how much ran there."""
    query = (
        "SELECT worker_id, hostname, cores, joined_s, left_s, reason, log_path, ran, attempts FROM workers LEFT JOIN"
        " (SELECT worker_id, sum(run_s) AS ran, count(*) AS attempts FROM attempts GROUP BY worker_id)"
        " USING (worker_id)"
        " ORDER BY joining LIMIT ?"
    )
    rows = []
    for worker, hostname, cores, joined_s, left_s, reason, log, ran_s, attempts in run.connection.execute(
        query, (_rows_shown_max,)
    ):
        left = "" if left_s is None else f"{_since(run, left_s)}: {reason}"
        rows.append(
            [
                worker,
                hostname,
                f"{cores:g}",
                _since(run, joined_s),
                left,
                f"{attempts or 0:,}",
                duration(ran_s or 0.0),
                log or "",
            ]
        )
    (number,) = run.connection.execute("SELECT count(*) FROM workers").fetchone()
    title = f"Workers: {number:,}" + (f" (the first {_rows_shown_max} below)" if number > _rows_shown_max else "")
    columns = ("worker", "host", "cores", "joined", "left", "attempts", "their bodies ran", "log")
    return Table(title, columns, rows) if rows else None


def log_of(run: Run, worker: str | None) -> str:
    """Where the log of a worker lies, as it joined last."""
    row = run.connection.execute(
        "SELECT log_path FROM workers WHERE worker_id = ? ORDER BY joining DESC", (worker,)
    ).fetchone()
    return "" if row is None else row[0] or ""


def _since(run: Run, at_s: float) -> str:
    return f"+ {duration(max(0.0, at_s - run.began_s()))}"
