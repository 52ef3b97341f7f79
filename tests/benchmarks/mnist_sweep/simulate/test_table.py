"""Table 1 and what stands beside it."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.mnist_sweep.simulate import parameters, table
from benchmarks.mnist_sweep.simulate.results import Results
from benchmarks.mnist_sweep.simulate.run import Distribution, Policy
from tests.benchmarks.mnist_sweep.simulate.made import small, small_results


def of_32_workers() -> Results:
    """The small runs under the name of a size that the paper has."""
    found = small_results()
    return Results(found.parameters, [replace(run, workers=32) for run in found.sweeps])


def cells(text: str, *begin: str) -> list[str]:
    """The line of a table that begins so."""
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {' | '.join(begin)} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_papers_numbers_stand_beside_ours_with_the_error_of_each() -> None:
    found = of_32_workers()
    ours = found.moments(32, Distribution.SHARED_FS)
    assert ours is not None
    row = cells(table.table1(found), "32", "shared-fs")
    assert row[2:5] == ["816.7", f"{ours.mean:.1f}", f"{ours.mean / 816.7 - 1:+.1%}"]
    assert row[5:8] == ["884.6", f"{ours.median:.1f}", f"{ours.median / 884.6 - 1:+.1%}"]
    assert row[8:11] == ["153.7", f"{ours.std:.1f}", f"{ours.std / 153.7 - 1:+.1%}"]
    assert cells(table.table1(found), "32", "vine by taskvine policy")[2] == "803.5"
    assert cells(table.table1(found), "32", "vine, ours")[2] == ""


def test_speedups_of_both_policies_stand_beside_the_papers() -> None:
    found = of_32_workers()
    theirs, ours = (found.run_speedup(32, policy) for policy in Policy)
    assert theirs is not None and ours is not None
    row = cells(table.speedups(found), "run time", "32")
    assert row[2:6] == ["1.05", f"{theirs:.2f}", f"{theirs / 1.05 - 1:+.1%}", f"{ours:.2f}"]
    assert float(row[6]) > ours
    assert cells(table.speedups(found), "128 to 256 workers, vine")[2:] == ["1.15", "", "", "", ""]


def test_what_is_saved_has_its_error_where_there_are_several_draws() -> None:
    found = small_results()
    one = found.saved(4, Distribution.VINE)["run_s"]
    assert cells(table.saved(found), "4", "vine")[2] == f"{one.mean_s:.1f}"
    runs = [small(Distribution.VINE, policy) for policy in Policy]
    twice = Results(found.parameters, [*runs, *(replace(run, seed=1, run_s=run.run_s + 1.0) for run in runs)])
    assert cells(table.saved(twice), "4", "vine")[2] == f"{one.mean_s:.1f} ± 0.0"


def test_the_page_has_every_run_every_part_and_every_parameter() -> None:
    _, entries = parameters.read()
    page = table.of(small_results(), entries)
    for name in entries:
        assert f"| {name} |" in page
    for title in ("Table 1", "Speed-ups over shared-fs", "Run times", "Where the mean task time goes", "The cluster"):
        assert f"## {title}" in page
    assert cells(table.run_times(small_results()), "4", "shared-fs")[2] == f"{small(Distribution.SHARED_FS).run_s:.1f}"
    assert len(table.breakdown(small_results()).splitlines()) == 2 + 5


def test_who_is_far_from_the_paper_is_named() -> None:
    found = of_32_workers()
    assert any(miss.startswith("shared-fs with 32 workers -") for miss in table.misses(found))
    for page in (table.closing(found), table.of(found, parameters.read()[1])):
        assert "Mean task times further than 15% from the paper's: shared-fs with 32 workers -" in page
    assert table.far(small_results()) == ""  # The paper has no 4 workers.
