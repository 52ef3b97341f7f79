"""What was asked of a run: how it stands, why a task waits, a trace of it, or a report."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vine import config
from vine.errors import ExitCode, UsageError, VineError
from vine.views import tables
from vine.views.history import history
from vine.views.reading import Run, latest_run, open_run
from vine.views.report import write_report
from vine.views.sections import sections, status
from vine.views.tables import Table
from vine.views.trace import write_trace
from vine.views.why import find, why


def main(argv: Sequence[str] | None = None) -> int:
    """The command `vine-status`."""
    try:
        options = _parse(argv)
        run_dir, asked, about = _words(options.words)
        with open_run(run_dir) as run:
            if asked is not None:
                print("\n".join(map(tables.printable, _ANSWERS[asked](run, about))))  # noqa: T201
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


# --- what can be asked -----------------------------------------------------------------------------


def _why(run: Run, number: str) -> list[str]:
    """Where the task is and why, then what has happened to it."""
    answer = why(run, number)
    return [*answer, *(f"  {line}" for line in history(run.connection, find(run, number).task_id))]


def _trace(run: Run, out: str) -> list[str]:
    written = write_trace(run, Path(out))
    what = f"{written.attempts} attempts and {written.transfers} transfers"
    return [
        f"wrote {what} to {out}: open it in https://ui.perfetto.dev (it stays in your browser), or chrome://tracing"
    ]


def _report(run: Run, out: str) -> list[str]:
    write_report(run, Path(out))
    return [f"wrote {out}: open it in a browser"]


_ANSWERS: dict[str, Callable[[Run, str], list[str]]] = {"why": _why, "trace": _trace, "report": _report}
_ABOUT = {"why": ("one task", "TASK"), "trace": ("one file", "OUT.json"), "report": ("one file", "OUT.html")}


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="vine-status",
        usage="vine-status [-h] [--version] [--json | --watch] [RUN_DIR]\n"
        "       vine-status [RUN_DIR] (why TASK | trace OUT.json | report OUT.html)",
        description="Show how a run stands; why one of its tasks is where it is, and what has happened to it; what ran "
        "where and when (a trace for Perfetto); or all of it on one page. During the run, and after it.",
    )
    parser.add_argument(
        "words", nargs="*", metavar="RUN_DIR", help=f"the run's directory (default: {latest_run}); then what is asked"
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


def _words(words: Sequence[str]) -> tuple[Path, str | None, str]:
    """The run's directory and, where something particular was asked for, what and about what."""
    asked = next((word for word in words if word in _ANSWERS), None)
    if asked is not None:
        place = words.index(asked)
        before, after = words[:place], words[place + 1 :]
        if len(before) > 1 or len(after) != 1:
            what, name = _ABOUT[asked]
            raise UsageError(f"name {what}: vine-status [RUN_DIR] {asked} {name}")
        return Path(before[0]) if before else latest_run, asked, after[0]
    if len(words) > 1:
        raise UsageError(f"{words[1]!r} is one word too many: vine-status [RUN_DIR], or vine-status [RUN_DIR] why TASK")
    return Path(words[0]) if words else latest_run, None, ""


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
