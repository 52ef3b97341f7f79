"""Do bodies see what they were given, and are their ends told in the user's words?"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from vine.wire.parts import Outcome, Resources
from vine_function_host import frames
from vine_worker import process
from vine_worker.functions.channel import Answer

ENVIRONMENT = Path("/envs/e")


def test_an_environment_comes_first_and_the_workers_modules_do_not_show_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/ours")
    monkeypatch.setenv("PATH", "/usr/bin")
    variables = process.interpreter_variables(ENVIRONMENT, 3, (), Resources(), protected=True)
    assert variables["PATH"] == "/envs/e/bin:/usr/bin"
    assert variables["VIRTUAL_ENV"] == "/envs/e"
    assert variables["OMP_NUM_THREADS"] == "3"
    assert "PYTHONPATH" not in variables


def test_an_environment_that_could_be_written_to_is_not_written_byte_code_into() -> None:
    variables = process.interpreter_variables(ENVIRONMENT, 1, (), Resources(), protected=False)
    assert variables["PYTHONDONTWRITEBYTECODE"] == "1"


def test_bodies_see_the_gpus_that_they_were_given_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    on_gpus = Resources(gpus=4)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert process.interpreter_variables(None, 1, (1, 3), on_gpus, True)["CUDA_VISIBLE_DEVICES"] == "1,3"
    assert process.interpreter_variables(None, 1, (), on_gpus, True)["CUDA_VISIBLE_DEVICES"] == ""


def test_gpus_keep_the_names_by_which_a_batch_system_gave_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-8932f937,5")
    variables = process.interpreter_variables(None, 1, (1, 2), Resources(gpus=3), True)
    assert variables["CUDA_VISIBLE_DEVICES"] == "GPU-8932f937,5"


def test_the_allotment_is_told_in_plain_figures_and_the_users_variables_win() -> None:
    allotment = Resources(cores=0.5, memory_mb=2_000_000, disk_mb=10)
    variables = process.allotment_variables(allotment, {"DISK": "mine"})
    assert variables == {"CORES": "0.5", "MEMORY": "2000000", "DISK": "mine", "GPUS": "0"}


@pytest.mark.parametrize(
    ("code", "outcome", "words"),
    [
        (0, Outcome.SUCCESS, ""),
        (3, Outcome.EXIT_CODE, "the job ended with exit code 3"),
        (-signal.SIGSEGV, Outcome.KILLED, "the job was killed by SIGSEGV"),
        (-signal.SIGKILL, Outcome.KILLED, "the job was killed by SIGKILL; it may have used more memory than there is"),
        (None, Outcome.START_FAILED, "the job could not be started: no such file"),
    ],
)
def test_ends_of_processes_are_told_in_words(code: int | None, outcome: Outcome, words: str) -> None:
    ending = process.ending_of_exit(code, "no such file", "the job")
    assert (ending.outcome, ending.message) == (outcome, words)


def test_leaving_a_function_by_exit_is_no_result() -> None:
    ending = process.ending_of_answer(Answer(1, frames.EXIT, False, b"0", 0.1))
    assert (ending.outcome, ending.exit_code, ending.value) == (Outcome.EXIT_CODE, 0, None)


def test_an_environment_without_python_is_named_as_that(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has no bin/python"):
        process.host_arguments(tmp_path, tmp_path, tmp_path)


def test_the_last_line_of_a_log_is_found_behind_a_long_one(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("x" * 10_000 + "\nImportError: no numpy\n")
    assert process.last_line(log) == "ImportError: no numpy"
    assert process.last_line(tmp_path / "none") == ""
