"""How much hangs on the reading: one page, from true runs of each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.mnist_sweep.simulate import paging, paper, parameters, readings, sensitivity
from benchmarks.mnist_sweep.simulate.readings import MODEL, READINGS
from benchmarks.mnist_sweep.simulate.run import Policy
from tests.benchmarks.mnist_sweep.simulate.made import PARAMETERS

BASE, _ = parameters.read()
VARIANTS = sensitivity.variants(BASE, readings.read())


def test_there_is_every_reading_and_a_faster_network() -> None:
    assert list(VARIANTS) == [*READINGS, "10 Gbit/s"]
    assert VARIANTS[MODEL].parameters == BASE
    assert VARIANTS["10 Gbit/s"].parameters.link_bytes_per_s == 10 * BASE.link_bytes_per_s
    for variant in VARIANTS.values():
        asked = sensitivity.asked(variant, 2048)
        assert {(run.workers, run.policy) for run in asked} == {(size, way) for size in paper.SIZES for way in Policy}
        assert all(run.parameters is variant.parameters for run in asked)


def test_the_page_has_a_line_for_each_with_its_predictions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = replace(VARIANTS[MODEL], parameters=PARAMETERS)
    fast = replace(PARAMETERS, link_bytes_per_s=10 * PARAMETERS.link_bytes_per_s)
    two = {MODEL: small, "10 Gbit/s": replace(small, parameters=fast)}
    monkeypatch.setattr(sensitivity, "variants", lambda base, found: two)
    monkeypatch.setattr(paper, "SIZES", (32, 64))
    out = tmp_path / "sensitivity.md"
    assert sensitivity.main(["--tasks", "512", "--processes", "1", "--out", str(out)]) == 0
    assert "[8/8]" in capsys.readouterr().out
    page = out.read_text()
    rows = {row.split(" | ")[0].strip("| "): row.split(" | ") for row in page.splitlines() if row.startswith("| ")}
    assert list(rows)[2:] == ["the paper", MODEL, "10 Gbit/s"]
    shared = paging.moments(paging.run(PARAMETERS, 32, 512).task_s)
    assert rows[MODEL][1] == "7" and rows[MODEL][3].startswith(f"{shared.mean:.0f}, ")
    assert rows[MODEL][3] == rows["10 Gbit/s"][3] and rows[MODEL][4] != rows["10 Gbit/s"][4]
    speedups = [float(cell.strip("| ")) for cell in rows[MODEL][6:9]]
    assert speedups == sorted(speedups)  # Whole files, ours, and what nothing can be faster than.


def test_a_file_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sensitivity, "run_all", lambda made, tasks, processes, console: {})
    monkeypatch.setattr(sensitivity, "page", lambda made, sweeps, tasks: "")
    assert sensitivity.main(["--out", str(tmp_path / "none" / "page.md")]) != 0
    assert "sensitivity: " in capsys.readouterr().err
