"""Does a forked child that uses, or drops, what its parent has open hear so, and leave the parent undisturbed?"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.live

_START = """
import concurrent.futures, gc, os, sys, threading
from pathlib import Path
from tests.client.scripted import ScriptedManager
from vine import Executor, Manager, Task, errors

def held(): return "held"

def child(body):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        body()
        sys.stdout.flush()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

def told(action):
    try:
        print(action())
    except errors.ManagerLost as error:
        print("told:", "of which this one is a fork" in str(error))

scripted = ScriptedManager(Path(sys.argv[1]) / "run")
manager = Manager(connection=scripted.connection)
executor = Executor(manager)
"""


def run(folder: Path, script: str) -> list[str]:
    """What a program prints that ends well."""
    path = folder / "script.py"
    path.write_text(_START + textwrap.dedent(script))
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *filter(None, sys.path)])}
    ended = subprocess.run(
        [sys.executable, str(path), str(folder)], capture_output=True, text=True, env=variables, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.splitlines()


def test_whatever_a_child_does_with_the_parents_manager_is_a_clear_error(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        """
        executor.submit(held).result()
        manager.submit(Task("true"))
        def body():
            told(lambda: executor.submit(held))
            told(lambda: executor.submit(lambda: 1))
            told(lambda: list(executor.map(held, [])))
            told(lambda: manager.declare_buffer(b"x"))
            told(lambda: manager.submit(Task("true")))
            told(lambda: manager.wait())
            executor.shutdown()
        child(body)
        print(executor.submit(held).result())
        """,
    )
    assert said == [*["told: True"] * 6, "held"]


def test_what_was_pending_has_ended_in_the_child_and_goes_on_in_the_parent(tmp_path: Path) -> None:
    """Also while another thread of the parent holds a future's lock, which nobody in the child would give back."""
    said = run(
        tmp_path,
        """
        scripted.held.add("held")
        futures = [executor.submit(held), executor.submit(held)]
        called = []
        futures[0].add_done_callback(lambda done: called.append((done, os.getpid())))
        locked, go = threading.Event(), threading.Event()
        def hold():
            with futures[0]._condition:
                locked.set()
                go.wait()
        threading.Thread(target=hold).start()
        locked.wait()
        def body():
            told(lambda: futures[0].result())
            print(len(concurrent.futures.wait(futures).done), len(list(concurrent.futures.as_completed(futures))))
            print(futures[1].cancel(), called)
        child(body)
        go.set()
        scripted.release("held")
        print([future.result() for future in futures])
        executor.shutdown()
        print(called == [(futures[0], os.getpid())])
        """,
    )
    assert said == ["told: True", "2 2", "False []", "['held', 'held']", "True"]


@pytest.mark.parametrize("way", ["del", "exit", "with", "gc"])
def test_a_child_that_drops_it_takes_nothing_from_the_parent(tmp_path: Path, way: str) -> None:
    said = run(
        tmp_path,
        f"""
        scripted.held.add("held")
        future = executor.submit(held)
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            if {way!r} == "with":
                with executor, manager:
                    pass
            elif {way!r} == "del":
                del executor, manager, future
            elif {way!r} == "gc":
                executor = manager = future = None
                gc.collect()
            sys.exit(0)  # With the handlers that run at an interpreter's end.
        assert os.waitpid(pid, 0)[1] == 0
        scripted.release("held")
        print(future.result(), executor.submit(held).result())
        from vine.wire.messages import CancelTasks, ClientBye
        print(scripted.all(CancelTasks), scripted.all(ClientBye))
        """,
    )
    assert said == ["held held", "[] []"]


def test_a_child_can_make_a_manager_of_its_own(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        """
        def body():
            other = ScriptedManager(Path(sys.argv[1]) / "other")
            with Executor(Manager(connection=other.connection)) as mine:
                print(mine.submit(held).result())
            other.stop()
        child(body)
        print(executor.submit(held).result())
        """,
    )
    assert said == ["held", "held"]
