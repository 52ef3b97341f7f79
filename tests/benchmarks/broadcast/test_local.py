"""The benchmark on loopback, with real processes and little to do."""

from __future__ import annotations

import pytest

from benchmarks.broadcast import local
from benchmarks.broadcast.outcome import Plan
from tests.live.helpers import SOURCES

pytestmark = pytest.mark.live


def test_one_node_and_then_all_workers_get_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", SOURCES)
    wanted = local.Wanted(workers=2, size_bytes=4 << 20, plans=(Plan("chain", 2),), encryption=("off",), rounds=1)
    one, both = local.broadcasts(wanted)
    assert [figure.name for figure in one.figures()] == ["transfer_gb_per_s"]
    names = {"broadcast_s", "manager_copies", "worker_copies_max", "sent_bytes"}
    assert {figure.name for figure in both.figures()} == names
    assert both.sent_bytes.keys() == {"manager", "w00", "w01"}
    assert 1.0 <= both.manager_copies < 1.2
    assert both.params == {"loopback": True, "encryption": "off", "cap": 2, "rounds": 1}


def test_the_manager_is_told_the_plan_the_cap_and_the_encryption() -> None:
    assert local.manager_options(Plan("whole-file", 10), "off") == (
        "--spread", "whole-file", "--set", "source_transfers_max=10", "--data-encryption", "off",
    )  # fmt: skip
