"""Do warm hosts start, run calls, give calls back and end, and is all of it told?"""

from __future__ import annotations

import errno
import os
import pickle
import select
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest

from tests.worker.assignments import assignment, function, keep
from tests.worker.programs import Held
from vine.names import AttemptId, FileId
from vine.wire.parts import Mount, ObjectMount, Outcome, TaskKind
from vine_worker import actions as act
from vine_worker.functions.calls import CallWriter
from vine_worker.functions.hosts import Hosts
from vine_worker.functions.pool import HostKind
from vine_worker.functions.zygotes import Zygotes
from vine_worker.places import Places
from vine_worker.programs import Programs

pytestmark = pytest.mark.live

PLAIN = HostKind(None, 1, ())
_E = TypeVar("_E")


class CallEnded(NamedTuple):
    """One of those that a `CallsEnded` tells."""

    host: int
    attempt: AttemptId
    ending: act.Ending


class Warm:
    """The hosts, and what they have told the core."""

    def __init__(self, places: Places, programs: Programs) -> None:
        self.places = places
        self._programs = programs
        self.told: list[Any] = []
        self.zygotes = Zygotes(places, programs, self.hear)
        self.hosts = Hosts(places, programs, self.zygotes, CallWriter(places.holdings), self.hear)

    def hear(self, event: Any) -> None:
        if isinstance(event, act.CallsEnded):
            self.told += [CallEnded(event.host, *end) for end in event.ends]
        else:
            self.told.append(event)

    def start(self, number: int = 1, kind: HostKind = PLAIN) -> None:
        self.hosts.start(act.StartHost(number, kind))

    def call(self, number: int, body: Any, *args: Any, host: int = 1, **fields: Any) -> AttemptId:
        fields.setdefault("function", function(self.places, body))
        given = assignment(number, TaskKind.CALL, *args, **fields)
        self.hosts.run(act.RunCall(host, given))
        self.hosts.flush()
        return given.attempt

    def next(self, kind: type[_E]) -> _E:
        """Listens until something of this kind is told."""
        while True:
            for event in self.told:
                if isinstance(event, kind):
                    self.told.remove(event)
                    return event
            programs = self._programs.fileno()
            ready = select.select([programs, *self.hosts.by_descriptor], [], [], 20)[0]
            assert ready, f"only {self.told} was told"
            for descriptor in set(ready) - {programs}:
                self.hosts.hear(self.hosts.by_descriptor[descriptor])
            for ended in self._programs.receive() if programs in ready else ():
                assert self.hosts.program_ended(ended)

    def value(self) -> Any:
        return value_of(self.next(CallEnded))


def value_of(ended: CallEnded) -> Any:
    assert ended.ending.value is not None, ended
    return pickle.loads(ended.ending.value[1:])


@pytest.fixture
def warm(places: Places, unprotected: Programs) -> Iterator[Warm]:
    made = Warm(places, unprotected)
    yield made
    made.hosts.close()
    made.zygotes.close()


def test_a_host_says_that_it_is_up_and_answers_its_calls_in_turn(warm: Warm) -> None:
    warm.start()
    attempts = [warm.call(number, lambda x: x + 1, number) for number in (1, 2)]
    assert warm.next(act.HostReady) == act.HostReady(1)
    endings = [warm.next(CallEnded) for _ in attempts]
    assert [(ended.host, ended.attempt) for ended in endings] == [(1, attempt) for attempt in attempts]
    assert [value_of(ended) for ended in endings] == [2, 3]


def test_the_loop_is_told_when_there_are_other_hosts_to_poll(warm: Warm) -> None:
    warm.start()
    assert warm.hosts.changed
    assert len(warm.hosts.by_descriptor) == 1
    warm.hosts.changed = False
    warm.hosts.end(act.EndHost(1, force=False))
    warm.next(act.HostEnded)
    assert warm.hosts.changed
    assert warm.hosts.by_descriptor == {}


def test_a_call_with_files_runs_in_a_sandbox_and_one_without_has_none(warm: Warm) -> None:
    warm.start()
    data = keep(warm.places, b"hello")
    attempt = warm.call(
        1,
        lambda: (os.getcwd(), Path("in/data").read_text(), Path("out").is_dir()),
        inputs=(ObjectMount(data, "in/data"),),
        outputs=(Mount(FileId(1), "out/made"),),
    )
    sandbox = warm.places.sandbox(attempt)
    assert warm.value() == (str(sandbox.work), "hello", True)
    plain = warm.call(2, os.getcwd)
    assert warm.value() == str(warm.places.hosts / "1")
    assert not warm.places.sandbox(plain).folder.exists()


def test_a_call_that_cannot_have_its_names_is_told_and_the_host_goes_on(warm: Warm) -> None:
    warm.start()
    attempt = warm.call(1, os.getcwd, label="the call", outputs=(Mount(FileId(1), "../out"),))
    ended = warm.next(CallEnded)
    assert (ended.attempt, ended.ending.outcome) == (attempt, Outcome.START_FAILED)
    assert ended.ending.message.startswith("the call could not be started: the name '../out'")
    warm.call(2, lambda: "fine")
    assert warm.value() == "fine"


def test_calls_that_were_not_begun_are_given_back_without_their_sandboxes(warm: Warm) -> None:
    held = Held(warm.places.folder / "held")
    gate = warm.places.folder / "gate"
    os.mkfifo(gate)

    def busy(held: str, gate: str) -> str:
        with open(held, "w") as file:
            file.write("up\n")
        return Path(gate).read_text()

    warm.start()
    running = warm.call(1, busy, str(held.path), str(gate))
    waiting = warm.call(2, os.getcwd, outputs=(Mount(FileId(1), "made"),))
    held.wait_for_start()
    assert warm.places.sandbox(waiting).folder.exists()
    warm.hosts.take_back(act.TakeBack(1))
    assert warm.next(act.CallsReturned) == act.CallsReturned(1, (waiting,))
    assert not warm.places.sandbox(waiting).folder.exists()
    gate.write_text("done")
    ended = warm.next(CallEnded)
    assert ended.attempt == running
    assert value_of(ended) == "done"


def test_what_was_answered_is_told_before_what_comes_back(warm: Warm) -> None:
    """The answer is in the socket when the calls are asked back: else two calls would seem to run."""
    warm.start()
    (host,) = warm.hosts.by_descriptor.values()
    while act.HostReady(1) not in warm.told:
        warm.hosts.hear(host)
    attempt = warm.call(1, lambda: "answered")  # Now, or it might be heard with the other news.
    assert select.select([host.channel], [], [], 20)[0]
    warm.told.clear()
    warm.hosts.take_back(act.TakeBack(1))
    assert [type(event) for event in warm.told] == [CallEnded, act.CallsReturned]
    assert warm.told[0].attempt == attempt


def test_the_end_of_a_host_is_told_with_what_it_had_not_begun_after_what_it_had_answered(warm: Warm) -> None:
    warm.start()
    answered = warm.call(1, lambda: "before")
    warm.call(2, lambda: os.kill(os.getpid(), 9))
    unread = warm.call(3, lambda: "never")
    ended = warm.next(act.HostEnded)
    assert (ended.host, ended.ending.outcome, ended.unread) == (1, Outcome.KILLED, (unread,))
    assert "w1.host-1.log" in ended.ending.message
    assert [event.attempt for event in warm.told if isinstance(event, CallEnded)] == [answered]


def test_a_function_that_ends_its_interpreter_is_told_as_that(warm: Warm) -> None:
    warm.start()
    warm.call(1, lambda: os._exit(4))
    ending = warm.next(act.HostEnded).ending
    assert (ending.outcome, ending.exit_code) == (Outcome.EXIT_CODE, 4)
    assert ending.message.startswith("the function ended its interpreter with exit code 4")


def test_a_fork_that_dies_is_told_as_its_calls_end_with_where_the_log_is(warm: Warm) -> None:
    warm.start(kind=HostKind(None, 1, (), forks=True))
    for number, body in ((1, lambda: os.kill(os.getpid(), 11)), (2, lambda: os._exit(3)), (3, lambda: os._exit(0))):
        warm.call(number, body)
    endings = [warm.next(CallEnded).ending for _ in range(3)]
    assert [ending.outcome for ending in endings] == [Outcome.KILLED, Outcome.EXIT_CODE, Outcome.EXIT_CODE]
    assert [ending.exit_code for ending in endings] == [11, 3, 0]
    assert "was killed by SIGSEGV (log: " in endings[0].message
    assert "exit code 0 instead of returning" in endings[2].message
    warm.call(4, lambda: "fine")
    assert warm.value() == "fine"


def environment(places: Places, script: str) -> HostKind:
    """An environment whose interpreter is a script."""
    key = keep(places, script.encode())  # Any id: what lies there is replaced.
    tree = places.store.path(key)
    tree.unlink()
    (tree / "bin").mkdir(parents=True)
    python = tree / "bin" / "python"
    python.write_text(script)
    python.chmod(0o755)
    return HostKind(key, 1, ())


@pytest.mark.parametrize("ours", ["", "[vine: this log had become too long; and so on]"], ids=["", "log turned over"])
def test_an_interpreter_that_does_not_come_up_is_told_with_its_last_words(warm: Warm, ours: str) -> None:
    script = f"#!/bin/sh\necho loading\necho no libpython here >&2\necho '{ours}' >&2\nexit 127\n"
    warm.start(kind=environment(warm.places, script))
    attempt = warm.call(1, os.getcwd)
    ended = warm.next(act.HostEnded)
    assert (ended.ending.outcome, ended.unread) == (Outcome.START_FAILED, (attempt,))
    assert "did not come up: no libpython here" in ended.ending.message


def test_an_environment_without_an_interpreter_is_told_at_once(warm: Warm) -> None:
    kind = environment(warm.places, "")
    (warm.places.store.path(kind.environment or keep(warm.places, b"")) / "bin" / "python").unlink()
    warm.start(kind=kind)
    (ended,) = warm.told
    assert ended.ending.outcome is Outcome.START_FAILED
    assert "bin/python" in ended.ending.message
    warm.call(1, os.getcwd)  # The core had not heard of it yet.
    assert len(warm.told) == 1


def test_a_host_for_which_there_are_no_descriptors_is_told_at_once_and_costs_none(
    warm: Warm, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipes, make = [], os.pipe2

    def second_fails(flags: int) -> tuple[int, int]:
        if pipes:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        pipes.append(make(flags))
        return pipes[-1]

    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patched:
        patched.setattr(os, "pipe2", second_fails)
        warm.start()
    (ended,) = warm.told
    assert ended.ending.outcome is Outcome.UNPREPARED
    assert "Too many open files" in ended.ending.message
    assert len(os.listdir("/proc/self/fd")) == before


def test_only_logs_that_say_something_are_left(warm: Warm, places: Places) -> None:
    for number, body in ((1, lambda: None), (2, lambda: print("said"))):
        warm.start(number)
        warm.call(number, body, host=number)
        warm.next(CallEnded)
    warm.hosts.close()
    assert [places.host_log(number).exists() for number in (1, 2)] == [False, True]
    assert places.host_log(2).read_text() == "said\n"
    warm.hosts = Hosts(places, warm._programs, warm.zygotes, CallWriter(places.holdings), warm.hear)
