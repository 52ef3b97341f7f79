"""The cluster's file says of each parameter what it is and where it comes from, and nothing is taken from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.mnist_sweep.simulate import paper, parameters
from benchmarks.mnist_sweep.simulate.parameters import CLUSTER, ORIGINS
from benchmarks.mnist_sweep.simulate.readings import FITTED
from vine.errors import UsageError


def test_each_parameter_says_where_it_comes_from() -> None:
    found, entries = parameters.read()
    assert found.environment_packed_bytes == 908e6
    for name, entry in entries.items():
        assert entry.origin in ORIGINS and len(entry.source) > 8, name


def test_no_number_of_the_papers_vine_columns_is_in_the_model() -> None:
    """Nor is their module's name for them read by what fits or simulates."""
    folder = CLUSTER.parent
    numbers = {f"{value:g}" for row in paper.VINE.values() for value in (row.mean, row.median, row.std)}
    for path in [CLUSTER, FITTED, *folder.glob("*.py")]:
        if path.name == "paper.py":
            continue
        text = path.read_text()
        assert not numbers & set(re.findall(r"[0-9]+\.[0-9]+", text)), path
        if path.name not in ("results.py", "table.py", "sensitivity.py"):  # They set it beside what was predicted.
            assert not re.search(r"paper\.(VINE|RUN_|TASK_)", text), path


def test_a_size_without_a_run_is_as_the_nearest_by_ratio() -> None:
    found, _ = parameters.read()
    assert found.at("others_streams", 40) == found.others_streams[32]
    assert found.at("others_streams", 4) == found.others_streams[32]
    assert found.at("others_streams", 1000) == found.others_streams[256]


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = CLUSTER.read_text()
    assert old in text
    path = tmp_path / "cluster.toml"
    path.write_text(text.replace(old, new, 1))
    return path


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("[compute_s]", "[computing_s]", "does not say what compute_s is"),
        ("[compute_s]", '[mood]\nvalue = 1\nunit = ""\nis = "fitted"\nfrom = "it"\n\n[compute_s]', "parameter mood"),
        ('is = "sourced"', 'is = "guessed"', "'guessed': say sourced, measured, fitted, left out"),
        ("value = 300", 'value = "long"', "the value of compute_s is 'long'"),
        ("value = 300", "value = -1", "nothing here is less than 0"),
        ("value = 300", "value = nan", "without end"),
        ("value = 300", "value = 300\nplus = 1", "compute_s needs from, is, unit, value, and nothing else"),
        ("[compute_s]", "[compute_s", "cannot be read as a cluster's parameters"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_by_name(tmp_path: Path, old: str, new: str, why: str) -> None:
    with pytest.raises(UsageError, match=re.escape(why)):
        parameters.read(changed(tmp_path, old, new))


def test_no_file_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        parameters.read(tmp_path / "none.toml")


def test_fitted_values_are_written_in_their_place_alone(tmp_path: Path) -> None:
    text = parameters.rewritten(CLUSTER.read_text(), {"compute_spread": 0.25, "slow_share": {32: 0.5, 64: 0.125}})
    path = tmp_path / "cluster.toml"
    path.write_text(text)
    (before, _), (after, entries) = parameters.read(), parameters.read(path)
    assert (after.compute_spread, after.slow_share) == (0.25, {32: 0.5, 64: 0.125})
    assert after.compute_s == before.compute_s and entries["slow_share"].origin == "left out"
    assert len(text.splitlines()) == len(CLUSTER.read_text().splitlines())
