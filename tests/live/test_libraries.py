"""Libraries from the user's program to real workers: loaded once, shared, isolated, failing, removed, loaded anew."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import vine
from tests.live import bodies
from tests.live.helpers import Site, a_site, check_message, done, lines_of, on, run, the_error
from tests.waiting import GIVE_UP_S, until
from vine import errors

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with a_site(tmp_path_factory.mktemp("libraries") / "site", ["w0", "w1"], "--cores", 2) as made:
        yield made


@pytest.fixture
def manager(site: Site) -> Iterator[vine.Manager]:
    with vine.Manager(connection=site.connection) as manager:
        yield manager


# What travels by value, as the functions of a user's script do.


def a_script() -> dict[str, Any]:
    """The functions of a program that is run as `__main__`."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(SCRIPT, names)
    return names


SCRIPT = """
import os, time, vine

class Model:
    def __init__(self, factor):
        self.factor = factor

def build(notes, factor):
    with open(notes, "a") as file:
        file.write(f"{os.getpid()}\\n")
    return {"model": Model(factor), "calls": []}

def predict(x):
    model = vine.load_variable_from_library("model")
    assert isinstance(model, Model)
    vine.load_variable_from_library("calls").append(x)
    return model.factor * x, len(vine.load_variable_from_library("calls")), os.getpid()

def twice(x):
    return predict(predict(x)[0])[0]

def wait(notes, release):
    with open(notes, "a") as file:
        file.write(f"{os.getpid()} {os.getppid()}\\n")
    while not os.path.exists(release):
        time.sleep(0.01)  # A look at a file tells nobody; the test says when.
    return "released"

def die():
    os.kill(os.getpid(), 9)

def fill(size):
    hog = b"x" * size
    time.sleep(60)  # Until it is ended for what it has: memory is looked at a few times a second.

def rest(seconds):
    time.sleep(seconds)  # Until a time limit or a cancellation ends it.

def build_large(size):
    return {"model": b"x" * size}

def broken():
    raise ValueError("no such model")
"""


def library(manager: vine.Manager, name: str, *functions: str, **options: Any) -> vine.LibraryTask:
    script = a_script()
    if "context" in options:
        options["context"] = (script[options["context"][0]], *options["context"][1:])
    made = manager.create_library_from_functions(name, *(script[function] for function in functions), **options)
    made.set_cores(2)
    made.set_memory(400)
    made.set_disk(100)
    return made


def test_a_context_is_computed_once_on_each_worker_and_shared_by_its_calls(
    manager: vine.Manager, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    manager.install_library(library(manager, "lib", "predict", "twice", context=("build", [str(notes), 3])))
    calls = [on(worker, vine.FunctionCall("lib", "predict", n)) for worker in ("w0", "w1") for n in range(10)]
    calls.append(vine.FunctionCall("lib", "twice", 2))
    outputs = [call.output for call in done(manager, *calls)]
    assert [output[0] for output in outputs[:20]] == [3 * n for n in range(10)] * 2
    assert outputs[20] == 18
    assert {output[1] for output in outputs[:20]} == {1}, "a call finds what another one has left"
    assert len({output[2] for output in outputs[:20]}) == 20
    assert len(lines_of(notes)) == 2


def test_slots_run_call_after_call_where_that_is_asked_for(manager: vine.Manager, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    options = {"context": ("build", [str(notes)], {"factor": 2}), "exec_mode": "direct", "slots": 2}
    manager.install_library(library(manager, "direct", "predict", **options))
    calls = [on("w0", vine.FunctionCall("direct", "predict", n)) for n in range(50)]
    outputs = [call.output for call in done(manager, *calls)]
    assert sorted(output[0] for output in outputs) == [2 * n for n in range(50)]
    assert len({output[2] for output in outputs}) <= 2
    assert max(output[1] for output in outputs) > 1
    assert len(lines_of(notes)) == 1


def test_a_failing_context_fails_its_calls_with_its_traceback_and_no_others(
    manager: vine.Manager, site: Site, tmp_path: Path
) -> None:
    manager.install_library(library(manager, "bad", "predict", context=("broken",)))
    manager.install_library(library(manager, "good", "predict", context=("build", [str(tmp_path / "notes"), 1])))
    bad = [vine.FunctionCall("bad", "predict", n) for n in range(3)]
    good = [vine.FunctionCall("good", "predict", n) for n in range(3)]
    done(manager, *bad, *good)
    assert [call.output[0] for call in good] == [0, 1, 2]
    for call in bad:
        check_message(call.error, errors.LibraryFailed, "'bad'", "ValueError: no such model", "library-bad", ".log")
        cause = the_error(call).__cause__
        assert type(cause) is ValueError
        assert "in broken" in str(cause.__cause__)
    late = vine.FunctionCall("bad", "predict", 1)
    (late,) = done(manager, late)
    assert type(late.error) is errors.LibraryFailed


def test_a_call_that_dies_or_takes_too_much_harms_no_other(manager: vine.Manager, tmp_path: Path) -> None:
    notes, never = tmp_path / "notes", str(tmp_path / "never")
    functions = ("predict", "die", "wait", "fill")
    manager.install_library(library(manager, "lib", *functions, context=("build", [str(tmp_path / "built"), 1])))
    dies, late, fat, cancelled = (
        on("w0", vine.FunctionCall("lib", *call))
        for call in (("die",), ("wait", str(notes), never), ("fill", 200_000_000), ("wait", str(notes), never))
    )
    late.set_time_max(0.5)
    fat.set_memory(50)
    others = [on("w0", vine.FunctionCall("lib", "predict", n)) for n in range(6)]
    for call in (dies, late, fat, cancelled, *others):
        manager.submit(call)
    until(lambda: len(lines_of(notes)) == 2, "both run")
    assert cancelled.id is not None and manager.cancel_by_task_id(cancelled.id)
    for _ in range(10):
        assert manager.wait(GIVE_UP_S) is not None
    check_message(dies.error, errors.TaskFailed, "lib.die", "SIGKILL", "library-lib")
    check_message(late.error, errors.TimeLimitExceeded, "0.5 s")
    check_message(fat.error, errors.MemoryLimitExceeded, "50 MB")
    assert type(cancelled.error) is errors.TaskCancelled
    assert [call.output[0] for call in others] == list(range(6))
    assert len(lines_of(tmp_path / "built")) == 1


def test_the_calls_of_a_library_are_held_to_its_memory_together(manager: vine.Manager) -> None:
    """Each of these is below it alone."""
    manager.install_library(library(manager, "whole", "fill"))
    larger, smaller = (on("w0", vine.FunctionCall("whole", "fill", size)) for size in (250_000_000, 200_000_000))
    manager.submit(larger)
    manager.submit(smaller)
    assert manager.wait(GIVE_UP_S) is larger
    check_message(larger.error, errors.MemoryLimitExceeded, "the library 'whole' used", "its limit is 400 MB")
    assert smaller.id is not None and manager.cancel_by_task_id(smaller.id)
    assert manager.wait(GIVE_UP_S) is smaller
    assert type(smaller.error) is errors.TaskCancelled


def test_what_a_library_has_loaded_is_not_counted_as_its_calls_use(manager: vine.Manager) -> None:
    for mode in ("fork", "direct"):
        manager.install_library(library(manager, mode, "rest", context=("build_large", [120_000_000]), exec_mode=mode))
        call = on("w0", vine.FunctionCall(mode, "rest", 0.8))  # Long enough to be measured.
        call.set_memory(50)
        done(manager, call)
        assert call.successful(), call.error
        assert 0 < call.resources_measured.memory < 50


def test_when_its_process_is_killed_it_is_loaded_anew_and_its_calls_run_again(
    manager: vine.Manager, tmp_path: Path
) -> None:
    built, notes, release = tmp_path / "built", tmp_path / "notes", tmp_path / "release"
    manager.install_library(library(manager, "lib", "wait", context=("build", [str(built), 1])))
    call = on("w0", vine.FunctionCall("lib", "wait", str(notes), str(release)))
    manager.submit(call)
    until(lambda: lines_of(notes), "it runs")
    zygote, running = int(lines_of(built)[0]), int(lines_of(notes)[0].split()[0])
    os.kill(zygote, signal.SIGKILL)
    until(lambda: len(lines_of(notes)) == 2, "it runs again")
    until(lambda: not psutil.pid_exists(running), "what ran before has ended")
    release.touch()
    assert manager.wait(GIVE_UP_S) is call
    assert call.output == "released"
    assert len(lines_of(built)) == 2


def test_removing_it_lets_running_calls_end_and_fails_the_others(
    manager: vine.Manager, site: Site, tmp_path: Path
) -> None:
    built, notes, release = tmp_path / "built", tmp_path / "notes", tmp_path / "release"
    manager.install_library(library(manager, "gone", "wait", slots=1, context=("build", [str(built), 1])))
    running, waiting = (on("w0", vine.FunctionCall("gone", "wait", str(notes), str(release))) for _ in range(2))
    manager.submit(running)
    until(lambda: lines_of(notes), "it runs")
    manager.submit(waiting)
    zygote = int(lines_of(built)[0])
    manager.remove_library("gone")
    assert manager.wait(GIVE_UP_S) is waiting
    check_message(waiting.error, errors.LibraryMissing, "the library 'gone' was removed")
    release.touch()
    assert manager.wait(GIVE_UP_S) is running
    assert running.output == "released"
    until(lambda: not psutil.pid_exists(zygote), "its process has ended")
    with pytest.raises(errors.UsageError, match="no library 'gone' is installed"):
        manager.submit(vine.FunctionCall("gone", "wait", "", ""))


def test_an_idle_library_makes_room_for_what_needs_its_cores(manager: vine.Manager, tmp_path: Path) -> None:
    built = tmp_path / "built"
    manager.install_library(library(manager, "idle", "predict", context=("build", [str(built), 1])))
    done(manager, on("w0", vine.FunctionCall("idle", "predict", 1)))
    task = on("w0", vine.PythonTask(bodies.length, "abc"))
    task.set_cores(2)
    done(manager, task)
    assert task.output == 3
    zygote = int(lines_of(built)[0])
    until(lambda: not psutil.pid_exists(zygote), "it has made room")
    (again,) = done(manager, on("w0", vine.FunctionCall("idle", "predict", 2)))
    assert again.output[0] == 2


def test_results_of_other_calls_and_files_go_into_a_call(manager: vine.Manager, site: Site, tmp_path: Path) -> None:
    manager.install_library(library(manager, "lib", "predict", context=("build", [str(tmp_path / "built"), 3])))
    executor = vine.Executor(manager)
    call = vine.FunctionCall("lib", "predict", executor.submit(bodies.length, "abcd"))
    call.add_input(manager.declare_buffer(b"data"), "data")
    done(manager, call)
    assert call.output[0] == 12


def test_two_libraries_have_two_environments_that_know_nothing_of_vine(
    manager: vine.Manager, site: Site, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        venv.create(tmp_path / name, with_pip=False, symlinks=True)
        (packages,) = (tmp_path / name).glob("lib/python*/site-packages")
        (packages / "whoami.py").write_text(f"NAME = {name!r}\n")
        environment = manager.declare_environment(tmp_path / name)
        script = a_script()
        exec("def who():\n import whoami\n return whoami.NAME, vine.load_variable_from_library('model')", script)
        made = manager.create_library_from_functions(
            name,
            script["who"],
            environment=environment,
            context=(lambda name: {"model": f"of {name}"}, [name]),
            hoisting_modules=["whoami"],
        )
        made.set_cores(1)
        made.set_memory(200)
        manager.install_library(made)
    without_vine = [tmp_path / "one" / "bin" / "python", "-c", "import vine"]
    assert subprocess.run(without_vine, stderr=subprocess.DEVNULL, cwd="/", env={}).returncode != 0
    calls = [on("w0", vine.FunctionCall(name, "who")) for name in ("one", "two", "one")]
    done(manager, *calls)
    assert [call.output for call in calls] == [("one", "of one"), ("two", "of two"), ("one", "of one")]


def test_why_tells_what_a_call_waits_for_and_status_shows_the_library(
    manager: vine.Manager, site: Site, tmp_path: Path
) -> None:
    notes, release = tmp_path / "notes", tmp_path / "release"
    manager.install_library(library(manager, "shown", "wait", slots=1, context=("build", [str(tmp_path / "b"), 1])))
    calls = [vine.FunctionCall("shown", "wait", str(notes), str(release)) for _ in range(3)]
    ids = [manager.submit(call) for call in calls]
    until(lambda: len(lines_of(notes)) == 2, "as many run as there are slots")

    def told() -> str:
        return "".join(run("vine-status", site.run_dir, "why", number).stdout for number in ids)

    until(lambda: "waits for a slot of the library 'shown': its 2 slots on 2 workers are taken" in told(), "it is told")
    (row,) = [row for row in site.status()["libraries"] if row["name"] == "shown"]
    assert (row["loaded_on"], row["calls"]) == (2, 2)
    assert "shown" in run("vine-status", site.run_dir).stdout
    release.touch()
    for _ in calls:
        assert manager.wait(GIVE_UP_S) is not None


def test_a_script_that_is_run_as_main_uses_libraries_as_the_docs_say(site: Site, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        SCRIPT
        + f"""
if __name__ == "__main__":
    with vine.Manager(connection={str(site.connection)!r}) as manager:
        library = manager.create_library_from_functions("main", predict, context=(build, ["notes", 5]))
        library.set_cores(1)
        library.set_memory(100)
        manager.install_library(library)
        manager.submit(vine.FunctionCall("main", "predict", 4))
        print(manager.wait(30).output[0])
""".replace('["notes"', f'["{tmp_path}/notes"')
    )
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=GIVE_UP_S)
    assert ended.stdout == "20\n", ended.stderr


@pytest.mark.usefixtures("nothing_registered")
def test_calls_of_a_library_take_shared_values_and_registered_types_as_other_calls_do(manager: vine.Manager) -> None:
    # given a type that pickle cannot carry, one of which is in a library's context, and a value that calls share
    class Sealed:
        def __init__(self, number: int) -> None:
            self.number = number

        def __reduce__(self) -> Any:
            raise TypeError("it is sealed")

    def double(sealed: Any) -> Any:
        return type(sealed)(sealed.number * 2 + vine.load_variable_from_library("base"))

    def length_of(values: list[Any]) -> int:
        return len(values[0])

    vine.register_serialiser(Sealed, lambda sealed: sealed.number, Sealed)
    context = (lambda sealed: {"base": sealed.number}, (Sealed(2),))
    library = manager.create_library_from_functions("sealed", double, length_of, context=context)
    manager.install_library(library)
    shared = vine.share(b"x" * 2_000_000)
    # when calls take both
    calls = [vine.FunctionCall(library, "double", Sealed(20)), vine.FunctionCall(library, "length_of", [shared])]
    done(manager, *calls)
    # then they have come as what they were
    assert (type(calls[0].output), calls[0].output.number, calls[1].output) == (Sealed, 42, 2_000_000)
