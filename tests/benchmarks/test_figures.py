"""Figures come out as programs and people read them."""

from __future__ import annotations

import json

import pytest

from benchmarks.figures import Figure, show

FIGURES = [Figure("calls_per_s", 20123.456, "1/s", {"calls": 10_000, "slots": 2}), Figure("ratio", 0.41234, "")]


def test_json_is_one_line_a_figure(capsys: pytest.CaptureFixture[str]) -> None:
    show(FIGURES, as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        {"figure": "calls_per_s", "value": 20120.0, "unit": "1/s", "params": {"calls": 10000, "slots": 2}},
        {"figure": "ratio", "value": 0.4123, "unit": "", "params": {}},
    ]


def test_the_table_has_a_row_a_figure(capsys: pytest.CaptureFixture[str]) -> None:
    show(FIGURES, as_json=False)
    out = capsys.readouterr().out
    assert "20,123" in out
    assert "0.4123" in out
    assert "calls 10000, slots 2" in out
