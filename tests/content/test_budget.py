"""Bytes are admitted while they fit, and refused with both sizes and the remedy."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from vine import config
from vine.content import budget as budget_module
from vine.content.budget import Budget


def test_what_is_free_is_what_all_may_have_less_what_all_have(tmp_path: Path) -> None:
    totals = (100, 60)
    budget = Budget(tmp_path, lambda: totals)
    assert budget.free_bytes() == 40
    totals = (100, 120)
    assert budget.free_bytes() == -20, "a member that has ended took its share with it"


def test_a_refusal_tells_both_sizes_and_the_remedy(tmp_path: Path) -> None:
    message = str(Budget(tmp_path, lambda: (100, 60)).refusal(41, on_disk_already=False))
    assert "room for 40 of 41 bytes" in message
    assert "--disk" in message
    assert "room for 0 of 41" in str(Budget(tmp_path, lambda: (100, 120)).refusal(41, on_disk_already=True))


def test_the_disk_is_not_filled_to_its_last_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = SimpleNamespace(f_bavail=1, f_frsize=config.disk_reserve_bytes + 10)
    monkeypatch.setattr(budget_module, "os", SimpleNamespace(statvfs=lambda path: disk))
    budget = Budget(tmp_path, lambda: (None, 0))
    assert budget.free_bytes() == 10
    assert budget.free_bytes(on_disk_already=True) > 1000


def test_without_a_budget_the_disk_decides(tmp_path: Path) -> None:
    disk = os.statvfs(tmp_path)
    assert Budget(tmp_path, lambda: (None, 0)).free_bytes() <= disk.f_blocks * disk.f_frsize
