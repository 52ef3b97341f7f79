"""Commands are compared with those started by hand, and must succeed."""

from __future__ import annotations

from typing import Any, cast

import pytest

from benchmarks.dispatch.bench import Bench
from benchmarks.dispatch.commands import commands
from tests.benchmarks.dispatch.conftest import Commands


def test_commands_stand_beside_those_started_by_hand(bench: Bench) -> None:
    figures = {figure.name: figure.value for figure in commands(bench, rounds=3, count=10)}
    assert list(figures) == ["commands_per_s", "fork_exec_per_s", "commands_of_fork_exec"]
    manager = cast(Any, bench.manager)
    assert manager.submitted == manager.returned == 20 + 3 * 10


def test_a_command_that_fails_stops_the_benchmark() -> None:
    with pytest.raises(AssertionError, match="a command failed"):
        commands(Bench(cast(Any, Commands(exit_code=1)), cast(Any, None)), rounds=1, count=1)
