"""What can be said without root; tests/hosts makes the namespaces."""

from __future__ import annotations

import os
import shutil

import pytest

from benchmarks.broadcast import namespaces
from benchmarks.broadcast.outcome import BenchmarkError


def test_what_is_missing_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "tc" else f"/sbin/{name}")
    with pytest.raises(BenchmarkError) as raised, namespaces.hosts(2, 1e6):
        pass
    assert str(raised.value).startswith("--hosts needs root's rights and the command `tc` (of iproute2)")
    assert "\n" not in str(raised.value)


def test_a_command_that_fails_is_named_with_its_complaint() -> None:
    with pytest.raises(BenchmarkError, match=r"`ls /no/such/folder` failed: .*No such file"):
        namespaces._command("ls", "/no/such/folder")
