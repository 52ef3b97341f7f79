"""A real manager and real workers, as a benchmark starts them."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from benchmarks.broadcast.outcome import BenchmarkError
from benchmarks.broadcast.processes import Layout, Site, Where, a_site, write_random_file
from tests.live.helpers import SOURCES, command_of

pytestmark = pytest.mark.live

SIZE = 4 << 20


@pytest.fixture(autouse=True)
def _sources_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", SOURCES)


def test_files_come_to_all_workers_one_after_the_other(tmp_path: Path) -> None:
    with a_site(tmp_path, Layout(Where(), (Where(), Where()), ("--spread", "one-source"))) as site:
        for number in range(2):
            path = tmp_path / f"file{number}"
            write_random_file(path, SIZE)
            found = site.broadcast(path, "one-source", 0.001, {"round": number})
            assert found.spans.keys() == {"w00", "w01"}
            assert all(0 <= begin < end <= found.seconds for begin, end in found.spans.values())
            assert 2 <= found.manager_copies < 2.5
            assert found.worker_copies_max == 0
            assert (found.size_bytes, found.params) == (SIZE, {"round": number})
    assert _children() == []


def test_a_manager_that_cannot_start_is_told_and_leaves_nothing_running(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"the manager did not start: .*no-such-limit"):
        Site(tmp_path, Layout(Where(), (Where(),), ("--set", "no-such-limit=1")))
    assert _children() == []


def _children() -> list[str]:
    return [line for line in map(command_of, psutil.Process().children()) if "vine" in line]


def test_a_random_file_is_as_long_as_asked_for_and_new_each_time(tmp_path: Path) -> None:
    for name in "ab":
        write_random_file(tmp_path / name, (16 << 20) + 5)
    first, second = ((tmp_path / name).read_bytes() for name in "ab")
    assert len(first) == len(second) == (16 << 20) + 5
    assert first != second
