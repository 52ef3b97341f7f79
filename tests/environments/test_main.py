"""The command packs, looks into and runs environments, and says in a line what is wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.environments.made import PYTHON, offline, virtualenv, wheel
from vine.environments.main import main
from vine.errors import ExitCode


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.live
def test_what_is_created_can_be_inspected_and_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an environment that was packed by the command
    virtualenv(tmp_path / "made", mine="VALUE = 7\n")
    assert main(["create", "made"]) == ExitCode.OK
    assert capfd.readouterr() == ("made.tar.zst\n", "")
    # when a command runs in it, then its modules are there, ours are not, and its exit code is the command's
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    program = "import sys, mine; print(mine.VALUE); sys.exit(7 if 'PYTHONPATH' not in __import__('os').environ else 1)"
    assert main(["run", "made.tar.zst", "--", "python", "-c", program]) == 7
    assert capfd.readouterr().out == "7\n"
    # and where it is unpacked to a folder of the user's, that is used the next time too
    for _ in range(2):
        assert main(["run", "--unpack-to", "kept", "made.tar.zst", "python", "-c", "import mine"]) == 0
    assert (tmp_path / "kept" / "bin" / "python").exists()
    # but not for another archive
    assert main(["create", "made", "--copy-interpreter", "--output", "whole.tar.zst"]) == ExitCode.OK
    assert main(["run", "--unpack-to", "kept", "whole.tar.zst", "python", "-c", "import mine"]) == ExitCode.USAGE
    assert "holds another archive" in capfd.readouterr().err
    # and what was removed is unpacked again
    shutil.rmtree("kept")
    assert main(["run", "--unpack-to", "kept", "made.tar.zst", "python", "-c", "import mine"]) == 0
    assert (tmp_path / "kept" / "bin" / "python").exists()
    # and what is in it is told
    assert main(["inspect", "made.tar.zst", "--json"]) == ExitCode.OK
    assert json.loads(capfd.readouterr().out)["python"] == PYTHON
    assert main(["inspect", "made.tar.zst"]) == ExitCode.OK
    assert "workers need" in capfd.readouterr().out


@pytest.mark.live
def test_requirements_are_packed_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wheel(tmp_path / "wheels", "mine")
    words = [word for line in offline(tmp_path / "wheels", "mine") for word in (f"--requirement={line}",)]
    assert main(["create", *words, "--output", "out.tar.zst"]) == ExitCode.OK
    assert main(["run", "out.tar.zst", "--", "say-mine"]) == 0
    assert capfd.readouterr().out == "out.tar.zst\nsaid by mine\n"


def test_what_a_function_needs_is_a_list_of_requirements(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "script.py").write_text("import msgspec\nimport own\nimport gone\ndef f(): return msgspec, own\n")
    (tmp_path / "own.py").write_text("")
    assert main(["analyze", "script.py", "--function", "f"]) == ExitCode.OK
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("msgspec==")
    assert second.startswith("# own.py lies beside")
    assert main(["analyze", "script.py", "--json"]) == ExitCode.FAILED
    told = capsys.readouterr()
    assert json.loads(told.out)["unknown"] == ["gone"]
    assert told.err.startswith("vine-package: nothing that is installed here brings gone")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["create"], "name one environment"),
        (["create", "x", "--requirement", "y"], "name one environment"),
        (["create", "nothing"], "no environment at"),
        (["create", "script.py"], "is an archive already"),
        (["inspect", "nothing.tar"], "cannot be read"),
        (["inspect", "script.py"], "no tar archive"),
        (["run", "script.py"], "name the command"),
        (["run", "script.py", "--", "true"], "no tar archive"),
        (["analyze", "nothing.py"], "cannot be read"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(
    words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "script.py").write_text("text\n")
    assert main(words) != ExitCode.OK
    told = capsys.readouterr()
    assert told.out == ""
    [line] = told.err.splitlines()
    assert line.startswith("vine-package: ")
    assert says in line


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("vine-package ")
