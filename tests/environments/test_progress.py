"""A bar is shown where there is a terminal for it, and one at a time."""

from __future__ import annotations

import sys

import pytest

from vine.environments.progress import bar


def test_without_a_terminal_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("env") as progress:
        assert progress is None
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_one_bar_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with bar("env") as progress, bar("another") as second:
        assert progress is not None
        assert second is None
        progress(3, 4)
    assert "3/4" in capsys.readouterr().err
    with bar("later") as progress:
        assert progress is not None
