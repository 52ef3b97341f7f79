from __future__ import annotations

import pytest

from benchmarks.broadcast.outcome import bound_s, median, show
from tests.benchmarks.broadcast.made import a_broadcast


def test_a_broadcast_between_links_of_a_known_rate_is_told_with_its_bound() -> None:
    told = a_broadcast().figures()
    sent = {figure.params["source"]: figure.value for figure in told if figure.name == "sent_bytes"}
    assert sent == {"manager": 1_000_000, "w0": 1_500_000, "w1": 0}
    figures = {figure.name: figure for figure in told if figure.name != "sent_bytes"}
    assert {name: figure.value for name, figure in figures.items()} == {
        "broadcast_s": 2.0,
        "manager_copies": 1.0,
        "worker_copies_max": 1.5,
        "broadcast_of_bound": 0.5,
    }
    assert figures["broadcast_s"].params == {"plan": "forest", "workers": 2, "size_bytes": 1_000_000, "cap": 3}


def test_one_worker_on_loopback_is_told_as_the_rate_of_a_transfer() -> None:
    (figure,) = a_broadcast(workers=1, bound_s=None, spans={"w0": (0.0, 2.0)}).figures()
    assert (figure.name, figure.value, figure.unit) == ("transfer_gb_per_s", 0.0005, "GB/s")


def test_a_disturbed_one_is_told_beside_the_undisturbed() -> None:
    found = a_broadcast(of_undisturbed=1.2, disturbance="slow_node_factor")
    assert {figure.name: figure.value for figure in found.figures()}["slow_node_factor"] == 1.2


def test_the_bound_is_that_of_the_slower_of_link_and_disk() -> None:
    assert bound_s(100, 10, 20) == 10
    assert bound_s(100, 20, 10) == 10
    assert bound_s(100, 20, None) == 5
    assert bound_s(100, None, 10) is None


@pytest.mark.parametrize(("times", "middle"), [([3.0, 1.0, 2.0], 2.0), ([1.0], 1.0), ([1.0, 2.0], 1.0)])
def test_the_median_is_a_round_that_took_place(times: list[float], middle: float) -> None:
    assert median([a_broadcast(seconds=seconds) for seconds in times]).seconds == middle


def test_the_table_says_above_what_all_have_in_common(capsys: pytest.CaptureFixture[str]) -> None:
    show(
        [
            a_broadcast(params={"cap": 3, "encryption": "on"}),
            a_broadcast(plan="chain", params={"cap": 3, "encryption": "off"}, of_undisturbed=1.25, disturbance="x"),
        ]
    )
    title, *rows = capsys.readouterr().out.splitlines()
    assert title.strip() == "1 MB, cap 3"
    assert any("forest" in row and "encryption on" in row for row in rows)
    assert not any("GB/s" in row for row in rows)
    assert any("chain" in row and "encryption off, x 1.25" in row for row in rows)


def test_of_many_sources_it_is_told_how_many_have_sent_how_much(capsys: pytest.CaptureFixture[str]) -> None:
    sent = {"manager": 1_000_000, **{f"w{number}": 500_000 * (number % 2) for number in range(40)}}
    show([a_broadcast(sent_bytes=sent)])
    assert "forest: manager 1.00, workers 20 x 0.50, 20 x 0.00" in capsys.readouterr().out


def test_the_table_gives_the_rate_of_a_single_transfer(capsys: pytest.CaptureFixture[str]) -> None:
    show([a_broadcast(workers=1, size_bytes=3_000_000_000)])
    assert "1.50 GB/s" in capsys.readouterr().out
