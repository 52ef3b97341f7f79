"""The benchmark's options are checked, and its figures follow from what was measured."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from benchmarks.environment.main import _figures, _numbers, _parse
from benchmarks.environment.ready import Ready
from tests.environments.made import virtualenv


def test_numbers_of_workers_are_a_list() -> None:
    assert _numbers("1,4") == (1, 4)
    for text in ("0", "65"):
        with pytest.raises(argparse.ArgumentTypeError):
            _numbers(text)


@pytest.mark.live
def test_the_bound_is_the_slower_of_the_link_and_of_tar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a small environment, which is really packed and unpacked, and a link of 8 kbit/s that it must go through
    monkeypatch.setattr("benchmarks.environment.main.ready", lambda *_: Ready(100.0, 150.0, 200.0))
    prefix = virtualenv(tmp_path / "made", mine="VALUE = 1\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    options = _parse(["--workers", "2", "--rate", "8kbit", "--rounds", "1", "--modules", "mine"])
    # when its figures are asked for
    figures = _figures(prefix, folder, options)
    # then each is there, and the last says how near the first line came to the time that its bytes need
    size = (folder / "environment.tar.zst").stat().st_size
    assert figures[-1].name == "environment_ready_of_bound"
    assert figures[-1].value == pytest.approx(size / 1000 / 100.0)
    unpacked = {figure.params["by"] for figure in figures if figure.name == "environment_unpack_s"}
    assert unpacked == {"ours", "tar --zstd", "tarfile, gzip", "ours, gzip"}
    assert {figure.value for figure in figures if figure.name == "environment_first_line_s"} == {100.0, 200.0}
