from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.broadcast import simulated
from benchmarks.broadcast.outcome import BenchmarkError, Plan
from benchmarks.broadcast.simulated import Wanted
from vine.scheduler.settings import Spread
from vine.wire.messages import FileSpread
from vine.wire.parts import Outcome

WANTED = Wanted(workers=16, size_bytes=64 << 20, link_bytes_per_s=1.25e8, plan=Plan("forest", 3))  # 1 Gbit/s


def test_a_forest_is_near_its_bound_and_the_manager_sends_one_copy() -> None:
    found = simulated.broadcast(WANTED)
    assert len(found.spans) == 16
    assert found.seconds == max(end for _, end in found.spans.values())
    assert all(0 < begin < end for begin, end in found.spans.values())
    assert found.of_bound is not None and found.of_bound > 0.75
    assert found.manager_copies == pytest.approx(1.0)
    assert found.worker_copies_max < 1.2


def test_plans_are_as_good_as_they_are_known_to_be() -> None:
    seconds = {spread: simulated.broadcast(replace(WANTED, plan=Plan(spread.value, 3))).seconds for spread in Spread}
    order = (Spread.FOREST, Spread.CHAIN, Spread.WHOLE_FILE, Spread.ONE_SOURCE)
    assert sorted(order, key=seconds.__getitem__) == list(order)
    assert seconds[Spread.ONE_SOURCE] > 16 * 64 * 2**20 / 1.25e8


def test_a_lower_cap_makes_whole_files_come_sooner() -> None:
    """Of flows that share a link each takes longer: a cap pays only where one flow cannot fill it."""
    one, three = (
        simulated.broadcast(replace(WANTED, plan=Plan(Spread.WHOLE_FILE.value, cap))).seconds for cap in (1, 3)
    )
    assert one < three


def test_a_broadcast_that_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated, "_GIVE_UP_S", 0.5)
    with pytest.raises(BenchmarkError, match=r"has not ended after 0.5 s"):
        simulated.broadcast(WANTED)


def test_what_the_manager_says_of_one_that_failed_is_told() -> None:
    run = simulated._Run(WANTED)
    run.cluster.client.spread[run._request] = FileSpread(run._request, 0, Outcome.DISK_FULL, "no room")
    with pytest.raises(BenchmarkError, match="16 workers did not get the file: no room"):
        run.finish()


def test_the_slow_node_is_at_a_root_and_its_own_time_is_not_counted() -> None:
    calm, *slow = simulated.with_slow_node(WANTED)
    assert [found.params["slow"] for found in slow] == ["to send", "both ways"]
    for found in slow:
        assert calm.spans.keys() == found.spans.keys() and len(found.spans) == 15
        assert found.disturbance == "slow_node_factor"
        assert found.of_undisturbed == found.seconds / calm.seconds > 1.0


def test_when_a_node_is_killed_the_others_get_the_file_all_the_same() -> None:
    calm, killed = simulated.with_killed_node(WANTED)
    assert calm.spans.keys() == killed.spans.keys() and len(killed.spans) == 15
    assert killed.disturbance == "killed_node_factor"
    assert killed.of_undisturbed is not None and killed.of_undisturbed >= 1.0
