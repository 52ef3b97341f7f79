"""Does a warm interpreter run calls as it should, seen from the worker's end of its socket?"""

from __future__ import annotations

import os
import pickle
import random
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dill
import numpy
import pytest

from vine import config
from vine.client import serialise
from vine_worker.functions import host as host_program
from vine_worker.functions.channel import Answer, HostChannel

pytestmark = pytest.mark.live


def test_both_ends_mean_the_same_by_the_marks_in_a_payload() -> None:
    where = (serialise.result_at.__module__, serialise.result_at.__qualname__)
    assert where == host_program.RESULT_AT
    assert serialise.MANY == host_program.MANY


class RunningHost:
    """A host process with a function store of its own."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.folder = folder
        self.channel = HostChannel(folder)
        arguments = [sys.executable, host_program.__file__, "--fd", ",".join(map(str, self.channel.far_descriptors))]
        arguments += ["--spill", str(folder), "--frame-bytes", str(config.host_frame_bytes_max)]
        arguments += ["--inline-bytes", str(config.inline_bytes_max), "--measure-from", "0", *flags]
        self.process = subprocess.Popen(arguments, pass_fds=self.channel.far_descriptors, cwd=folder)
        self.number = 0

    def call(self, function: Any, *args: Any, settings: bytes = b"", values: tuple[bytes, ...] = ()) -> None:
        path = self.folder / f"function-{self.number + 1}"
        path.write_bytes(b"D" + dill.dumps(function, recurse=True))
        self.call_payload(path, b"P" + pickle.dumps((args, {})), settings, values)

    def call_payload(self, path: Path, payload: bytes, settings: bytes = b"", values: tuple[bytes, ...] = ()) -> None:
        self.number += 1
        blobs = [(host_program.INLINE, content) for content in (payload, *values)]
        self.channel.send(self.number, os.fsencode(path), settings, blobs)
        self.channel.flush()

    def answer(self) -> Answer:
        return self.answers(1)[0]

    def values(self, count: int) -> list[Any]:
        return [value_of(answer) for answer in self.answers(count)]

    def answers(self, count: int) -> list[Answer]:
        """So many answers, besides the one that says that the interpreter is up."""
        answers: list[Answer] = []
        while len(answers) < count:
            assert select.select([self.channel], [], [], 20)[0], "the host does not answer"
            answers += (answer for answer in self.channel.receive() if answer.brings != host_program.READY)
        return answers

    def result(self, function: Any, *args: Any, **options: Any) -> Any:
        self.call(function, *args, **options)
        return value_of(self.answer())


def value_of(answer: Answer) -> Any:
    assert answer.brings == host_program.VALUE, value_or_text(answer)
    return value_or_text(answer)


def value_or_text(answer: Answer) -> Any:
    content = Path(os.fsdecode(answer.content)).read_bytes() if answer.at_path else answer.content
    return dill.loads(content[1:]) if content[:1] in (b"P", b"D") else content


@pytest.fixture
def host(tmp_path: Path) -> Iterator[RunningHost]:
    running = RunningHost(tmp_path)
    yield running
    running.process.kill()
    running.process.wait()
    running.channel.close()


def test_calls_are_answered_in_their_order(host: RunningHost) -> None:
    for number in range(5):
        host.call(lambda x: x + 1, number)
    assert host.values(5) == [1, 2, 3, 4, 5]


def test_an_exception_comes_back_as_itself_with_its_traceback_and_without_our_frames(host: RunningHost) -> None:
    def divide(a: int, b: int) -> float:
        return a / b

    host.call(divide, 1, 0)
    answer = host.answer()
    error, text = value_or_text(answer)
    assert answer.brings == host_program.EXCEPTION
    assert type(error) is ZeroDivisionError
    assert "in divide" in text
    assert host_program.__file__ not in text


def test_an_exception_that_cannot_travel_is_told_in_words(host: RunningHost) -> None:
    def fail() -> None:
        class Stubborn(Exception):  # noqa: N818
            def __init__(self, one: int, two: int) -> None:
                super().__init__(f"{one} and {two}")

            def __reduce__(self) -> Any:
                return (Stubborn, ())

        raise Stubborn(1, 2)

    host.call(fail)
    error, text = value_or_text(host.answer())
    assert type(error) is RuntimeError
    assert "Stubborn: 1 and 2" in str(error)
    assert "Stubborn" in text


def test_what_an_exception_says_is_readable_without_unpickling_it(host: RunningHost) -> None:
    def fail() -> None:
        raise ValueError("one line\nand another " + "x" * 5000)

    host.call(fail)
    words = host.answer().words
    assert words.startswith("ValueError: one line and another xxx")
    assert len(words) == host_program.WORDS_CHARS_MAX


def test_exit_fails_the_call_alone(host: RunningHost) -> None:
    host.call(lambda: sys.exit(3))
    answer = host.answer()
    assert (answer.brings, answer.content) == (host_program.EXIT, b"3")
    assert host.result(lambda: "still here") == "still here"


def test_a_result_that_cannot_be_serialised_is_an_error_that_names_its_type(host: RunningHost) -> None:
    for body, word in ((lambda: memoryview(b"abc"), "memoryview"), (lambda: (n for n in "abc"), "generator")):
        host.call(body)
        answer = host.answer()
        assert answer.brings == host_program.UNSENDABLE
        assert word in answer.words
    assert host.result(lambda: "still here") == "still here"


def test_what_awaits_something_is_no_result_and_the_words_say_what_to_do(host: RunningHost) -> None:
    async def later() -> int:
        return 1

    host.call(later)
    answer = host.answer()
    assert (answer.brings, answer.content) == (host_program.UNSENDABLE, b"")
    assert answer.words.endswith("submit a function that calls asyncio.run()")


def test_an_open_file_is_no_result(host: RunningHost, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("data")
    host.call(lambda path: open(path), str(tmp_path / "data"))  # noqa: SIM115
    answer = host.answer()
    assert answer.brings == host_program.UNSENDABLE
    assert "an open file stays where it was opened" in answer.words


def many(host: RunningHost, function: Any, first: tuple[Any, ...], rows: list[Any], **named: Any) -> Answer:
    """What is answered to a chunk of calls."""
    path = host.folder / "chunk"
    path.write_bytes(b"D" + dill.dumps(function, recurse=True))
    host.call_payload(path, b"MP" + pickle.dumps(((first, rows), named)))
    return host.answer()


def parts_of(answer: Answer) -> list[Any]:
    assert answer.content[:1] == b"M"
    return [dill.loads(part[1:]) for part in serialise.parts_of(answer.content)]


def test_a_chunk_of_calls_is_one_call_with_the_results_of_all(host: RunningHost) -> None:
    answer = many(host, lambda a, b, c=0: (a, b, c), ("first",), [(1,), (2,)], c=3)
    assert answer.brings == host_program.VALUE
    assert parts_of(answer) == [("first", 1, 3), ("first", 2, 3)]


def test_a_failure_in_a_chunk_is_answered_with_what_came_before_and_ends_it(host: RunningHost) -> None:
    answer = many(host, lambda x: [].append(x) or 1 / x, (), [(1,), (0,), (2,)])
    *values, (error, text) = parts_of(answer)
    assert (answer.brings, values, type(error)) == (host_program.EXCEPTION, [1.0], ZeroDivisionError)
    assert answer.words == "ZeroDivisionError: division by zero"
    assert "division by zero" in text


def test_a_result_in_a_chunk_that_cannot_travel_does_not_take_those_before_it_along(host: RunningHost) -> None:
    answer = many(host, lambda x: x or memoryview(b""), (), [(1,), (0,), (2,)])
    assert (answer.brings, parts_of(answer)) == (host_program.UNSENDABLE, [1])


def test_exit_in_a_chunk_is_the_exit_of_all_of_it(host: RunningHost) -> None:
    answer = many(host, sys.exit, (), [(3,), (4,)])
    assert (answer.brings, answer.content) == (host_program.EXIT, b"3")


def test_values_of_other_tasks_take_the_place_of_their_references(host: RunningHost, tmp_path: Path) -> None:
    class Second:
        def __reduce__(self) -> Any:
            return serialise.result_at, (1,)

    payload = pickle.dumps(((Second(), {"nested": [Second()]}), {}))
    function = tmp_path / "function"
    function.write_bytes(b"D" + dill.dumps(lambda x, y: (x, y, x is y["nested"][0]), recurse=True))
    values = (b"P" + pickle.dumps("no"), b"P" + pickle.dumps([1, 2]))
    host.call_payload(function, b"P" + payload, values=values)
    assert value_of(host.answer()) == ([1, 2], {"nested": [[1, 2]]}, True)


def test_long_arguments_and_results_go_by_files(host: RunningHost, tmp_path: Path) -> None:
    long = b"x" * (3 * config.host_frame_bytes_max)
    host.call(lambda data: data, long)
    answer = host.answer()
    assert answer.at_path
    assert value_of(answer) == long
    assert not list(tmp_path.glob("call-*")), "the call's file was left behind"


def test_a_call_sees_its_folder_and_variables_and_the_next_one_does_not(host: RunningHost, tmp_path: Path) -> None:
    def where() -> tuple[str, str | None]:
        return os.getcwd(), os.environ.get("COLOUR")

    folder = tmp_path / "sandbox"
    folder.mkdir()
    settings = f'{{"folder": "{folder}", "variables": {{"COLOUR": "red"}}}}'.encode()
    assert host.result(where, settings=settings) == (str(folder), "red")
    assert host.result(where) == (str(tmp_path), None)


def test_functions_of_main_do_not_see_the_hosts_own_names(host: RunningHost) -> None:
    names = host.result(lambda: sorted(name for name in vars(sys.modules["__main__"]) if not name.startswith("__")))
    assert names == []


def test_calls_that_were_not_read_are_taken_back_exactly(host: RunningHost, tmp_path: Path) -> None:
    """The first blocks in the function, so that the others stay in the socket."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    assert host.result(lambda: 0) == 0
    host.call(lambda path: Path(path).read_text(), str(gate))
    with gate.open("w") as opened:  # Opens when the call has: it runs.
        host.call(lambda: "second")
        host.call(lambda data: "third", b"x" * (2 * config.host_frame_bytes_max))
        assert host.channel.take_back() == [3, 4]
        opened.write("go")
    assert value_of(host.answer()) == "go"
    assert host.result(lambda: "later") == "later"
    assert not list(tmp_path.glob("call-*")), "the file of a call that was taken back was left behind"


def test_answers_survive_the_death_of_their_host(host: RunningHost) -> None:
    host.call(lambda: "before")
    host.call(lambda: os.kill(os.getpid(), signal.SIGKILL))
    host.call(lambda: "never read")
    host.process.wait()
    answers = host.channel.receive()
    assert [answer.brings for answer in answers] == [host_program.READY, host_program.VALUE]
    assert host.channel.take_back() == [3]


def test_a_host_for_one_call_ends_after_it_with_its_exit_code(tmp_path: Path) -> None:
    host = RunningHost(tmp_path, "--once")
    host.call(lambda: sys.exit(7))
    assert host.process.wait() == 7
    host.channel.close()


@pytest.fixture
def forking(tmp_path: Path) -> Iterator[RunningHost]:
    running = RunningHost(tmp_path, "--fork")
    yield running
    running.process.kill()
    running.process.wait()
    running.channel.close()


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
    path.write_bytes(b"D" + dill.dumps(Loaded()))
    for _ in range(3):
        forking.call_payload(path, b"P" + pickle.dumps(((), {})))
    assert forking.values(3) == [7, 7, 7]
    assert (tmp_path / "notes").read_text().split() == [str(forking.process.pid)]


@pytest.mark.parametrize(
    ("body", "code"),
    [(lambda: os.kill(os.getpid(), 9), b"-9"), (lambda: os._exit(4), b"4"), (lambda: os._exit(0), b"0")],
)
def test_the_death_of_a_fork_is_its_calls_alone(forking: RunningHost, body: Any, code: bytes) -> None:
    forking.call(body)
    answer = forking.answer()
    assert (answer.brings, answer.content) == (host_program.DIED, code)
    assert forking.result(lambda: "the next") == "the next"


def test_exceptions_exits_long_results_and_chunks_come_out_of_a_fork(forking: RunningHost) -> None:
    forking.call(lambda: 1 / 0)
    forking.call(lambda: sys.exit(3))
    failed, left = forking.answers(2)
    assert type(value_or_text(failed)[0]) is ZeroDivisionError
    assert (left.brings, left.content) == (host_program.EXIT, b"3")
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
    assert forking.answer().brings == host_program.DIED
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


def test_a_result_that_finds_no_room_leaves_nothing_of_its_file(host: RunningHost, tmp_path: Path) -> None:
    def long() -> bytes:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
        return bytes(4_000_000)

    host.call(long)
    assert host.answer().words.startswith("OSError")
    assert not list(tmp_path.glob("value-*"))


def test_a_result_whose_file_cannot_even_be_made_is_told_with_the_reason(host: RunningHost) -> None:
    def long() -> bytes:
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
        return bytes(4_000_000)

    host.call(long)
    assert "Too many open files" in host.answer().words
