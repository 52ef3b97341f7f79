"""How does the run stand: workers, tasks by state, transfers, why tasks wait and why they failed."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vine import config
from vine.errors import ExitCode, UsageError, VineError
from vine.views import tables
from vine.views.factories import factories
from vine.views.libraries import libraries
from vine.views.reading import Run, latest_run, open_run
from vine.views.tables import Table, amount_of_bytes, duration
from vine.views.why import why

_rows_shown_max = 20
_reasons_shown_max = 5


def main(argv: Sequence[str] | None = None) -> int:
    """The command `vine-status`."""
    try:
        options = _parse(argv)
        run_dir, task = _words(options.words)
        with open_run(run_dir) as run:
            if task is not None:
                print("\n".join(why(run, task)))  # noqa: T201
            elif options.watch:
                _watch(run)
            elif options.json:
                print(json.dumps(status(run, time.time())))  # noqa: T201
            else:
                _show(sections(status(run, time.time())))
    except VineError as error:
        print(f"vine-status: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()  # Or the interpreter would complain of the pipe once more.
    except KeyboardInterrupt:
        pass
    return ExitCode.OK


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="vine-status",
        usage="vine-status [-h] [--version] [--json | --watch] [RUN_DIR]\n       vine-status [RUN_DIR] why TASK",
        description="Show how a run stands, or why one of its tasks is where it is.",
    )
    parser.add_argument(
        "words", nargs="*", metavar="RUN_DIR", help=f"the run's directory (default: {latest_run}); then: why TASK"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print everything as one line of JSON")
    how.add_argument("--watch", action="store_true", help="show it anew every second until the run ends")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    return parser.parse_args(argv)


class _Version(argparse.Action):
    """Looks the version up only when asked: that takes longer than all the rest."""

    def __call__(self, parser: argparse.ArgumentParser, *rest: object, **options: object) -> None:
        from importlib.metadata import version

        print(f"vine-status {version('vine-runtime')}")  # noqa: T201
        parser.exit()


def _words(words: Sequence[str]) -> tuple[Path, str | None]:
    """The run's directory and, where it was asked for, the task."""
    if "why" in words:
        place = words.index("why")
        before, after = words[:place], words[place + 1 :]
        if len(before) > 1 or len(after) != 1:
            raise UsageError("name one task: vine-status [RUN_DIR] why TASK")
        return Path(before[0]) if before else latest_run, after[0]
    if len(words) > 1:
        raise UsageError(f"{words[1]!r} is one word too many: vine-status [RUN_DIR], or vine-status [RUN_DIR] why TASK")
    return Path(words[0]) if words else latest_run, None


# --- what there is to say --------------------------------------------------------------------------


def status(run: Run, now_s: float) -> dict[str, Any]:
    """Everything at once, as plain data."""
    facts = run.facts()
    heard = run.snapshot()
    at_s, snapshot = heard if heard is not None else (facts["started_s"], {})
    return {
        "run_id": facts["run_id"],
        "run_dir": str(run.run_dir),
        "started_s": facts["started_s"],
        "ended_s": facts.get("ended_s"),
        "end_reason": facts.get("end_reason"),
        "told_s": at_s,
        "silent_s": max(0.0, now_s - at_s),
        "rates": run.rates(),
        **snapshot,
    }


def sections(found: dict[str, Any]) -> list[Table]:
    """The same for people."""
    standing = [_head(found), _tasks(found), _workers(found), factories(found), _transfers(found), _broadcasts(found)]
    parts = [*standing, _downloads(found), _categories(found), libraries(found), _reasons(found), _failures(found)]
    return [part for part in parts if part is not None]


def _head(found: dict[str, Any]) -> Table:
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found["started_s"]))
    if found["ended_s"] is not None:
        lasted = duration(found["ended_s"] - found["started_s"])
        standing = f"ended after {lasted}: {found['end_reason']}"
    elif found["silent_s"] > config.worker_lost_after_s:
        standing = f"its manager has said nothing for {duration(found['silent_s'])}: it was killed, or its host is down"
    else:
        standing = f"runs for {duration(found['told_s'] - found['started_s'])}"
    return Table(f"run {found['run_id']} of {began}: {standing}", (), [[found["run_dir"]]])


def _tasks(found: dict[str, Any]) -> Table:
    counts = found.get("tasks", {})
    shown = [f"{count} {state}" for state, count in counts.items() if count]
    return Table(f"tasks: {', '.join(shown) or 'none yet'}", (), ())


def _workers(found: dict[str, Any]) -> Table:
    workers = found.get("workers", [])
    rows = [
        [
            worker["id"],
            worker["hostname"],
            f"{worker['used']['cores']:g}/{worker['capacity']['cores']:g}",
            str(worker["running"]),
            str(worker["staged"]),
            str(worker["objects"]),
            amount_of_bytes(worker["store_bytes"]),
            amount_of_bytes(worker["received_bytes"]),
            amount_of_bytes(worker["sent_bytes"]),
            f"{worker['flows_out']} (max {worker['flows_out_max']})",
        ]
        for worker in workers[:_rows_shown_max]
    ]
    columns = (
        "worker", "host", "cores used", "running", "staged", "objects", "cache", "received", "sent", "serving",
    )  # fmt: skip
    when = "" if found["ended_s"] is None else " when it ended"
    closed = sum(not worker["open"] for worker in workers)
    aside = f", {closed} blocked or drained" if closed else ""
    return Table(f"workers{when}: {len(workers)}{aside}{_of_which(workers)}", columns if rows else (), rows)


def _transfers(found: dict[str, Any]) -> Table:
    transfers = found.get("transfers", [])
    rows = [
        [
            transfer["label"] or transfer["object"][:12],
            transfer["source"],
            transfer["destination"],
            amount_of_bytes(transfer["bytes"]),
            duration(transfer["seconds"]),
        ]
        for transfer in transfers[:_rows_shown_max]
    ]
    rates = found["rates"]
    flows = [
        f"{amount_of_bytes(found.get(name, 0))} from {who} ({amount_of_bytes(rates[name])}/s)"
        for name, who in (("bytes_from_manager", "the manager"), ("bytes_from_peers", "peers"))
    ]
    title = (
        f"transfers: {len(transfers)} now{_of_which(transfers)}, {found.get('transfers_done', 0)} done,"
        f" {found.get('transfers_failed', 0)} failed; {', '.join(flows)}{_slots(found)}"
    )
    return Table(title, ("file", "from", "to", "size", "since") if rows else (), rows)


def _slots(found: dict[str, Any]) -> str:
    """How near the nodes have come to what they may serve, and who waits for that."""
    if "flows_out_max_allowed" not in found:
        return ""
    cap, manager = found["flows_out_max_allowed"], found.get("manager", {}).get("flows_out_max", 0)
    waiting = found.get("transfers_wanting", 0), found.get("transfers_awaiting_mates", 0)
    reasons = ("for a source with a free slot", "for another worker of their host")
    waits = "".join(f"; {count} wait {reason}" for count, reason in zip(waiting, reasons, strict=True) if count)
    most = f"at most {found.get('served_at_once_max', 0)} at once from a worker, {manager} from the manager"
    return f"; {most} (cap {cap}, and {config.manager_small_transfers} of the manager for small files){waits}"


def _downloads(found: dict[str, Any]) -> Table | None:
    downloads = found.get("downloads", [])
    counted = ("running", "of_one_url_max", "waiting", "done", "failed", "changed")
    now, most, waiting, done, failed, changed = (found.get(f"downloads_{name}", 0) for name in counted)
    if not (downloads or most):
        return None  # Most runs have no URLs.
    rows = [
        [
            download["label"],
            download["worker"] or "nobody yet",
            duration(download["seconds"]) if download["worker"] else "",
            download["trouble"],
        ]
        for download in downloads[:_rows_shown_max]
    ]
    title = (
        f"downloads: {now} now (most at once of one URL: {most}), {waiting} waiting{_of_which(downloads)}, "
        f"{done} done, {failed} failed, {changed} changed since; "
        f"{amount_of_bytes(found.get('bytes_from_urls', 0))} from URLs"
    )
    return Table(title, ("url", "by", "since", "last trouble") if rows else (), rows)


def _broadcasts(found: dict[str, Any]) -> Table | None:
    broadcasts = found.get("broadcasts", [])
    rows = [
        [
            broadcast["label"],
            f"{broadcast['have']} of {broadcast['wanted']}" + (f" ({given_up} could not)" if given_up else ""),
            amount_of_bytes(broadcast["bytes"]),
            f"{'took' if broadcast['ended'] else 'since'} {duration(broadcast['seconds'])}",
            f"{amount_of_bytes(broadcast['bytes_per_s'])}/s",
            "" if broadcast["of_bound"] is None else f"{broadcast['of_bound']:.0%}",
        ]
        for broadcast in broadcasts[-_rows_shown_max:]
        for given_up in [broadcast["given_up"]]
    ]
    columns = ("file", "workers that have it", "size", "time", "over all", "of one transfer's speed")
    return Table(f"broadcasts: {len(rows)}", columns, rows) if rows else None


def _categories(found: dict[str, Any]) -> Table | None:
    rows = [
        [
            category["name"],
            category["mode"],
            str(category["running"]) + ("" if most is None else f" of at most {most}"),
            str(category["measured"]),
            f"{category['cores']:.1f}",
            f"{category['memory_mb']:.0f} MB",
            f"{category['disk_mb']:.0f} MB",
        ]
        for category in found.get("categories", [])[:_rows_shown_max]
        for most in [category["concurrent_max"]]
    ]
    columns = ("category", "mode", "running", "measured", "cores at most", "memory at most", "disk at most")
    return Table("categories:", columns, rows) if rows else None


def _reasons(found: dict[str, Any]) -> Table | None:
    rows = [
        [str(reason["tasks"]), reason["reason"], "" if reason["example"] is None else f"such as {reason['example']}"]
        for reason in found.get("reasons", [])[:_reasons_shown_max]
    ]
    return Table("why tasks wait:", ("tasks", "reason", "task"), rows) if rows else None


def _failures(found: dict[str, Any]) -> Table | None:
    rows = [
        [
            f"{failure['task']} {failure['label']}".strip(),
            failure["outcome"],
            failure["message"],
            failure["worker"] or "",
            failure["log_path"],
        ]
        for failure in found.get("failures", [])
    ]
    return Table("last failures:", ("task", "outcome", "cause", "worker", "log"), rows) if rows else None


def _of_which(rows: Sequence[object]) -> str:
    return f" (the first {_rows_shown_max} below)" if len(rows) > _rows_shown_max else ""


# --- showing it ------------------------------------------------------------------------------------


def _show(parts: list[Table]) -> None:
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(tables.rich(parts))
    else:
        print(tables.plain(parts))  # noqa: T201


def _watch(run: Run) -> None:
    if not sys.stdout.isatty():
        while not _ended(found := status(run, time.time())):
            print(tables.plain(sections(found)), flush=True)  # noqa: T201
            time.sleep(config.statistics_interval_s)  # As often as the manager writes what is read here.
        print(tables.plain(sections(found)))  # noqa: T201
        return
    from rich.live import Live

    with Live(screen=False, auto_refresh=False) as live:
        while True:
            found = status(run, time.time())
            live.update(tables.rich(sections(found)), refresh=True)
            if _ended(found):
                return
            time.sleep(config.statistics_interval_s)


def _ended(found: dict[str, Any]) -> bool:
    return found["ended_s"] is not None


if __name__ == "__main__":
    sys.exit(main())
