"""Does the benchmark tell its figures, and do they hold what the factory promises?"""

from __future__ import annotations

import json

import pytest

from benchmarks.fleet.main import main


def test_a_fleet_that_follows_costs_little_more_than_one_that_knows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--workers", "12", "--days", "1", "--json"]) == 0
    found = {line["figure"]: line["value"] for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert found["worker_hours_of_oracle_median"] == found["worker_hours_of_oracle"] <= 1.1
    assert found["launches_of_oracle"] <= 1.0
    assert found["most_workers"] <= 12
    assert 1.0 < found["least_of_ideal"] <= found["worker_hours_of_ideal"]
