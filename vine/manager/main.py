"""What does `vine-manager` do: make the run's directory and keys, listen, say that it is ready, and run."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vine import config
from vine.errors import ExitCode, UsageError, VineError

_JOURNAL = "journal.sqlite"  # as `journal.file_name`, which is read only once the limits are set
_default_run_info = "vine-run-info"
_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_bind = re.compile(r"(?P<host>\[[^\]]+\]|[^:\[\]]+)?(?::(?P<port>[0-9]{1,5})(?:-(?P<high>[0-9]{1,5}))?)?")


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for on the command line."""

    run_dir: Path | None
    run_info_path: Path
    host: str | None  # None: the loopback, or where the run has been
    ports: range  # the first that is free
    parent_fd: int | None
    name: str
    accept_losses: bool
    spread: str  # the value of a `Spread`
    data_encryption: bool
    limits: tuple[tuple[str, float], ...]


def main(argv: Sequence[str] | None = None) -> int:
    """The command `vine-manager`."""
    try:
        options = _parse(argv)
        _set_limits(options.limits)
        from vine.manager.place import make_place
        from vine.manager.run import go_on, run  # Now that the limits are set, for some are read while importing.

        if options.run_dir is not None and (options.run_dir / _JOURNAL).is_file():
            go_on(options, options.run_dir.absolute())
        else:
            run(options, lambda: make_place(options))
    except VineError as error:
        print(f"vine-manager: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    return ExitCode.OK


# --- the command line ------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vine-manager",
        description="Schedule a run's tasks. Prints `ready FILE`, where FILE is what workers connect by, and keeps on.",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--run-dir", metavar="DIR",
        help="the run's own directory, which it must not share; that of a run whose manager has died: it goes on",
    )  # fmt: skip
    where.add_argument(
        "--run-info-path", metavar="DIR", default=_default_run_info,
        help="make the run's directory in here, named by the time (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--bind", metavar="HOST[:PORT[-HIGH]]",
        help="the address to listen on, at this port or the first free one up to HIGH (default: 127.0.0.1, any port; "
        "of a run that goes on: where it was)",
    )  # fmt: skip
    parser.add_argument(
        "--accept-losses", action="store_true", help="go on with a run though the end of its journal is lost"
    )
    parser.add_argument("--parent-fd", type=int, metavar="N", help="end when this pipe does: its other end has gone")
    parser.add_argument("--name", default="", metavar="NAME", help="what the run is called beside its time")
    parser.add_argument(
        "--spread",
        choices=("forest", "chain", "whole-file", "one-source"),
        default="forest",
        help="how large files come to many workers: through trees of chunks (the default), through a chain, "
        "whole from those that have them, or from the manager alone",
    )
    parser.add_argument(
        "--data-encryption",
        choices=("on", "off"),
        default="on",
        help="off: files travel in clear between nodes, which still check who asks and what comes (default: on)",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="LIMIT=VALUE", help="change a limit of vine.config; repeatable"
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    return parser


def _parse(argv: Sequence[str] | None) -> Options:
    given = _parser().parse_args(argv)
    host, ports = (None, range(1)) if given.bind is None else _address(given.bind)
    if given.parent_fd is not None and not _is_open(given.parent_fd):
        raise UsageError(
            f"--parent-fd {given.parent_fd} is not open here: let the manager inherit the pipe's reading end"
        )
    if given.name and not _name.fullmatch(given.name):
        raise UsageError(f"--name {given.name!r}: use at most 64 letters, digits, dots, dashes and underscores")
    return Options(
        run_dir=None if given.run_dir is None else Path(given.run_dir),
        run_info_path=Path(given.run_info_path),
        host=host,
        ports=ports,
        parent_fd=given.parent_fd,
        name=given.name,
        accept_losses=given.accept_losses,
        spread=given.spread,
        data_encryption=given.data_encryption == "on",
        limits=tuple(_limit(text) for text in given.set),
    )


class _Version(argparse.Action):
    """Looks the version up only when asked: that takes longer than the rest of the command line."""

    def __call__(self, parser: argparse.ArgumentParser, *rest: object, **options: object) -> None:
        from importlib.metadata import version

        print(f"vine-manager {version('vine-runtime')}")  # noqa: T201
        parser.exit()


def _address(text: str) -> tuple[str, range]:
    found = _bind.fullmatch(text)
    low = 0 if found is None else int(found["port"] or 0)
    high = low if found is None or found["high"] is None else int(found["high"])
    if found is None or not low <= high <= 65535 or (found["high"] and not low):
        raise UsageError(
            f"--bind {text!r}: give HOST, HOST:PORT, :PORT or HOST:LOW-HIGH, such as 127.0.0.1:9123 or [::1]:9123-9199"
        )
    return (found["host"] or "127.0.0.1").strip("[]"), range(low, high + 1)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except (OSError, OverflowError):
        return False
    return True


def _limit(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    present = getattr(config, name, None)
    if not isinstance(present, int | float):
        raise UsageError(f"--set {text!r}: vine.config has no limit called {name!r}")
    try:
        limit = type(present)(value)
    except ValueError:
        raise UsageError(f"--set {text!r}: {value!r} is no {type(present).__name__}") from None
    if not 0 <= limit < math.inf:
        raise UsageError(f"--set {text!r}: a limit is a number from 0 on")
    return name, limit


def _set_limits(limits: Sequence[tuple[str, float]]) -> None:
    for name, value in limits:
        setattr(config, name, value)


if __name__ == "__main__":
    sys.exit(main())
