"""What is there to say of a run: how it stands, as plain data, and the same in tables for people."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from vine import config
from vine.views.factories import factories
from vine.views.libraries import libraries
from vine.views.reading import Run
from vine.views.tables import Table, amount_of_bytes, duration

_rows_shown_max = 20
_reasons_shown_max = 5


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
    standing = [head(found), _tasks(found), _workers(found), factories(found), _transfers(found), _broadcasts(found)]
    parts = [*standing, _downloads(found), _categories(found), libraries(found), reasons(found), _failures(found)]
    parts.append(_foes(found))
    return [part for part in parts if part is not None]


def head(found: dict[str, Any]) -> Table:
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
    silent = [worker for worker in workers if worker.get("silent_s") is not None]
    closed = sum(not worker["open"] for worker in workers) - len(silent)
    ill = [f"{worker['id']} {worker['ill_for']}" for worker in workers if worker.get("ill_for")]
    aside = f", {closed} blocked or drained" if closed else ""
    aside += f" ({'; '.join(ill[:_rows_shown_max])})" if ill else ""
    since = [f"{worker['id']} for {duration(worker['silent_s'])}" for worker in silent[:_rows_shown_max]]
    aside += f", {len(silent)} silent ({', '.join(since)})" if silent else ""
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


def reasons(found: dict[str, Any]) -> Table | None:
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


def _foes(found: dict[str, Any]) -> Table | None:
    """What was dropped of peers and refused to strangers, if anything was."""
    manager = found.get("manager", {})
    counted = {
        "connections refused for their key": manager.get("refused", 0),
        "messages that were none": manager.get("malformed", 0),
        "of them at workers": sum(worker["malformed"] for worker in found.get("workers", [])),
        "messages that nobody may say then": found.get("strange_messages", 0),
        "wants that nobody had planned": manager.get("unauthorised", 0),
    }
    rows = [[str(count), what] for what, count in counted.items() if count]
    return Table("dropped:", (), rows) if rows else None


def _of_which(rows: Sequence[object]) -> str:
    return f" (the first {_rows_shown_max} below)" if len(rows) > _rows_shown_max else ""
