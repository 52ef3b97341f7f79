"""Bytes are admitted while they fit, and refused with both sizes and the remedy."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from vine import config
from vine.content import budget as budget_module
from vine.content.budget import Budget
from vine.errors import DiskFull


def nothing_to_give(size: int) -> None:
    """Nobody gives anything up."""


def test_what_does_not_fit_the_budget_is_refused_with_sizes_and_remedy(tmp_path: Path) -> None:
    budget = Budget(tmp_path, 100, nothing_to_give)
    budget.reserve(60)
    with pytest.raises(DiskFull, match=r"room for 40 of 41 bytes.*--disk"):
        budget.reserve(41)
    budget.reserve(40)
    assert (budget.used_bytes, budget.free_bytes()) == (100, 0)
    budget.give_back(60)
    assert budget.free_bytes() == 60


def test_what_is_least_needed_goes_before_anything_is_refused(tmp_path: Path) -> None:
    asked = []

    def give(size: int) -> None:
        asked.append(size)
        budget.give_back(50)

    budget = Budget(tmp_path, 100, give)
    budget.reserve(100)
    budget.reserve(30)
    assert (asked, budget.used_bytes) == ([30], 80)


def test_the_disk_is_not_filled_to_its_last_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = SimpleNamespace(f_bavail=1, f_frsize=config.disk_reserve_bytes + 10)
    monkeypatch.setattr(budget_module, "os", SimpleNamespace(statvfs=lambda path: disk))
    budget = Budget(tmp_path, None, nothing_to_give)
    assert budget.free_bytes() == 10
    with pytest.raises(DiskFull, match="room for 10 of 11 bytes"):
        budget.reserve(11)
    budget.reserve(1000, on_disk_already=True)


def test_without_a_budget_the_disk_decides(tmp_path: Path) -> None:
    disk = os.statvfs(tmp_path)
    assert 0 <= Budget(tmp_path, None, nothing_to_give).free_bytes() <= disk.f_blocks * disk.f_frsize


def test_giving_back_more_than_was_taken_is_our_mistake(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        Budget(tmp_path, None, nothing_to_give).give_back(1)
