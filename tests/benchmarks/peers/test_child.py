"""A round measures the start, lone calls and many, and trusts no result that it has not checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.peers import child


class Here:
    """A system that calls the function at once."""

    def __init__(self, function: Callable[[int], int]) -> None:
        self.function = function
        self.gathered: list[int] = []

    def submit(self, x: int) -> int:
        return self.function(x)

    def gather(self, calls: Sequence[int]) -> list[int]:
        self.gathered.append(len(calls))
        return list(calls)


def test_a_round_has_the_calls_that_were_asked_for() -> None:
    systems: list[Here] = []

    @contextmanager
    def started(function: Callable[[int], int], folder: str) -> Iterator[Here]:
        systems.append(Here(function))
        yield systems[0]

    found = child.measured(started, "", calls=50, lone_calls=7, version="1")
    assert systems[0].gathered == [1, child._WARM_UP_CALLS, *[1] * 7, 50]
    assert (found.version, found.calls, len(found.latencies_ms)) == ("1", 50, 7)
    assert list(found.latencies_ms) == sorted(found.latencies_ms)
    assert min(found.startup_s, found.calls_per_s, *found.latencies_ms) > 0


def test_wrong_results_are_no_results() -> None:
    with pytest.raises(AssertionError, match="wrong results"):
        child.many(Here(lambda x: x), 3)


def test_versions_are_of_what_is_installed() -> None:
    assert child.version_of("vine") == child.version_of("vine-runtime") != ""
    assert child.version_of("concurrent") == ""


def test_the_command_prints_a_round(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said: list[str] = []
    monkeypatch.setattr("sys.argv", ["child", "process_pool", str(tmp_path), "20", "3"])
    assert child.main(said.append) == 0
    (line,) = said
    assert json.loads(line)["calls"] == 20
