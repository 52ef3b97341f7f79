"""Does the command line of the factory say what it takes, and refuse what it cannot be?"""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import msgspec
import pytest

from vine.errors import ExitCode
from vine.factory_options import FactoryOptions
from vine.names import RunId
from vine.wire.keys import new_run_keys, write_run_files
from vine_factory.main import main, parse

NEEDED = ("--connection", "run")


def test_what_is_left_out_has_its_default() -> None:
    settings = parse(NEEDED)
    assert settings.options() == FactoryOptions()
    assert (settings.config, settings.dry_run, settings.parent_fd) == (None, None, None)


def test_every_option_of_a_factory_is_one_of_the_command() -> None:
    given = {
        "batch-type": "htcondor", "name": "f", "min-workers": "1", "max-workers": "9", "workers-per-cycle": "3",
        "cycle": "5", "tasks-per-worker": "2.5", "capacity": None, "idle-timeout": "30", "cores": "0.5",
        "memory": "1e3", "disk": "20", "gpus": "2", "feature": "NVIDIA RTX A2000", "wall-time": "3600",
        "workspace": "$TMPDIR/vine", "python": "/opt/python", "worker-environment": "env.tar.gz", "module": "gcc",
        "setup": "ulimit -n 4096", "batch-option": "+ProjectName = 1", "requirements": "HasGPU", "scratch-dir": "s",
    }  # fmt: skip
    words = [word for name, value in given.items() for word in ([f"--{name}={value}"] if value else [f"--{name}"])]
    options = parse([*NEEDED, *words]).options()
    assert [each.encode_name for each in msgspec.structs.fields(FactoryOptions)] == list(given)
    assert all(getattr(options, name) != default for name, default in msgspec.structs.asdict(FactoryOptions()).items())


def test_what_may_be_given_several_times_is_kept_in_order() -> None:
    assert parse([*NEEDED, "--feature", "a100", "--feature", "x y"]).options().feature == ("a100", "x y")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--min-workers", "3", "--max-workers", "2"], "min-workers 3 is more than max-workers 2"),
        (["--max-workers", "-1"], "max-workers '-1' cannot be: expected int >= 0"),
        (["--gpus", "0.5"], "gpus '0.5' cannot be: expected int"),
        (["--batch-type", "cloud"], "invalid choice: 'cloud'"),
        (["--config", "nothing.json"], "cannot read nothing.json"),
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


@pytest.mark.parametrize(
    ("batch_type", "command"),
    [("local", "bash"), ("slurm", "sbatch --parsable"), ("htcondor", "condor_submit -terse")],
)
def test_a_dry_run_writes_what_would_be_submitted_and_says_how(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], batch_type: str, command: str
) -> None:
    connection = write_run_files(new_run_keys(), tmp_path / "run", RunId("r"), "tcp://127.0.0.1:1")
    folder = tmp_path / "scripts"
    # Given the folder with the keys of all roles: only the workers' file goes anywhere
    arguments = ["--connection", str(connection.parent), "--batch-type", batch_type, "--min-workers", "3"]
    assert main([*arguments, "--dry-run", str(folder)]) == ExitCode.OK
    said = capsys.readouterr().out.strip()
    assert said.startswith(command)
    assert Path(shlex.split(said)[-1]).parent == folder
    [script] = folder.glob("*.sh")
    assert "one of 3 workers" in script.read_text()
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    assert any(f"{connection}" in path.read_text() for path in folder.iterdir())
    if batch_type == "htcondor":
        [submit] = folder.glob("*.submit")
        assert f"transfer_input_files = {connection}\n" in submit.read_text()
    secret = msgspec.json.decode(connection.read_bytes())["own"]["secret"]
    assert not any(secret in path.read_text() for path in folder.iterdir()), "keys stay in their file"
