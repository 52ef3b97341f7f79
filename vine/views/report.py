"""How did the run go as a whole: one page that holds its figures, plots, failures and waits, and needs nothing else."""

from __future__ import annotations

import html
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from vine.views import charts, summary
from vine.views.charts import Line
from vine.views.reading import Run
from vine.views.sections import head, reasons, status
from vine.views.tables import Table
from vine.views.writing import written_whole

_POINTS = 280  # Of a curve: two pixels each.
_BINS = 40

_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 1180px; color: #222; padding: 0 1em }
h1 { font-size: 1.3em } h2 { font-size: 1.05em; margin: 1.6em 0 .4em }
table { border-collapse: collapse } td, th { text-align: left; padding: 2px 14px 2px 0; vertical-align: top }
th { color: #777; font-weight: normal } td { overflow-wrap: anywhere }
svg { font: 11px system-ui, sans-serif; margin: 0 12px 12px 0 } p.plots { display: flex; flex-wrap: wrap }
"""


def write_report(run: Run, out: Path) -> None:
    """Write the page to `out`, whole or not at all; UsageError if it cannot be written."""
    with written_whole(out) as file:
        file.write(page(run, time.time()))


def page(run: Run, now_s: float) -> str:
    """All of it as HTML. What users and workers have said stands in it as text, whatever it looks like."""
    found = status(run, now_s)
    title = head(found)
    waits = None if found["ended_s"] is not None else reasons(found)
    tables = [
        summary.totals(run), summary.by_function(run), waits, summary.failures_by_kind(run),
        summary.last_failures(run), summary.longest(run), summary.workers(run),
    ]  # fmt: skip
    first, *others = [_table(table) for table in tables if table is not None]
    plots = f'<p class="plots">{"".join(_plots(run))}</p>'
    meta = '<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    meta += "style-src 'unsafe-inline'\">"
    name, where = html.escape(title.title), html.escape(title.rows[0][0])
    body = "\n".join([f"<h1>{name}</h1><p>{where}</p>", first, plots, *others])
    top = f"{meta}<title>{name}</title><style>{_STYLE}</style>"
    return f'<!DOCTYPE html><html lang="en"><head>{top}</head>\n<body>{body}</body></html>\n'


def _plots(run: Run) -> Iterable[str]:
    begin_s, end_s = run.began_s(), run.latest_s()
    lasted_s = max(end_s - begin_s, 1e-3)
    x_label = "seconds since the run began"
    running, slots, workers = (summary.curve_of(run, name, _POINTS) for name in ("running", "cores", "workers"))
    at_once = [Line("bodies that run", running.means), Line("cores that are there", slots.means)]
    yield charts.lines("Running at once", at_once, lasted_s, x_label, "")
    ended = [Line(name, summary.curve_of(run, name, _POINTS).lasts) for name in ("submitted", "done", "failed")]
    yield charts.lines("Tasks", ended, lasted_s, x_label, "tasks")
    yield charts.lines("Workers", [Line("connected", workers.means)], lasted_s, x_label, "workers")
    moved = [
        Line(words, [amount / 1e6 for amount in summary.curve_of(run, name, _POINTS).lasts])
        for words, name in (
            ("from the manager", "from_manager"),
            ("from workers", "from_workers"),
            ("URLs", "from_urls"),
        )
    ]
    yield charts.lines("Data that has moved", moved, lasted_s, x_label, "MB")
    yield charts.bars("How long bodies ran", summary.body_times(run, _BINS), "seconds", "attempts")
    yield charts.bars("From submission to the result", summary.task_times(run, _BINS), "seconds", "tasks")


def _table(table: Table) -> str:
    columns = "".join(f"<th>{html.escape(name)}</th>" for name in table.columns)
    rows = "".join(f"<tr>{_cells(row)}</tr>" for row in table.rows)
    return f"<h2>{html.escape(table.title)}</h2><table><tr>{columns}</tr>{rows}</table>"


def _cells(row: Sequence[str]) -> str:
    return "".join(f"<td>{html.escape(cell)}</td>" for cell in row)
