"""Is what the user asked for what the worker becomes, and is what cannot be told in one line?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vine_worker.main import default_id, main, parse, plain_name


def test_options_become_settings() -> None:
    settings = parse(
        [
            "--connection",
            "c.json",
            "--cores",
            "2",
            "--memory",
            "100",
            "--workspace",
            "w",
            "--feature",
            "a",
            "--feature",
            "b",
        ]
    )
    assert (settings.cores, settings.memory_mb, settings.disk_mb) == (2.0, 100.0, None)
    assert settings.features == ("a", "b")
    assert settings.workspace == Path.cwd() / "w"


def test_a_missing_connection_file_is_one_line_and_an_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--connection", str(tmp_path / "none.json"), "--workspace", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("vine-worker: ")
    assert "none.json" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", ["../w", "a b", "", "-w", "a/b"])
def test_names_that_could_leave_the_workspace_are_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["--connection", "c", f"--worker-id={name}"])
    assert ended.value.code == 2 or name == ""


@pytest.mark.parametrize("option", ["--disk", "--memory"])
@pytest.mark.parametrize("amount", ["10GB", "-1", "nan"])
def test_what_is_no_number_of_megabytes_is_told_to_be_one(
    option: str, amount: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(["--connection", "c", f"{option}={amount}"])
    assert "a number of MB" in capsys.readouterr().err


def test_a_part_of_a_gpu_is_no_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--connection", "c", "--gpus", "0.5"])
    assert "0.5 are no whole GPUs" in capsys.readouterr().err


def test_the_name_that_a_worker_gives_itself_is_plain() -> None:
    assert plain_name(default_id())
    settings = parse(["--connection", "c", "--worker-id-start", "block-3-"])
    assert settings.worker_id.startswith("block-3-")
    assert plain_name(settings.worker_id)


def test_what_few_workers_need_is_not_imported_when_each_starts() -> None:
    looks = "import sys, vine_worker.main; print(*{'asyncio', 'http.client', 'ssl'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", looks], capture_output=True, text=True, check=True)
    assert ended.stdout == "\n"
