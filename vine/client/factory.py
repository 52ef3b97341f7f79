"""How does a program have a fleet that follows its work: the factory of a run, and its options while it runs."""

from __future__ import annotations

import itertools
import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from vine import config, errors
from vine.client import launch
from vine.client.manager import Manager
from vine.factory_options import LIVE, BatchType, FactoryOptions, options_of

_names = itertools.count(1)
_OPTIONS = frozenset(each.name for each in msgspec.structs.fields(FactoryOptions))


class Factory:
    """Keeps as many workers of a manager's run as its work needs, through a batch system: `vine-factory`.

    The options are those of the command, with `_` for `-`: as arguments, or as attributes before it starts. Those
    that `vine-factory --help` marks with * may be set while it runs, too. As a context manager it starts, and ends
    with all of its workers; it ends with the program or its manager in any case.

        with vine.Factory("slurm", manager=manager, max_workers=50, cores=8, batch_option=["--partition=main"]):
            ...
    """

    def __init__(self, batch_type: BatchType = "local", *, manager: Manager, **options: Any) -> None:
        """Raises UsageError for an option that is none, or cannot be."""
        if not isinstance(manager, Manager):
            raise errors.UsageError(f"{manager!r} is no Manager: give the one that is to have workers")
        name = options.pop("name", None) or f"{batch_type}-{os.getpid()}-{next(_names)}"
        self._manager = manager
        self._program: launch.Program | None = None
        self._given: dict[str, Any] = {}
        self._set({"batch_type": batch_type, "name": name, **options})

    def start(self) -> None:
        """Returns when the manager has admitted it. UsageError or FactoryLost, with the reason, if that does not be."""
        program = self._launch()
        line = program.first_line(config.factory_start_timeout_s)
        if line:
            program.watch(lambda: None)
            return
        if line is None:
            program.stop(0)
        words = program.last_words()
        is_usage = program.exit_code == errors.ExitCode.USAGE
        program.stop(0)
        raise (errors.UsageError if is_usage else errors.FactoryLost)(f"the factory could not be started ({words})")

    def start_unheard(self, on_exit: Callable[[str], None]) -> None:
        """Start it without waiting; its last words are told, on a thread of its own, when it has ended."""
        program = self._launch()
        program.watch(lambda: on_exit(program.last_words()))

    def _launch(self) -> launch.Program:
        if self._program is not None:
            raise errors.UsageError("this factory has been started already: make another one")
        self._manager.session.check()  # Nobody is left to hold a factory of a manager that is gone.
        self._write()
        connection = str(self._manager.connection_file)
        options = ["--config", str(self._file)]
        self._program = launch.start_factory(self._manager.lifeline, connection, str(self.log_path), options)
        self._manager.adopt(self._program)
        return self._program

    def stop(self) -> None:
        """End it, and with it all of its workers; nothing if it does not run."""
        if self._program is not None:
            self._program.stop(0)

    @property
    def log_path(self) -> Path:
        """What it has said, about refusals of the batch system for instance."""
        return self._manager.run_directory / f"factory-{self._options.name}.log"

    @property
    def _file(self) -> Path:
        return self.log_path.with_suffix(".json")

    def _set(self, changes: Mapping[str, Any]) -> None:
        given = {**self._given, **changes}
        self._options = options_named(given)
        self._given = given

    def _write(self) -> None:
        """The file appears whole: the factory reads it when it likes."""
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(self._options)))
        os.replace(fresh, self._file)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
            return
        if name not in _OPTIONS:
            raise errors.UsageError(f"a factory has no option {name!r}: see `vine-factory --help`")
        if self._program is not None and name not in LIVE:
            raise errors.UsageError(f"{name} cannot change while the factory runs: of its options, {_live()} can")
        self._set({name: value})
        if self._program is not None:
            self._write()

    def __getattr__(self, name: str) -> Any:
        if name not in _OPTIONS:
            raise AttributeError(f"a factory has no option {name!r}: see `vine-factory --help`")
        return getattr(self._options, name)

    def __enter__(self) -> Factory:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def options_named(given: Mapping[str, Any]) -> FactoryOptions:
    """The options of these, by their names in Python. UsageError for what is none, or cannot be.

    Several `batch_option`s may be one text, as on a command line; for HTCondor, the lines of a submit file.
    """
    plain = {name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in given.items()}
    said = plain.get("batch_option")
    if isinstance(said, str):
        lines = plain.get("batch_type") == "htcondor"
        plain["batch_option"] = tuple(said.splitlines() if lines else shlex.split(said))
    return options_of({name.replace("_", "-"): value for name, value in plain.items()})


def _live() -> str:
    return ", ".join(sorted(LIVE))
