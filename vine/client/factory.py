"""How does a program have a fleet that follows its work: the factory of a run, and its options while it runs."""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import threading
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from vine import config, errors
from vine.client import launch
from vine.client.manager import Manager
from vine.content.whole import write_whole
from vine.factory_options import LIVE, BatchType, FactoryOptions, options_of

_names = itertools.count(1)
# What another start would not mend, or what somebody has told it to do.
_FINAL = (errors.ExitCode.OK, errors.ExitCode.USAGE, errors.ExitCode.REFUSED, errors.ExitCode.MANAGER_LOST)
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
        self._changing = threading.Lock()  # It is started again on a thread of its own, and may be stopped meanwhile.
        self._stopped = False
        self._restarts = 0
        self._on_lost: Callable[[errors.FactoryLost], None] = lambda error: _warn(str(error))
        self._given: dict[str, Any] = {}
        self._set({"batch_type": batch_type, "name": name, **options})

    def start(self) -> None:
        """Returns when the manager has admitted it. UsageError or FactoryLost, with the reason, if that does not be."""
        program = self._start_first()
        line = program.first_line(config.factory_start_timeout_s)
        if line:
            program.watch(self._on_exit)
            return
        if line is None:
            program.stop(0)
        words = program.last_words()
        is_usage = program.exit_code == errors.ExitCode.USAGE
        program.stop(0)
        raise (errors.UsageError if is_usage else errors.FactoryLost)(f"the factory could not be started ({words})")

    def start_unheard(self, on_lost: Callable[[errors.FactoryLost], None]) -> None:
        """Start it without waiting; `on_lost` is called, on a thread of its own, when it has ended for good."""
        self._on_lost = on_lost
        self._start_first().watch(self._on_exit)

    def _start_first(self) -> launch.Program:
        if self._program is not None:
            raise errors.UsageError("this factory has been started already: make another one")
        self._write()
        return self._launch()

    def _launch(self) -> launch.Program:
        self._manager.session.check()  # Nobody is left to hold a factory of a manager that is gone.
        connection = str(self._manager.connection_file)
        options = ["--config", str(self._file)]
        self._program = launch.start_factory(self._manager.lifeline, connection, str(self.log_path), options)
        self._manager.adopt(self._program)
        return self._program

    def stop(self) -> None:
        """End it, and with it all of its workers; nothing if it does not run."""
        with self._changing:
            self._stopped = True
        if self._program is not None:
            self._program.stop(0)

    def _on_exit(self) -> None:
        """It has ended by itself, or was killed: the next one takes over its workers."""
        with self._changing:
            program, manager = self._program, self._manager
            assert program is not None
            if self._stopped or manager.closed or manager.session.error is not None:
                return  # The run is over, and whoever asks hears why.
            ended = f"the factory has ended ({program.last_words()}"
            lost = self._not_again(program)
            if lost is None:
                try:
                    self._launch().watch(self._on_exit)
                except (errors.VineError, OSError, ValueError) as why:
                    lost = f" and cannot be started again: {why}"
        if lost is not None:
            self._lost(f"{ended}{lost})")
        else:
            _warn(f"{ended}) and was started again, its workers go on: see {self.log_path}")

    def _not_again(self, program: launch.Program) -> str | None:
        """Why it is not started again, if it is not."""
        if program.exit_code in _FINAL:
            return ""
        if self._restarts == config.factory_restarts_max:
            return f", after it was started again {self._restarts} times"
        self._restarts += 1
        return None

    def _lost(self, words: str) -> None:
        error = errors.FactoryLost(f"{words}, and no worker is connected: see {self.log_path}")
        if self._manager.session.state.workers:
            threading.Thread(target=self._await_last, args=(error,), name="vine-last-worker", daemon=True).start()
            _warn(f"{words}, and no more workers come: see {self.log_path}")
        else:
            self._on_lost(error)

    def _await_last(self, error: errors.FactoryLost) -> None:
        """Workers outlive their factory, and may be all that is needed: wait until there have been none for a while."""
        session = self._manager.session
        with contextlib.suppress(errors.VineError):  # The run is over.
            while True:
                session.await_news(lambda: not session.state.workers, None)
                if not session.await_news(lambda: session.state.workers > 0, config.workerless_max_s):
                    break
            self._on_lost(error)

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
        write_whole(self._file, msgspec.json.format(msgspec.json.encode(self._options)))

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


def _warn(words: str) -> None:
    warnings.warn(words, errors.FactoryWarning, stacklevel=2)


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
