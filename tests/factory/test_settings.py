"""What counts, of the command line and the file, and what of a file that is edited meanwhile?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vine.errors import UsageError
from vine_factory.settings import Settings, WatchedOptions


def settings(file: Path | None = None, **given: str) -> Settings:
    return Settings(Path("run"), {name.replace("_", "-"): value for name, value in given.items()}, file)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_command_line_counts_before_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "options.json", json.dumps({"max-workers": 9, "batch-type": "slurm", "module": ["gcc"]}))
    options = settings(file, max_workers="4", cores="0.5").options()
    assert (options.max_workers, options.batch_type, options.module, options.cores) == (4, "slurm", ("gcc",), 0.5)


def test_a_file_may_be_toml(tmp_path: Path) -> None:
    file = write(tmp_path / "options.toml", 'max-workers = 7\nbatch-option = ["--partition=main"]\n')
    options = settings(file).options()
    assert (options.max_workers, options.batch_option) == (7, ("--partition=main",))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("o.json", "{", "is no table of options"),
        ("o.json", "[1]", "is no table of options"),
        ("o.toml", "max-workers 7", "is no table of options"),
        ("o.json", '{"max-workers": -1}', "max-workers -1 cannot be: expected int >= 0"),
        ("o.json", '{"max_workers": 1}', "unknown field `max_workers`"),
    ],
)
def test_a_file_that_cannot_be_is_told_with_what_is_wrong(tmp_path: Path, name: str, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        settings(write(tmp_path / name, text)).options()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*nothing\.json"):
        settings(tmp_path / "nothing.json").options()


def test_an_edit_is_seen_once_and_what_may_change_does(tmp_path: Path) -> None:
    file = write(tmp_path / "options.json", '{"max-workers": 2}')
    watched = WatchedOptions(settings(file))
    assert not watched.changed()
    write(file, '{"max-workers": 12, "idle-timeout": 5, "cores": 3}')
    assert watched.changed()
    assert watched.read_again() == [
        "idle-timeout is 5.0 now", "max-workers is 12 now", "cores stays as it was until the factory is started again",
    ]  # fmt: skip
    assert not watched.changed()
    assert (watched.current.max_workers, watched.current.idle_timeout, watched.current.cores) == (12, 5.0, None)


def test_a_bad_edit_leaves_the_old_values(tmp_path: Path) -> None:
    file = write(tmp_path / "options.json", '{"max-workers": 2}')
    watched = WatchedOptions(settings(file))
    write(file, '{"max-workers": "many"}')
    assert watched.changed()
    with pytest.raises(UsageError, match="max-workers 'many' cannot be"):
        watched.read_again()
    assert watched.current.max_workers == 2


def test_without_a_file_nothing_ever_changes() -> None:
    assert not WatchedOptions(settings()).changed()
