"""The start is measured in programs of its own, each with a run of its own that leaves nothing."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from benchmarks.dispatch.startup import startup


@pytest.mark.live
def test_a_program_starts_a_run_and_has_its_first_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (figure,) = startup(rounds=1)
    assert (figure.name, figure.unit, figure.params) == ("startup_s", "s", {"slots": 2, "rounds": 1})
    assert figure.value > 0
    assert not [name for name in os.listdir(tmp_path) if name.startswith("vine-startup-")]
