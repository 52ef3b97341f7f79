"""Does a program's factory start with its options, change with them, and end?"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.scripted import ScriptedManager
from tests.waiting import GIVE_UP_S, until
from vine import config, errors
from vine.client.executor import Executor
from vine.client.factory import Factory
from vine.client.manager import Manager
from vine.wire.messages import RunState

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


def heard(caught: list[warnings.WarningMessage], number: int) -> list[str]:
    """What the program was warned of, once it was so often."""
    until(lambda: len(caught) >= number, "it is warned")
    return [str(each.message) for each in caught]


@pytest.fixture
def caught() -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("ignore")  # What a collection of garbage finds meanwhile is not ours.
        warnings.simplefilter("always", errors.FactoryWarning)
        yield found


def test_a_factory_that_dies_is_started_again_so_often_and_the_program_is_told(
    manager: Manager,
    scripted: ScriptedManager,
    stand_in: StandIn,
    tmp_path: Path,
    caught: list[warnings.WarningMessage],
) -> None:
    # Given a factory that dies of something once it is ready
    scripted.say(RunState(0, 0.0, {}, 0, 0))
    until(lambda: manager.stats.workers == 0, "the count has come")
    starts = tmp_path / "starts"
    stand_in(f"echo started >> {starts}; echo ready f; echo 'out of memory' >&2; exit 9")
    factory = Factory(manager=manager)
    with factory:
        # Then it is started again as often as it may be, and each time there is a warning that names its log
        *again, last = heard(caught, config.factory_restarts_max + 1)
        assert len(starts.read_text().splitlines()) == 1 + config.factory_restarts_max
        for each in again:
            assert "has ended (exit code 9: out of memory) and was started again, its workers go on" in each
        assert "after it was started again 3 times), and no worker is connected" in last
        assert all(str(factory.log_path) in each for each in (*again, last))


def test_a_factory_that_somebody_has_ended_is_not_started_again(
    manager: Manager, stand_in: StandIn, caught: list[warnings.WarningMessage]
) -> None:
    stand_in("echo ready f; exit 0")
    with Factory(manager=manager):
        assert "has ended (exit code 0), and no more workers come" in heard(caught, 1)[0]


def test_a_factory_that_is_stopped_is_no_reason_to_warn(
    manager: Manager, stand_in: StandIn, caught: list[warnings.WarningMessage]
) -> None:
    stand_in(READY)
    factory = Factory(manager=manager)
    factory.start()
    factory.stop()  # Returns when whoever watches it has seen its end.
    assert caught == []


def test_calls_fail_once_a_lost_factorys_last_worker_is_gone(
    manager: Manager,
    scripted: ScriptedManager,
    stand_in: StandIn,
    caught: list[warnings.WarningMessage],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(config, "workerless_max_s", 0.05)
    scripted.held.add("getpid")
    stand_in("echo ready f; exit 0")
    with Executor(manager, workers=1) as executor:
        future = executor.submit(os.getpid)
        heard(caught, 1)
        assert not future.done()
        scripted.say(RunState(0, 0.0, {}, 0, 0))
        with pytest.raises(errors.FactoryLost, match=r"no worker is connected: see .*factory-local"):
            future.result(GIVE_UP_S)


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
