"""Every host imports in place, and where a folder cannot be mounted that is said and left out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.broadcast.processes import Where
from benchmarks.environment.shared import here_s, mounted_s
from tests.environments.made import virtualenv


@contextmanager
def on_this_machine(count: int, bytes_per_s: float) -> Iterator[list[Where]]:
    """In place of hosts with links."""
    yield [Where()] * count


@contextmanager
def unmounted(folder: Path, server: Where, hosts: list[Where], *folders: Any) -> Iterator[list[Where]]:
    """In place of hosts that mount the folder."""
    assert all(each.is_dir() for each in folders)
    yield hosts


@pytest.mark.live
def test_each_host_imports_what_is_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.broadcast.namespaces.hosts", on_this_machine)
    monkeypatch.setattr("benchmarks.mnist_sweep.emulate.filesystem.shared", unmounted)
    monkeypatch.setattr("benchmarks.mnist_sweep.emulate.filesystem.missing", list)
    note = tmp_path / "note"
    prefix = virtualenv(tmp_path / "made", mine=f"open({str(note)!r}, 'a').write('x')\n")
    assert here_s(prefix, "mine", 1) > 0
    assert (mounted_s(prefix, 3, 1e9, "mine", 2) or 0) > 0
    assert note.read_text() == "x" * (1 + 3 * 2)


def test_what_cannot_be_mounted_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.mnist_sweep.emulate.filesystem.missing", lambda: ["the command `sshfs`"])
    assert mounted_s(tmp_path, 1, 1e9, "mine", 1) is None
    assert "lacks the command `sshfs`" in capsys.readouterr().err
