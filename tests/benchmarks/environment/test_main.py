"""The benchmark's options are checked, and its figures follow from what was measured."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from benchmarks.environment.main import _figures, _fleets, _parse
from benchmarks.environment.ready import Fleet, Ready
from tests.environments.made import virtualenv


def test_workers_are_a_list_each_with_hosts_of_their_own_or_fewer() -> None:
    assert _fleets("1,4,4/2") == (Fleet(1, 1), Fleet(4, 4), Fleet(4, 2))
    for text in ("0", "65", "4/5", "4/0", "x"):
        with pytest.raises(argparse.ArgumentTypeError):
            _fleets(text)


@pytest.mark.live
def test_the_bound_is_the_slower_of_the_link_and_of_tar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a small environment, which is really packed and unpacked, and a link of 8 kbit/s that it must go through
    monkeypatch.setattr("benchmarks.environment.main.ready", lambda *_: Ready(100.0, 150.0, 200.0, 1.0))
    monkeypatch.setattr("benchmarks.environment.main.mounted_s", lambda *_: 7.0)
    prefix = virtualenv(tmp_path / "made", mine="VALUE = 1\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    options = _parse(["--workers", "2", "--rate", "8kbit", "--rounds", "1", "--modules", "mine"])
    # when its figures are asked for
    figures = list(_figures(prefix, folder, options))
    # then each is there, and the last says how near the first line came to the time that its bytes need
    size = (folder / "environment.tar.zst").stat().st_size
    assert figures[-1].name == "environment_ready_of_bound"
    assert figures[-1].value == pytest.approx(size / 1000 / 100.0)
    unpacked = {figure.params["by"] for figure in figures if figure.name == "environment_unpack_s"}
    assert unpacked == {"ours", "tar --zstd", "tarfile, gzip", "ours, gzip"}
    assert {figure.value for figure in figures if figure.name == "environment_first_line_s"} == {100.0, 200.0}
    assert 7.0 in {figure.value for figure in figures if figure.name == "environment_import_in_place_s"}
