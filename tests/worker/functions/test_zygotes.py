"""Is a library loaded by one process that then forks its hosts, and are all of their ends told?"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dill
import pytest

from tests.worker.assignments import assignment, keep
from tests.worker.functions.test_hosts import CallEnded, Warm, value_of
from tests.worker.programs import Held
from vine.names import AttemptId, FileId
from vine.wire.parts import LibraryOrder, Outcome, TaskKind
from vine_function_host.payload import DILL, in_one
from vine_worker import actions as act
from vine_worker.functions.pool import HostKind
from vine_worker.places import Places
from vine_worker.programs import Programs

pytestmark = pytest.mark.live

ORDER = LibraryOrder(FileId(7), "my lib", 2, True)


class Loaded(Warm):
    """Libraries and their hosts, and what they have told the core."""

    def load(
        self, functions: dict[str, Any], context: Any = None, modules: tuple[str, ...] = (), forks: bool = True
    ) -> HostKind:
        content = in_one(
            (json.dumps(modules).encode(), DILL + dill.dumps((functions, context), recurse=True, byref=False))
        )
        self.kind = HostKind(None, 1, (), forks, 1)
        self.zygotes.start(act.StartLibrary(1, ORDER, keep(self.places, content), self.kind))
        return self.kind

    def call_by_name(self, number: int, name: str, *args: Any, host: int = 1) -> AttemptId:
        given = assignment(
            number, TaskKind.LIBRARY, *args, library=ORDER, command=name, label=name, function=keep(self.places, b"any")
        )
        self.hosts.run(act.RunCall(host, given))
        self.hosts.flush()
        return given.attempt

    def next(self, kind: type[Any]) -> Any:
        while True:
            for event in self.told:
                if isinstance(event, kind):
                    self.told.remove(event)
                    return event
            self.listen()

    def listen(self) -> None:
        programs = self._programs.fileno()
        ready = select.select([programs, *self.hosts.by_descriptor, *self.zygotes.by_descriptor], [], [], 20)[0]
        assert ready, f"only {self.told} was told"
        for descriptor in ready:
            if descriptor in self.zygotes.by_descriptor:
                self.zygotes.hear(self.zygotes.by_descriptor[descriptor])
            elif descriptor in self.hosts.by_descriptor:
                self.hosts.hear(self.hosts.by_descriptor[descriptor])
        for ended in self._programs.receive() if programs in ready else ():
            assert self.zygotes.program_ended(ended) or self.hosts.program_ended(ended)

    def zygote_pid(self) -> int:
        (zygote,) = self.zygotes.by_descriptor.values()
        while zygote.program not in self._programs.pids:
            self.listen()  # Starts are told some time later.
        return self._programs.pids[zygote.program]

    def log(self) -> str:
        return self.places.library_log(ORDER).read_text()


@pytest.fixture
def loaded(places: Places, unprotected: Programs) -> Iterator[Loaded]:
    made = Loaded(places, unprotected)
    yield made
    made.hosts.close()
    made.zygotes.close()


def test_hosts_are_forked_from_the_process_that_has_loaded_it(loaded: Loaded) -> None:
    def who() -> tuple[int, int, int]:
        import vine

        return os.getpid(), os.getppid(), vine.load_variable_from_library("maker")

    kind = loaded.load({"who": who}, (lambda: {"maker": os.getpid()}, (), {}), forks=False)
    assert loaded.next(act.LibraryReady) == act.LibraryReady(1, forkable=True)
    zygote = loaded.zygote_pid()
    seen = []
    for host in (1, 2):
        loaded.start(host, kind)
        loaded.call_by_name(host, "who", host=host)
        seen.append(value_of(loaded.next(CallEnded)))
    assert [parent for _, parent, _ in seen] == [zygote, zygote]
    assert [maker for _, _, maker in seen] == [zygote, zygote]
    assert len({own for own, _, _ in seen}) == 2
    assert not (loaded.places.hosts / "1" / "made").exists()


def test_a_host_of_a_library_lives_in_a_folder_of_its_own_and_its_group_ends_with_it(
    loaded: Loaded, tmp_path: Path
) -> None:
    kind = loaded.load({"where": lambda: (os.getcwd(), os.getsid(0) == os.getppid() or os.getsid(0))})
    loaded.next(act.LibraryReady)
    loaded.start(1, kind)
    loaded.call_by_name(1, "where")
    assert value_of(loaded.next(CallEnded))[0] == str(loaded.places.hosts / "1")
    loaded.hosts.end(act.EndHost(1, force=True))
    ended = loaded.next(act.HostEnded)
    assert (ended.host, ended.ending.outcome) == (1, Outcome.KILLED)
    assert "my_lib" in ended.ending.message
    assert not (loaded.places.hosts / "1").exists()


@pytest.mark.parametrize(
    ("context", "modules", "words"),
    [
        ((lambda: 1 / 0, (), {}), (), "ZeroDivisionError: division by zero"),
        ((lambda: [1], (), {}), (), "TypeError: a context function returns a dict of names and values, not a list"),
        (None, ("nomodule",), "ModuleNotFoundError: No module named 'nomodule'"),
        ((lambda: os._exit(3), (), {}), (), "ended with exit code 3"),
        ((lambda: os.kill(os.getpid(), 11), (), {}), (), "was killed by SIGSEGV"),
    ],
)
def test_what_cannot_be_loaded_is_told_with_the_reason_and_the_log(
    loaded: Loaded, context: Any, modules: tuple[str, ...], words: str
) -> None:
    loaded.load({"f": len}, context, modules)
    gone = loaded.next(act.LibraryGone)
    assert words in gone.message
    assert f"(log: {loaded.places.library_log(ORDER)})" in gone.message
    if gone.value is not None:
        error, text = dill.loads(gone.value[1:])
        assert type(error).__name__ in words
        assert text in loaded.log()


def test_an_exception_that_is_too_long_to_be_told_is_told_in_words(loaded: Loaded) -> None:
    def fail() -> None:
        raise ValueError("long", "x" * 10_000_000)

    loaded.load({"f": len}, (fail, (), {}))
    error, _ = dill.loads(loaded.next(act.LibraryGone).value[1:])
    assert str(error).startswith("ValueError: ('long'")


def test_one_with_threads_is_not_forked_and_its_hosts_load_it_themselves(loaded: Loaded) -> None:
    def context() -> dict[str, Any]:
        gate = threading.Event()
        threading.Thread(target=gate.wait, daemon=True).start()
        return {"made_by": os.getpid()}

    kind = loaded.load(
        {"who": lambda: (os.getpid(), __import__("vine").load_variable_from_library("made_by"))}, (context, (), {})
    )
    assert loaded.next(act.LibraryReady) == act.LibraryReady(1, forkable=False)
    loaded.start(1, kind._replace(forks=False))
    loaded.call_by_name(1, "who")
    own, made_by = value_of(loaded.next(CallEnded))
    assert own == made_by
    assert "is not forked, for it has 2 threads after loading: each slot loads it for itself" in loaded.log()
    loaded.zygotes.end(act.EndLibrary(1, force=False))
    assert loaded.next(act.LibraryGone).instance == 1


def test_the_death_of_its_process_is_told_before_that_of_its_hosts_whose_calls_it_ends(loaded: Loaded) -> None:
    held = Held(loaded.places.folder / "held")

    def wait(held: str) -> None:
        with open(held, "w") as file:
            file.write("up\n")
            file.flush()
            signal.pause()

    kind = loaded.load({"wait": wait})
    loaded.next(act.LibraryReady)
    loaded.start(1, kind)
    loaded.call_by_name(1, "wait", str(held.path))
    unread = loaded.call_by_name(2, "wait", str(held.path))
    held.wait_for_start()
    os.kill(loaded.zygote_pid(), signal.SIGKILL)
    loaded.next(act.LibraryGone)
    ended = loaded.next(act.HostEnded)
    assert ended.ending.outcome is Outcome.LIBRARY_FAILED
    assert "was killed by SIGKILL" in ended.ending.message
    assert ended.unread == (unread,)
    held.wait_for_end()
    assert not loaded.hosts.by_descriptor and not loaded.zygotes.by_descriptor


def test_a_host_of_a_library_that_has_ended_cannot_be_started(loaded: Loaded) -> None:
    loaded.start(1, HostKind(None, 1, (), library=5))
    ended = loaded.next(act.HostEnded)
    assert ended.ending.outcome is Outcome.LIBRARY_FAILED
    assert "its library has ended" in ended.ending.message


def test_what_else_writes_to_its_end_is_its_end(loaded: Loaded) -> None:
    def context() -> dict[str, Any]:
        for descriptor in range(3, 30):
            with contextlib.suppress(OSError):
                os.write(descriptor, b"nonsense")
        return {}

    loaded.load({"f": len}, (context, (), {}))
    assert "SIGKILL" in loaded.next(act.LibraryGone).message


def test_its_end_in_order_is_told(loaded: Loaded) -> None:
    loaded.load({"f": len})
    loaded.next(act.LibraryReady)
    home = loaded.places.hosts / "library-1"
    assert home.exists()
    loaded.zygotes.end(act.EndLibrary(1, force=False))
    assert loaded.next(act.LibraryGone).instance == 1
    assert not home.exists()
