"""What does `vine-manager` do: make the run's directory and keys, listen, say that it is ready, and run."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import re
import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vine import config
from vine.errors import ExitCode, UsageError, VineError

if TYPE_CHECKING:
    from vine.names import RunId

_default_run_info = "vine-run-info"
_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_bind = re.compile(r"(?P<host>\[[^\]]+\]|[^:\[\]]+)?(?::(?P<port>[0-9]{1,5})(?:-(?P<high>[0-9]{1,5}))?)?")


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for on the command line."""

    run_dir: Path | None
    run_info_path: Path
    host: str
    ports: range  # the first that is free
    parent_fd: int | None
    name: str
    spread: str  # the value of a `Spread`
    data_encryption: bool
    limits: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class RunPlace:
    """Where the run lives and what it is called."""

    run_dir: Path
    staging_dir: Path
    run_id: RunId


def main(argv: Sequence[str] | None = None) -> int:
    """The command `vine-manager`."""
    try:
        options = _parse(argv)
        _set_limits(options.limits)
        from vine.manager.run import run  # Now that the limits are set, for some are read while importing.

        run(options, lambda: _make_run_dir(options))
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
    where.add_argument("--run-dir", metavar="DIR", help="the run's own directory, which it must not share")
    where.add_argument(
        "--run-info-path", metavar="DIR", default=_default_run_info,
        help="make the run's directory in here, named by the time (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--bind", metavar="HOST[:PORT[-HIGH]]", default="127.0.0.1",
        help="the address to listen on, at this port or the first free one up to HIGH (default: %(default)s, any port)",
    )  # fmt: skip
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
    host, ports = _address(given.bind)
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


# --- the run's directory ---------------------------------------------------------------------------


def _make_run_dir(options: Options) -> RunPlace:
    """Make the run's directory, closed to others."""
    from vine.names import RunId
    from vine.wire.keys import make_run_dir

    stamp = "-".join(filter(None, (options.name, time.strftime("%Y-%m-%dT%H%M%S"))))
    run_id = RunId(f"{stamp}-{secrets.token_hex(4)}")
    asked = options.run_dir or options.run_info_path
    try:
        if options.run_dir is not None:
            run_dir = options.run_dir.absolute()
            if run_dir.is_dir() and os.listdir(run_dir):  # Before it is closed to others: it may be anything.
                raise UsageError(f"the run directory {run_dir} is not empty: name a new one")
            make_run_dir(run_dir)
        else:
            run_dir = _new_folder(options.run_info_path.absolute(), stamp)
        staging_dir = run_dir / "staging"
        staging_dir.mkdir(mode=0o700)
        if options.run_dir is None:
            _point_most_recent(run_dir)
    except OSError as error:
        raise UsageError(
            f"{asked} cannot hold the run ({error.strerror}): name a directory that you can write"
        ) from None
    return RunPlace(run_dir, staging_dir, run_id)


def _new_folder(parent: Path, stamp: str) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
        with contextlib.suppress(FileExistsError):
            run_dir = parent / f"{stamp}{suffix}"
            run_dir.mkdir(mode=0o700)
            return run_dir
    raise UsageError(f"{parent} has a thousand runs of this second: name another --run-info-path")


def _point_most_recent(run_dir: Path) -> None:
    """Views find the latest run by this link. Where links cannot be made, they are told the directory."""
    link = run_dir.parent / "most-recent"
    fresh = run_dir.parent / f".most-recent.{os.getpid()}"
    with contextlib.suppress(OSError):
        fresh.symlink_to(run_dir.name)
        os.replace(fresh, link)


if __name__ == "__main__":
    sys.exit(main())
