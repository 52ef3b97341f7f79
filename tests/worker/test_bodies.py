"""Do commands and fresh interpreters run as they were told to, and is what they leave taken in and told?"""

from __future__ import annotations

import errno
import os
import pickle
import queue
import select
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.worker.assignments import ONE, assignment, function, keep
from tests.worker.programs import Held
from vine import config
from vine.names import FileId
from vine.wire.parts import Assignment, Mount, ObjectMount, Outcome, TaskKind, When
from vine_worker import actions as act
from vine_worker.bodies import Bodies
from vine_worker.functions.calls import CallWriter
from vine_worker.places import Places
from vine_worker.programs import Programs
from vine_worker.resources import Grant

pytestmark = pytest.mark.live


class Running:
    """The bodies, and what they have reported, from whatever thread."""

    def __init__(self, places: Places, programs: Programs) -> None:
        self.places = places
        self._programs = programs
        self.reports: queue.Queue[Any] = queue.Queue()
        self.bodies = Bodies(places, programs, CallWriter(places.holdings), self.reports.put)

    def start(self, given: Assignment) -> None:
        self.bodies.start(act.StartBody(given, Grant(ONE)))

    def ending(self, given: Assignment) -> act.Ending:
        """Runs the body until its program ends."""
        self.start(given)
        return self.next_end(given)

    def next_end(self, given: Assignment) -> act.Ending:
        assert select.select([self._programs], [], [], 20)[0], "the body does not end"
        for ended in self._programs.receive():
            event = self.bodies.program_ended(ended)
            assert event is not None
            assert event.attempt == given.attempt
            return event.ending
        return self.next_end(given)  # That it has started was reported.

    def collect(self, given: Assignment, succeeded: bool = True, **fields: Any) -> act.Collected:
        fields = {"value_path": None, "value_wanted": True, **fields}
        collected = self.bodies.collect(act.Collect(given, succeeded, **fields)) or self.reports.get(timeout=20)
        assert isinstance(collected, act.Collected)
        assert not self.places.sandbox(given.attempt).folder.exists(), "the sandbox was left behind"
        return collected


@pytest.fixture
def running(places: Places, unprotected: Programs) -> Iterator[Running]:
    made = Running(places, unprotected)
    yield made
    made.bodies.close()


def command(text: str, number: int = 1, **fields: Any) -> Assignment:
    return assignment(number, TaskKind.COMMAND, command=text, **fields)


# --- running ---


def test_a_command_sees_its_folder_inputs_and_variables_and_its_streams_come_back(running: Running) -> None:
    data = keep(running.places, b"hello ")
    given = command(
        "cat in/data; echo $CORES $COLOUR; echo bad >&2; test -d $TMPDIR && pwd",
        inputs=(ObjectMount(data, "in/data"),),
        variables={"COLOUR": "red"},
    )
    assert running.ending(given) == act.Ending(Outcome.SUCCESS, exit_code=0)
    folder = running.places.sandbox(given.attempt).work
    collected = running.collect(given)
    assert (collected.stdout.decode(), collected.stderr) == (f"hello 1 red\n{folder}\n", b"bad\n")


def test_a_failing_command_is_told_with_its_name_and_code(running: Running) -> None:
    ending = running.ending(command("exit 3", label="the job"))
    assert ending == act.Ending(Outcome.EXIT_CODE, exit_code=3, message="the job ended with exit code 3")


def test_what_cannot_be_started_ends_at_once_with_the_reason(running: Running) -> None:
    running.start(command("true", label="the job", outputs=(Mount(FileId(1), "/etc/passwd"),)))
    event = running.reports.get_nowait()
    assert event.ending.outcome is Outcome.START_FAILED
    assert event.ending.message.startswith("the job could not be started: the name '/etc/passwd'")


def test_what_the_worker_has_no_folder_for_may_be_started_elsewhere(running: Running) -> None:
    given = command("true", label="the job")
    shutil.rmtree(running.places.sandbox(given.attempt).folder.parent)  # As who tidies up /tmp does.
    running.start(given)
    ending = running.reports.get_nowait().ending
    assert ending.outcome is Outcome.UNPREPARED and "No such file" in ending.message


def test_an_interpreter_that_cannot_be_started_leaves_nothing_open(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = function(running.places, os.getcwd)
    payload = b"P" * config.host_frame_bytes_max

    def start(*_arguments: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Programs, "start", start)
    before = len(os.listdir("/proc/self/fd"))
    running.start(assignment(1, TaskKind.PYTHON, function=key, payload=payload))
    assert running.reports.get_nowait().ending.outcome is Outcome.DISK_FULL
    assert len(os.listdir("/proc/self/fd")) == before
    assert os.listdir(running.places.spill) == []


def test_the_right_one_is_killed(running: Running) -> None:
    held = Held(running.places.folder / "held")
    given = command(f"exec > {held.path}; echo up; exec sleep 60")
    running.start(given)
    held.wait_for_start()
    running.bodies.kill(act.KillBody(command("", number=9).attempt, force=True))  # One that has ended meanwhile.
    running.bodies.kill(act.KillBody(given.attempt, force=False))
    assert running.next_end(given).message == "the task was killed by SIGTERM"


def test_a_fresh_interpreter_returns_its_value_and_knows_its_folder(running: Running) -> None:
    given = assignment(1, TaskKind.PYTHON, "x", function=function(running.places, lambda x: (x, os.getcwd())))
    ending = running.ending(given)
    assert ending.outcome is Outcome.SUCCESS
    assert ending.value is not None
    assert pickle.loads(ending.value[1:]) == ("x", str(running.places.sandbox(given.attempt).work))


@pytest.mark.parametrize(
    ("body", "outcome", "words"),
    [
        (lambda: sys.exit(5), Outcome.EXIT_CODE, "sys.exit(5)"),
        (lambda: os._exit(5), Outcome.EXIT_CODE, "the job ended its interpreter with code 5"),
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), Outcome.KILLED, "the job was killed by SIGSEGV"),
        (lambda: 1 / 0, Outcome.EXCEPTION, "ZeroDivisionError"),
    ],
)
def test_the_ends_of_a_fresh_interpreter_are_told_apart(
    running: Running, body: Any, outcome: Outcome, words: str
) -> None:
    given = assignment(1, TaskKind.PYTHON, function=function(running.places, body), label="the job")
    ending = running.ending(given)
    assert ending.outcome is outcome
    assert words in ending.message


def test_an_interpreter_that_does_not_come_up_is_told_with_its_last_words(running: Running) -> None:
    key = function(running.places, os.getcwd)
    given = assignment(1, TaskKind.PYTHON, function=key, variables={"PYTHONHOME": "/nowhere"}, label="the job")
    ending = running.ending(given)
    assert ending.outcome is Outcome.START_FAILED
    assert ending.message.startswith("the interpreter of the job did not come up: ")
    last = running.places.sandbox(given.attempt).stderr.read_text().splitlines()[-1]
    assert ending.message.endswith(last)


# --- collecting ---


def test_outputs_go_into_the_store(running: Running) -> None:
    given = command("echo one > a; mkdir b; echo two > b/c", outputs=(Mount(FileId(7), "a"), Mount(FileId(8), "b")))
    running.ending(given)
    first, second = running.collect(given).outputs
    assert (first.file_id, second.file_id) == (FileId(7), FileId(8))
    store = running.places.store
    assert store.path(first.object_id).read_text() == "one\n"
    assert (store.path(second.object_id) / "c").read_text() == "two\n"


def test_outputs_of_what_failed_are_left_behind(running: Running) -> None:
    given = command("echo one > a; exit 1", outputs=(Mount(FileId(7), "a"),))
    running.ending(given)
    collected = running.collect(given, succeeded=False)
    assert (collected.outcome, collected.outputs) == (None, ())


def test_an_output_that_was_not_made_is_told_by_its_name(running: Running) -> None:
    given = command("true", outputs=(Mount(FileId(7), "there"),))
    running.ending(given)
    collected = running.collect(given)
    assert collected.outcome is Outcome.OUTPUT_MISSING
    assert "there" in collected.message


def test_an_optional_output_is_taken_if_it_is_there(running: Running) -> None:
    outputs = (Mount(FileId(7), "there", optional=True), Mount(FileId(8), "deep/missing", optional=True))
    given = command("echo one > there", outputs=outputs)
    running.ending(given)
    collected = running.collect(given)
    assert (collected.outcome, [output.file_id for output in collected.outputs]) == (None, [FileId(7)])


def test_an_output_that_does_not_fit_is_a_full_disk(running: Running) -> None:
    given = command("truncate -s 200M large", outputs=(Mount(FileId(7), "large"),))
    running.ending(given)
    assert running.collect(given).outcome is Outcome.DISK_FULL


def test_whoever_wrote_to_an_input_is_told_and_the_object_is_out_of_the_store(running: Running) -> None:
    data, other = keep(running.places, b"hello"), keep(running.places, b"untouched")
    mounts = (ObjectMount(data, "data"), ObjectMount(other, "other"))
    given = command("chmod +w data; echo more >> data; echo > a", inputs=mounts, outputs=(Mount(FileId(7), "a"),))
    running.ending(given)
    collected = running.collect(given)
    assert (collected.outcome, collected.altered, collected.outputs) == (Outcome.INPUT_ALTERED, (data,), ())
    assert "wrote to its input data," in collected.message
    assert (running.places.store.has(data), running.places.store.has(other)) == (False, True)


def test_streams_are_cut_where_they_are_too_long(running: Running) -> None:
    given = command(f"head -c {config.stdio_bytes_max + 1} /dev/zero")
    running.ending(given)
    collected = running.collect(given)
    assert len(collected.stdout) == config.stdio_bytes_max
    assert collected.spilled is not None
    assert (Path(collected.spilled) / "stdout").stat().st_size == config.stdio_bytes_max + 1


def test_streams_that_come_back_whole_are_nowhere_else(running: Running) -> None:
    given = command("echo short")
    running.ending(given)
    collected = running.collect(given)
    assert (collected.stdout, collected.spilled) == (b"short\n", None)


def test_a_long_value_is_posted_if_it_is_wanted_and_removed_if_not(running: Running) -> None:
    key = function(running.places, lambda size: b"x" * size)
    for number, wanted in ((1, True), (2, False)):
        given = assignment(number, TaskKind.PYTHON, config.inline_bytes_max + 1, function=key)
        path = running.ending(given).value_path
        assert path is not None
        collected = running.collect(given, value_path=path, value_wanted=wanted)
        assert (collected.value_object is not None, Path(path).exists()) == (wanted, wanted)


def test_a_mistake_of_our_own_is_not_kept_silent(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_path: Path) -> Any:
        raise AssertionError("ours")

    monkeypatch.setattr(running.places.holdings, "adopt", broken)
    given = command("echo > a", outputs=(Mount(FileId(7), "a"),))
    running.ending(given)
    running.bodies.collect(act.Collect(given, True, None, True))
    assert isinstance(running.reports.get(timeout=20), AssertionError)


def test_a_body_finds_nothing_of_the_one_before_in_a_sandbox_that_is_used_again(running: Running) -> None:
    first = command("seq 1000")
    assert running.ending(first).outcome is Outcome.SUCCESS
    assert running.collect(first).stdout.endswith(b"1000\n")
    second = command("ls -A . $TMPDIR; pwd; echo x >&2", number=2)
    running.ending(second)
    collected = running.collect(second)
    here = running.places.sandbox(second.attempt)
    assert collected.stdout.decode() == f".:\n\n{here.scratch}:\n{here.work}\n"
    assert collected.stderr == b"x\n"


def test_a_sandbox_from_which_a_process_has_escaped_is_not_used_again(running: Running, tmp_path: Path) -> None:
    held = Held(tmp_path / "held")
    escape = "import os, sys, time; os.fork() and os._exit(0); os.setsid(); print('up', flush=True); time.sleep(60)"
    os.mkfifo(f"{held.path}.go")
    given = command(f'{sys.executable} -c "{escape}" > {held.path} && cat {held.path}.go')
    running.start(given)
    assert held.wait_for_start() == "up"
    Path(f"{held.path}.go").write_text("")
    running.next_end(given)
    running.collect(given)
    assert not running.places.spares.give(running.places.sandbox(command("", number=2).attempt))


def test_of_a_failure_the_outputs_that_are_for_it_are_kept_if_they_are_there(running: Running) -> None:
    mounts = tuple(Mount(FileId(number), when.value, when) for number, when in enumerate(When))
    given = command("touch success failure; exit 1", outputs=mounts)
    running.ending(given)
    collected = running.collect(given, succeeded=False)
    assert collected.outcome is None
    assert [output.file_id for output in collected.outputs] == [list(When).index(When.FAILURE)]


def test_one_whose_promised_output_is_missing_has_failed_and_leaves_what_is_for_that(running: Running) -> None:
    mounts = (Mount(FileId(1), "log", When.FAILURE), Mount(FileId(2), "missing"))
    given = command("echo why > log", outputs=mounts)
    running.ending(given)
    collected = running.collect(given)
    assert collected.outcome is Outcome.OUTPUT_MISSING
    assert [output.file_id for output in collected.outputs] == [FileId(1)]


def test_one_that_was_cancelled_leaves_nothing(running: Running) -> None:
    given = command("touch log; exit 1", outputs=(Mount(FileId(1), "log", When.ALWAYS),))
    running.ending(given)
    assert running.collect(given, succeeded=False, wanted=False).outputs == ()


def test_an_output_of_a_failure_that_cannot_be_taken_hides_nothing(running: Running) -> None:
    given = command("ln -s nowhere log; exit 1", outputs=(Mount(FileId(1), "log", When.ALWAYS),))
    running.ending(given)
    collected = running.collect(given, succeeded=False)
    assert (collected.outcome, collected.outputs) == (None, ())
