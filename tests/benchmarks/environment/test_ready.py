"""Workers that have never seen an environment run its interpreter, and say when."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.broadcast.processes import Where
from benchmarks.environment.ready import Fleet, ready
from tests.environments.made import virtualenv
from vine.environments.pack import pack_virtualenv


@contextmanager
def here(count: int, bytes_per_s: float) -> Iterator[list[Where]]:
    """In place of hosts with links: all on this one."""
    yield [Where()] * count


@pytest.mark.live
def test_each_kind_of_start_is_measured_on_new_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.broadcast.namespaces.hosts", here)
    packed = pack_virtualenv(virtualenv(tmp_path / "made", mine="VALUE = 1\n"), tmp_path / "env.tar.zst")
    (tmp_path / "sites").mkdir()
    found = ready(packed, tmp_path / "sites", Fleet(2, 1), 1e9, 1, "mine", lambda: 7.0)
    assert min(found.first_line_s, found.first_import_s, found.after_transfer_s) > 0
    assert found.tar_s == 7.0
    assert list((tmp_path / "sites").iterdir()) == []
