"""What did the user ask this factory to be: the command line of `vine-factory`."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec

from vine import __version__
from vine.errors import ExitCode, UsageError, VineError
from vine.factory_options import LIVE, BatchType, FactoryOptions
from vine.names import WorkerId
from vine.wire.keys import load_connection
from vine.wire.parts import Role
from vine_factory.factory import Factory
from vine_factory.launchers.choice import launcher_for, plan_for
from vine_factory.settings import Settings

_FILE_HELP = """FILE is a table of these options by their long names without the dashes, in TOML if its name ends in
.toml, else in JSON: {"batch-type": "slurm", "max-workers": 50, "batch-option": ["--partition=main"]}. The command line
counts before it. While the factory runs it is read again when it changes; what may change then is marked with *, and
a file that is wrong changes nothing."""


def parse(argv: Sequence[str] | None) -> Settings:
    """UsageError, as argparse tells it, for what cannot be."""
    parser = argparse.ArgumentParser(
        prog="vine-factory", description="Keeps as many workers as a vine run needs.", epilog=_FILE_HELP
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--connection", type=Path, required=True, help="the run's connection.json, or its folder")
    parser.add_argument("--config", type=Path, metavar="FILE", help="more options: see below")
    parser.add_argument(
        "--dry-run", type=Path, metavar="DIR", help="write the scripts of the first workers there, and submit nothing"
    )
    parser.add_argument("--parent-fd", type=int, metavar="N", help="a pipe whose end is the end of this factory")
    _add_options(parser)
    given = vars(parser.parse_args(argv))
    own = {name: given.pop(name) for name in ("connection", "config", "dry_run", "parent_fd")}
    settings = Settings(given={name.replace("_", "-"): value for name, value in given.items()}, **own)
    try:
        settings.options()
    except UsageError as why:
        parser.error(str(why))
    return settings


def _add_options(parser: argparse.ArgumentParser) -> None:
    """Those that are declared in `FactoryOptions`; their values stay texts, which are looked at with the file's."""
    for each in msgspec.structs.fields(FactoryOptions):
        described: Any = each.type
        text = described.__metadata__[-1].description.replace("%", "%%")
        arguments: dict[str, Any] = {"help": f"{text}{' *' if each.name in LIVE else ''}", "default": argparse.SUPPRESS}
        if isinstance(each.default, bool):
            arguments |= {"action": "store_true"}
        elif isinstance(each.default, tuple):
            arguments |= {"action": "append", "metavar": "TEXT", "help": f"{text}; may be given several times"}
        elif each.name == "batch_type":
            arguments |= {"choices": get_args(BatchType)}
        else:
            arguments |= {"metavar": "N" if "workers" in each.name else "X"}
        parser.add_argument(f"--{each.encode_name}", **arguments)


def write_scripts(settings: Settings, folder: Path) -> list[str]:
    """What would be submitted for the first workers, written below the folder; returns the command."""
    options = msgspec.structs.replace(settings.options(), scratch_dir=str(folder.absolute()))
    connection = load_connection(settings.connection, Role.FACTORY)
    plan = plan_for(options, connection, options.name or options.batch_type, folder)
    number = max(1, options.min_workers)
    names = [WorkerId(f"{plan.factory}-1-{first}") for first in range(1, number + 1)]
    return launcher_for(plan, connection.run_dir, None).prepare(names)


def main(argv: Sequence[str] | None = None) -> int:
    settings = parse(argv)
    try:
        if settings.dry_run is not None:
            sys.stdout.write(f"{shlex.join(write_scripts(settings, settings.dry_run))}\n")
        else:
            Factory(settings).run()
    except VineError as why:
        sys.stderr.write(f"vine-factory: {why}\n")
        return why.exit_code
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
