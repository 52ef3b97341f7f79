"""Does a program's factory start with its options, change with them, and end?"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vine import errors
from vine.client.executor import Executor
from vine.client.factory import Factory
from vine.client.manager import Manager

pytestmark = pytest.mark.live
StandIn = Callable[[str], Path]

READY = "echo ready f; exec sleep 600"  # As long as a test may take; it is ended by a signal.


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """What runs in place of the interpreter; returns the file that its arguments are written to."""

    def make(body: str) -> Path:
        program, arguments = tmp_path / "stand-in", tmp_path / "arguments"
        program.write_text(f'#!/bin/sh\necho "$@" > {arguments}\n{body}\n')
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))
        return arguments

    return make


def options_of(arguments: Path) -> dict[str, Any]:
    words = arguments.read_text().split()
    options: dict[str, Any] = json.loads(Path(words[words.index("--config") + 1]).read_text())
    return options


def test_a_factory_is_given_its_options_by_a_file(manager: Manager, stand_in: StandIn) -> None:
    arguments = stand_in(READY)
    with Factory("slurm", manager=manager, name="f", max_workers=3, batch_option=["--partition=main"]) as factory:
        assert str(manager.connection_file) in arguments.read_text()
        assert options_of(arguments) == {
            "batch-type": "slurm", "name": "f", "max-workers": 3, "batch-option": ["--partition=main"],
        }  # fmt: skip
        assert factory.max_workers == 3


def test_options_may_be_attributes_before_it_starts_and_the_live_ones_while_it_runs(
    manager: Manager, stand_in: StandIn, tmp_path: Path
) -> None:
    arguments = stand_in(READY)
    factory = Factory(manager=manager)
    factory.cores = 2
    factory.workspace = tmp_path
    with factory:
        factory.max_workers = 7
        options = options_of(arguments)
        assert (options["cores"], options["max-workers"], options["workspace"]) == (2, 7, str(tmp_path))
        with pytest.raises(errors.UsageError, match="cores cannot change while the factory runs"):
            factory.cores = 4
        with pytest.raises(errors.UsageError, match="max-workers -1 cannot be"):
            factory.max_workers = -1
        assert options_of(arguments) == options


def test_what_is_no_option_is_refused(manager: Manager) -> None:
    with pytest.raises(errors.UsageError, match="unknown field `max-wrokers`"):
        Factory(manager=manager, max_wrokers=3)
    with pytest.raises(errors.UsageError, match="no option 'timeout'"):
        Factory(manager=manager).timeout = 840  # TaskVine's name, which would be passed over
    with pytest.raises(AttributeError, match="no option 'max_wrokers'"):
        _ = Factory(manager=manager).max_wrokers
    with pytest.raises(errors.UsageError, match="is no Manager"):
        Factory(manager="somebody")  # type: ignore[arg-type]


@pytest.mark.parametrize(("code", "kind"), [(2, errors.UsageError), (1, errors.FactoryLost)])
def test_a_factory_that_cannot_start_says_why(
    manager: Manager, stand_in: StandIn, code: int, kind: type[Exception]
) -> None:
    stand_in(f"echo 'vine-factory: it cannot, do this' >&2; exit {code}")
    with pytest.raises(kind, match=rf"could not be started \(exit code {code}: vine-factory: it cannot, do this\)"):
        Factory(manager=manager).start()


def test_a_factory_is_started_once(manager: Manager, stand_in: StandIn) -> None:
    stand_in(READY)
    with Factory(manager=manager) as factory, pytest.raises(errors.UsageError, match="started already"):
        factory.start()


def test_an_executor_takes_the_options_of_a_factory(manager: Manager, stand_in: StandIn, tmp_path: Path) -> None:
    ready = tmp_path / "is-ready"
    stand_in(f"touch {ready}; {READY}")
    with Executor(manager, max_workers=2, batch_type="slurm", gpus=1, module=["gcc/12"], wall_time=3600):
        [file] = manager.run_directory.glob("factory-slurm-*.json")
        options = json.loads(file.read_text())
    assert options.pop("name").startswith("slurm-")
    assert options == {
        "batch-type": "slurm", "max-workers": 2, "gpus": 1, "module": ["gcc/12"], "wall-time": 3600.0,
    }  # fmt: skip


def test_options_that_cannot_be_are_told_before_a_manager_is_started(tmp_path: Path) -> None:
    for wrong in ({"gpus": 0.5}, {"fnord": 1}, {"cores": -1}):
        with pytest.raises(errors.UsageError, match=next(iter(wrong))):
            Executor(run_info_path=tmp_path / "runs", **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "runs").exists()
