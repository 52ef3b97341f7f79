"""Does a fork for each call keep calls from each other?"""

from __future__ import annotations

import os
import pickle
import random
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dill
import numpy
import pytest

from tests.function_host.running import RunningHost, many, parts_of, value_or_text
from vine import config
from vine_function_host import forks, frames
from vine_function_host.payload import DILL

pytestmark = pytest.mark.live


def test_each_call_has_a_fork_of_its_own_and_leaves_nothing_in_the_host(forking: RunningHost) -> None:
    def leave_something() -> tuple[int, int, bool, str | None]:
        seen = hasattr(sys, "left_by_a_call"), os.environ.get("LEFT")
        sys.left_by_a_call = True  # type: ignore[attr-defined]
        os.environ["LEFT"] = "by a call"
        return os.getpid(), os.getppid(), *seen

    first, second = forking.result(leave_something), forking.result(leave_something)
    assert first[0] != second[0]
    assert [call[1:] for call in (first, second)] == [(forking.process.pid, False, None)] * 2


def test_a_function_is_loaded_before_the_forks(forking: RunningHost, tmp_path: Path) -> None:
    """Whoever loads this notes its process."""

    class Loaded:
        def __reduce__(self) -> Any:
            note = f"open({str(tmp_path / 'notes')!r}, 'a').write(f'{{os.getpid()}} ')"
            return eval, (f"{note} and (lambda: 7)", {"os": os})

    path = tmp_path / "function"
    path.write_bytes(DILL + dill.dumps(Loaded()))
    for _ in range(3):
        forking.call_payload(path, b"P" + pickle.dumps(((), {})))
    assert forking.values(3) == [7, 7, 7]
    assert (tmp_path / "notes").read_text().split() == [str(forking.process.pid)]


def test_a_value_that_a_fork_was_writing_when_it_died_goes_with_it(forking: RunningHost) -> None:
    def die_writing(folder: str) -> None:
        Path(folder, f"value-{os.getpid()}-1").write_bytes(b"half of it")
        os.kill(os.getpid(), 9)

    (forking.channel.folder / "value-1-1").touch()  # another one's
    forking.call(die_writing, str(forking.channel.folder))
    assert forking.answer().brings == frames.DIED
    assert os.listdir(forking.channel.folder) == ["value-1-1"]


@pytest.mark.parametrize(
    ("body", "code"),
    [(lambda: os.kill(os.getpid(), 9), b"-9"), (lambda: os._exit(4), b"4"), (lambda: os._exit(0), b"0")],
)
def test_the_death_of_a_fork_is_its_calls_alone(forking: RunningHost, body: Any, code: bytes) -> None:
    forking.call(body)
    answer = forking.answer()
    assert (answer.brings, answer.content) == (frames.DIED, code)
    assert forking.result(lambda: "the next") == "the next"


def test_exceptions_exits_long_results_and_chunks_come_out_of_a_fork(forking: RunningHost) -> None:
    forking.call(lambda: 1 / 0)
    forking.call(lambda: sys.exit(3))
    failed, left = forking.answers(2)
    assert type(value_or_text(failed)[0]) is ZeroDivisionError
    assert (left.brings, left.content) == (frames.EXIT, b"3")
    for size in (1000, config.inline_bytes_max - 10, 3 * config.inline_bytes_max):
        assert forking.result(lambda size: b"x" * size, size) == b"x" * size
    assert parts_of(many(forking, lambda x: (os.getpid(), x), (), [(1,), (2,)]))[1][1] == 2


def test_what_a_fork_has_used_is_told_and_is_not_left_in_the_host(forking: RunningHost) -> None:
    forking.call(lambda: len(b"x" * 100_000_000))
    _, most_kb, left_kb = forking.answer().use
    assert most_kb > 97_000 and left_kb == 0


def test_a_function_that_cannot_be_loaded_is_told_by_the_fork(forking: RunningHost, tmp_path: Path) -> None:
    (tmp_path / "function").write_bytes(b"Pcnomodule\nname\n.")
    forking.call_payload(tmp_path / "function", b"P" + pickle.dumps(((), {})))
    assert forking.answer().words == "ModuleNotFoundError: No module named 'nomodule'"
    assert forking.result(lambda: "still here") == "still here"


def test_a_process_that_a_fork_leaves_behind_does_not_hold_up_its_answer(forking: RunningHost, tmp_path: Path) -> None:
    def leave_a_child_and_die(gate: str) -> None:
        if os.fork() == 0:
            Path(gate).read_text()
            os._exit(0)
        os.kill(os.getpid(), 9)

    gate = tmp_path / "gate"
    os.mkfifo(gate)
    forking.call(leave_a_child_and_die, str(gate))
    assert forking.answer().brings == frames.DIED
    gate.write_text("go")  # Opens when the child has: it lived.


def test_forks_do_not_draw_the_same_random_numbers(forking: RunningHost) -> None:
    def draw(loaded_with_it: Any = numpy.random) -> tuple[float, float]:
        return random.random(), float(loaded_with_it.random())

    draws = [forking.result(draw) for _ in range(3)]
    assert len({number for pair in draws for number in pair}) == 6


def test_a_call_that_forks_is_answered_by_the_process_that_read_it_alone(host: RunningHost) -> None:
    def fork() -> str:
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        return "parent" if child else "child"

    assert host.result(fork) == "parent"
    assert host.result(lambda: "next") == "next"


def test_a_process_with_other_threads_is_not_to_be_forked() -> None:
    def ask() -> str:
        return forks.hindrance()

    assert in_a_process(ask) == ""
    assert in_a_process(lambda: with_a_thread(ask)) == "it has 2 threads after loading"


def in_a_process(body: Callable[[], str]) -> str:
    """What it returns in a process with one thread."""
    readable, writable = os.pipe()
    child = os.fork()
    if not child:
        os.write(writable, body().encode() or b"\n")
        os._exit(0)
    os.close(writable)
    os.waitpid(child, 0)
    said = os.read(readable, 1000).decode().strip()
    os.close(readable)
    return said


def with_a_thread(body: Callable[[], str]) -> str:
    gate = threading.Event()
    threading.Thread(target=gate.wait, daemon=True).start()
    return body()


def test_a_process_that_has_a_gpu_open_is_not_to_be_forked() -> None:
    assert forks.gpu_in_use(["/dev/null", "socket:[1]"]) == ""
    assert forks.gpu_in_use(["/dev/null", "/dev/nvidia0"]) == "it uses a GPU (/dev/nvidia0)"
    assert forks.gpu_in_use(["/dev/kfd"]) == "it uses a GPU (/dev/kfd)"
