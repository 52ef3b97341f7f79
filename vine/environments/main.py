"""The command `vine-package`: how are environments packed, looked into and tried by hand?"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from vine.environments.sources import Source, recognise
from vine.errors import ExitCode, FileMissing, UsageError, VineError
from vine.views.tables import amount_of_bytes

_LARGEST_SHOWN = 15


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes are those of `ExitCode`; `run` ends as the command that it ran."""
    options = _parser().parse_args(argv)
    try:
        code: int = _COMMANDS[options.command](options)
    except VineError as error:
        print(f"vine-package: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()  # Or the interpreter would complain of the pipe once more.
        return ExitCode.OK
    except KeyboardInterrupt:
        return ExitCode.FAILED
    return code


def _create(options: argparse.Namespace) -> int:
    from vine.environments.cache import Cache
    from vine.environments.progress import bar

    source = _source(options)
    output = options.output or Path(f"{Path(source.label).name}.tar.zst")
    with bar(source.label) as progress:
        archive = Cache().archive_of(source, progress)
    unfinished = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        shutil.copyfile(archive, unfinished)
        os.replace(unfinished, output)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise UsageError(f"{output} cannot be written ({error.strerror}): name another --output") from error
    print(output)  # noqa: T201
    return ExitCode.OK


def _source(options: argparse.Namespace) -> Source:
    if (options.environment is None) == (not options.requirement):
        raise UsageError("name one environment to pack, or give --requirement once or more")
    source = recognise(options.requirement or options.environment, options.copy_interpreter)
    if isinstance(source, Path):
        raise UsageError(f"{source} is an archive already: use it as it is")
    return source


def _analyze(options: argparse.Namespace) -> int:
    from vine.environments.analyze import needs_of

    needs = needs_of(options.script, options.function)
    if options.json:
        plain = {"pins": needs.pins, "own": sorted(map(str, needs.own.values())), "unknown": sorted(needs.unknown)}
        print(json.dumps(plain))  # noqa: T201
    else:
        for name, version in sorted(needs.pins.items()):
            print(f"{name}=={version}")  # noqa: T201
        for path in sorted(needs.own.values()):
            print(f"# {path} lies beside the script: add it to tasks as an input")  # noqa: T201
    if needs.unknown:
        raise VineError(
            f"nothing that is installed here brings {', '.join(sorted(needs.unknown))}: install it, "
            "or run vine-package with the Python that has it"
        )
    return ExitCode.OK


def _inspect(options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    from vine.environments.inspect import inspected

    report = inspected(options.archive)
    if options.json:
        print(json.dumps(report.as_plain()))  # noqa: T201
        return ExitCode.OK
    says = report.says
    rows = {
        "archive": amount_of_bytes(report.archive_bytes),
        "unpacked": f"{amount_of_bytes(report.content_bytes)} in {report.files:,} files, {report.links:,} links",
        "ratio": f"{report.content_bytes / max(1, report.archive_bytes):.1f}",
        "Python": says.python or "none found",
        "base": "brought along" if report.has_library else f"workers need {says.base or 'the same Python'} too",
        "installed": f"{len(says.pins)} distributions, listed with --json" if says.pins else "not noted",
        "unpacking": f"takes {amount_of_bytes(report.disk_bytes)} of disk and {report.files + report.folders:,} "
        f"inodes, once a host; decompressing took {report.read_s:.1f} s here on one core",
    }
    console = Console()
    table = Table(show_header=False, box=None)
    for name, said in rows.items():
        table.add_row(name, said)
    console.print(table)
    largest = Table("largest packages", "size")
    for name, size in report.packages[:_LARGEST_SHOWN]:
        largest.add_row(name, amount_of_bytes(size))
    if report.packages:
        console.print(largest)
    return ExitCode.OK


def _run(options: argparse.Namespace) -> int:
    command = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not command:
        raise UsageError("name the command to run, behind --")
    if options.unpack_to is not None:
        return _run_in(options.archive, options.unpack_to, command)
    with tempfile.TemporaryDirectory(prefix="vine-package-") as folder:
        try:
            return _run_in(options.archive, Path(folder) / "environment", command)
        finally:
            from vine.content import folders

            folders.remove_members(Path(folder))


def _run_in(archive: Path, folder: Path, command: list[str]) -> int:
    """In a folder that keeps what is unpacked there for the next time; UsageError if that is of another archive."""
    from vine.content.archive import unpack
    from vine.content.folders import open_folders
    from vine.environments.running import entrance, variables_in

    folder = Path(os.path.abspath(folder))
    whole = folder.with_name(folder.name + ".unpacked")  # Names the archive, once all of it is there.
    version = _version_of(archive)
    if not whole.exists() or not folder.exists():
        unpack(archive, folder, place=folder)
        open_folders(folder)  # It is the user's, to be removed as any other.
        whole.write_text(version)
    elif whole.read_text() != version:
        raise UsageError(f"{folder} holds another archive, or an earlier one of that name: remove it, or name another")
    try:
        variables = variables_in(folder, os.environ)
        program = shutil.which(command[0], path=variables["PATH"]) or command[0]
        code = subprocess.run([*entrance(folder), program, *command[1:]], env=variables).returncode
    except OSError as error:
        raise UsageError(f"{command[0]} cannot be run in {archive} ({error.strerror}): check its name") from error
    return code if code >= 0 else 128 - code  # As shells tell of signals.


def _version_of(archive: Path) -> str:
    try:
        status = archive.stat()
    except OSError as error:
        raise FileMissing(f"{archive} cannot be read ({error.strerror}): check its name") from error
    return f"{os.path.abspath(archive)} {status.st_size} {status.st_mtime_ns}\n"


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "create": _create,
    "analyze": _analyze,
    "inspect": _inspect,
    "run": _run,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vine-package", description="Pack environments, look into them, and try them, as workers would."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    create = commands.add_parser("create", help="pack an environment into one archive")
    create.add_argument(
        "environment",
        nargs="?",
        help="the folder of a virtual or conda environment, a conda environment's name, a .txt of requirements, "
        'a .json of Poncho, or "current"',
    )
    create.add_argument(
        "--requirement", action="append", default=[], metavar="NAME", help="what to install in a new one; repeatable"
    )
    create.add_argument("--output", type=Path, metavar="FILE", help="the archive (default: NAME.tar.zst)")
    create.add_argument(
        "--copy-interpreter", action="store_true", help="bring the Python along that a virtual environment links to"
    )
    analyze = commands.add_parser("analyze", help="list the distributions that a script, or one function of it, needs")
    analyze.add_argument("script", type=Path)
    analyze.add_argument("--function", metavar="NAME", help="only what this function reaches")
    analyze.add_argument("--json", action="store_true", help="print one line of JSON")
    inspect = commands.add_parser("inspect", help="show what an archive holds and what unpacking it costs")
    inspect.add_argument("archive", type=Path)
    inspect.add_argument("--json", action="store_true", help="print one line of JSON")
    run = commands.add_parser("run", help="run a command in an archive's environment")
    run.add_argument("archive", type=Path)
    run.add_argument(
        "--unpack-to", type=Path, metavar="DIR", help="unpack here, and keep it (default: a temporary folder)"
    )
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND ...")
    return parser


class _Version(argparse.Action):
    """Looked up only when it is asked for: that takes longer than all else."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"vine-package {version('vine-runtime')}")  # noqa: T201
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
