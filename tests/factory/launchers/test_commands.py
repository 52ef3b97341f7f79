"""Are the batch system's own words told, and files written where they should be?"""

from __future__ import annotations

from pathlib import Path

import pytest

from vine import config
from vine_factory.launchers import commands
from vine_factory.launchers.interface import LaunchFailed


def test_what_a_command_prints_is_returned() -> None:
    assert commands.run(["echo", "123"]) == "123\n"


def test_what_others_call_their_jobs_may_be_in_any_encoding() -> None:
    assert commands.run(["printf", r"1 caf\351\n2 mine\n"]) == "1 caf\ufffd\n2 mine\n"
    with pytest.raises(LaunchFailed, match="failed: caf\ufffd"):
        commands.run(["sh", "-c", r"printf 'caf\351' >&2; exit 1"])


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["no-such-sbatch"], "there is no no-such-sbatch here: start the factory where jobs can be submitted"),
        (["sh", "-c", "echo first >&2; echo 'the last line' >&2; exit 1"], "sh failed: the last line"),
        (["sh", "-c", "exit 7"], "sh failed: exit code 7"),
        (["/"], "cannot run /: Permission denied"),
    ],
)
def test_a_command_that_fails_is_told_in_its_own_words(command: list[str], words: str) -> None:
    with pytest.raises(LaunchFailed) as failed:
        commands.run(command)
    assert str(failed.value) == words


def test_what_the_users_shell_says_of_other_commands_changes_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SQUEUE_FORMAT", "SCANCEL_INTERACTIVE", "SBATCH_WAIT", "SBATCH_TIMELIMIT", "SBATCH_ACCOUNT"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    heard = commands.run(["env"])
    assert "SQUEUE_" not in heard and "SCANCEL_" not in heard and "SBATCH_WAIT" not in heard
    assert "SBATCH_TIMELIMIT" not in heard
    assert "SBATCH_ACCOUNT=1\n" in heard and "SLURM_CONF=/etc/slurm.conf\n" in heard


def test_a_command_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "batch_command_max_s", 0.01)
    with pytest.raises(LaunchFailed, match=r"sleep has not answered for 0.01 s"):
        commands.run(["sleep", "60"])


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    assert commands.write(tmp_path / "new" / "f", "text").read_text() == "text"
    with pytest.raises(LaunchFailed, match=r"cannot write .*new.*: name another --scratch-dir"):
        commands.write(tmp_path / "new" / "f" / "g", "text")


def test_what_is_too_long_for_one_command_goes_by_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "batch_jobs_a_command", 2)
    assert list(commands.portions([1, 2, 3, 4, 5])) == [[1, 2], [3, 4], [5]]


def test_the_last_words_of_a_log_are_its_last_line_that_says_something(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert commands.last_line_of(log) == ""
    log.write_text("x" * 10_000 + "\nvine-worker: the disk is full\n\n")
    assert commands.last_line_of(log) == "vine-worker: the disk is full"
