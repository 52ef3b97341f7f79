"""Does the command line of the factory say what it takes, and refuse what it cannot be?"""

from __future__ import annotations

from pathlib import Path

import pytest

from vine import config
from vine.errors import ExitCode
from vine.wire.parts import Request
from vine_factory.main import main, parse

NEEDED = ("--connection", "run")


def test_what_is_left_out_has_its_default() -> None:
    settings = parse(NEEDED)
    assert (settings.min_workers, settings.max_workers, settings.batch_type) == (0, 1, "local")
    assert (settings.size, settings.idle_timeout_s) == (Request(), config.idle_timeout_s)
    assert (settings.workspace, settings.parent_fd) == (None, None)


def test_a_minimum_alone_is_the_maximum_too() -> None:
    assert parse([*NEEDED, "--min-workers", "4"]).max_workers == 4


def test_sizes_may_be_fractions() -> None:
    settings = parse([*NEEDED, "--cores", "0.5", "--memory", "1e3", "--disk", "20", "--gpus", "0"])
    assert settings.size == Request(0.5, 1000, 20, 0)


def test_features_are_given_one_by_one() -> None:
    assert parse([*NEEDED, "--feature", "a100", "--feature", "NVIDIA RTX A2000"]).features == (
        "a100", "NVIDIA RTX A2000",
    )  # fmt: skip


def test_the_workspace_does_not_depend_on_where_workers_start() -> None:
    assert parse([*NEEDED, "--workspace", "here"]).workspace == Path("here").absolute()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--min-workers", "3", "--max-workers", "2"], "--min-workers 3 is more than --max-workers 2"),
        (["--max-workers", "-1"], "-1 is not between 0 and"),
        (["--max-workers", "many"], "invalid whole value: 'many'"),
        (["--cores", "nan"], "nan is not between 0 and a billion"),
        (["--memory", "-5"], "-5 is not between 0 and a billion"),
        (["--gpus", "0.5"], "0.5 is no whole number"),
        (["--batch-type", "cloud"], "invalid choice: 'cloud'"),
    ],
)
def test_what_cannot_be_is_refused(options: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse([*NEEDED, *options])
    assert ended.value.code == ExitCode.USAGE
    assert words in capsys.readouterr().err


def test_a_missing_run_is_one_line_and_an_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--connection", str(tmp_path / "nothing")]) == ExitCode.USAGE
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("vine-factory: ") and "nothing" in line
