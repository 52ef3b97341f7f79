"""The sweep's command line says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.mnist_sweep.options import parse


def test_without_arguments_it_is_the_sweep_of_the_readme() -> None:
    options = parse([])
    assert (options.workers, options.tasks, options.distribution) == (2, 32, "vine")
    assert options.cache.name == ".cache"


def test_the_shared_folder_lies_in_the_cache_unless_it_is_named() -> None:
    assert parse(["--cache", "/fast"]).shared == Path("/fast/shared-fs")
    assert parse(["--cache", "/fast", "--shared", "/panfs/me"]).shared == Path("/panfs/me")


def test_a_task_is_smaller_where_many_hosts_share_this_machine() -> None:
    real, emulated = parse([]), parse(["--mode", "emulate", "--hosts", "4"])
    assert (real.images, real.epochs) == (50_000, 3)
    assert (emulated.images, emulated.epochs) == (5_000, 1)
    assert parse(["--mode", "emulate", "--images", "600", "--epochs", "2"]).images == 600
    assert (emulated.workers, emulated.rate) == (4, 12.5e6)


def test_the_help_tells_defaults_where_there_are_any(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    said = capsys.readouterr().out
    assert "(default: 32)" in said and "None" not in said
    assert "real: 50,000, emulate: 5,000" in " ".join(said.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["--tasks", "0"],
        ["--tasks", "2049"],
        ["--workers", "none"],
        ["--images", "50001"],
        ["--distribution", "shared"],
        ["--hosts", "249"],
        ["--rate", "fast"],
        ["--task-cores", "2"],
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(arguments)
    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err
