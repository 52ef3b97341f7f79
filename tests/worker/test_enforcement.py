"""Is what uses more than it may stopped at once, and the most that each has used told?"""

from __future__ import annotations

import pytest

from tests.worker.world import FINE, World, assignment
from vine import config
from vine.names import AttemptId, FileId
from vine.wire.parts import LibraryOrder, Limits, Measured, Outcome, TaskKind
from vine_worker import actions as act

KEY = AttemptId(1, 1)


def probe(host: int | None, limits: Limits | None) -> act.MeasureUse:
    return act.MeasureUse((act.Probe(KEY, host, limits),))


def running_command(limits: Limits | None = None) -> World:
    """A command that has run for as long as it takes until it is measured."""
    world = World()
    world.now = 1.0
    world.run(assignment(1, TaskKind.COMMAND, limits=limits, label="make"))
    assert world.wait(config.use_interval_s) == [probe(None, limits)]
    return world


def running_call(limits: Limits | None = None) -> World:
    world = World()
    world.now = 1.0
    world.run(assignment(1, limits=limits, label="work"))
    world.hear(act.HostReady(1))
    assert world.wait(config.use_interval_s) == [probe(1, limits)]
    return world


@pytest.mark.parametrize(
    ("used", "outcome", "words"),
    [
        (Measured(1.0, 101.0, 0.0), Outcome.MEMORY_LIMIT, "make: used 101 MB of memory, and its limit is 100 MB"),
        (Measured(1.0, 99.0, 51.0), Outcome.DISK_LIMIT, "make: wrote 51 MB into its sandbox, and its limit is 50 MB"),
    ],
)
def test_a_command_over_a_limit_is_killed_without_grace(used: Measured, outcome: Outcome, words: str) -> None:
    world = running_command(Limits(100.0, 50.0))
    assert world.hear(act.Used(((KEY, used),))) == [act.KillBody(KEY, force=True)]
    world.hear(act.BodyEnded(KEY, act.Ending(Outcome.KILLED)))
    world.hear(act.Collected(KEY))
    (result,) = world.results()
    assert result.outcome is outcome
    assert result.message.startswith(words)


def test_a_command_that_forks_without_end_is_killed_whatever_it_has_asked_for() -> None:
    world = running_command()
    assert world.hear(act.Used(((KEY, Measured(processes=config.processes_max)),))) == []
    world.wait(config.use_interval_s)
    bomb = Measured(processes=config.processes_max + 1)
    assert world.hear(act.Used(((KEY, bomb),))) == [act.KillBody(KEY, force=True)]
    world.hear(act.BodyEnded(KEY, act.Ending(Outcome.KILLED)), act.Collected(KEY))
    (result,) = world.results()
    assert result.outcome is Outcome.PROCESS_LIMIT
    assert result.message == "make: had 2001 processes at once, and the limit is 2000; start fewer"
    assert result.measured is not None and result.measured.processes == 2001


def test_a_command_that_prints_without_end_is_killed_whatever_it_has_asked_for() -> None:
    world = running_command()
    assert world.hear(act.Used((), ((KEY, config.printed_bytes_max),))) == []
    world.wait(config.use_interval_s)
    assert world.hear(act.Used((), ((KEY, config.printed_bytes_max + 1),))) == [act.KillBody(KEY, force=True)]
    world.hear(act.BodyEnded(KEY, act.Ending(Outcome.KILLED)), act.Collected(KEY, spilled="/logs/w1.task-1"))
    (result,) = world.results()
    assert (result.outcome, result.spilled) == (Outcome.OUTPUT_LIMIT, "/logs/w1.task-1")
    assert result.message == (
        "make: printed 1074 MB, and the limit is 1074 MB; print less, or write it to an output; "
        "all that it printed is in /logs/w1.task-1 there"
    )


def test_a_call_over_its_limit_is_killed_with_its_host_and_those_behind_it_are_not() -> None:
    world = running_call(Limits(memory_mb=100.0))
    assert world.hear(act.Used(((KEY, Measured(0.0, 101.0, 0.0)),))) == [act.TakeBack(1)]
    assert world.hear(act.CallsReturned(1, ())) == [act.EndHost(1, force=True)]
    world.hear(act.HostEnded(1, act.Ending(Outcome.KILLED), ()))
    assert world.outcomes() == [(1, Outcome.MEMORY_LIMIT)]


@pytest.mark.parametrize(("forked", "loaded_mb"), [(True, 60.0), (False, 30.0)])
def test_of_a_librarys_calls_the_one_that_uses_most_is_killed_when_all_use_more_than_it_may(
    forked: bool, loaded_mb: float
) -> None:
    # given a library that is held to 100 MB and has loaded 60 MB: once for all, or each of its two hosts a half
    world = World()
    world.now = 1.0
    order = LibraryOrder(FileId(1), "lib", 2, True, 100.0)
    calls = [assignment(n, TaskKind.LIBRARY, library=order, command="f", label="lib.f") for n in (1, 2)]
    (load,) = (action for action in world.run(*calls) if isinstance(action, act.StartLibrary))
    world.hear(act.LibraryReady(load.instance, forked))
    world.hear(*(act.HostReady(host, loaded_mb, forked) for host in (1, 2)))
    world.wait(config.use_interval_s)

    # when its calls use 40 MB, then nobody is stopped
    def use(*memory_mb: float) -> list[act.Action]:
        uses = tuple((AttemptId(1, n), Measured(0.0, mb, 0.0)) for n, mb in enumerate(memory_mb, 1))
        return world.hear(act.Used(uses))

    assert use(25.0, 15.0) == []
    # when they use more, then the larger one is
    assert use(25.0, 16.0) == [act.TakeBack(1)]
    world.hear(act.CallsReturned(1, ()), act.HostEnded(1, act.Ending(Outcome.KILLED), ()))
    (result,) = world.results()
    assert result.outcome is Outcome.MEMORY_LIMIT
    assert "lib.f: used 25 MB" in result.message and "'lib' used 101 MB with all its calls" in result.message


def test_what_has_no_limit_is_measured_and_left_alone() -> None:
    world = running_command()
    assert world.hear(act.Used(((KEY, Measured(0.1, 10_000.0, 10_000.0)),))) == []
    world.wait(config.use_interval_s)
    world.hear(act.Used(((KEY, Measured(0.2, 5_000.0, 5_000.0)),)))
    world.hear(act.BodyEnded(KEY, act.Ending(Outcome.SUCCESS, 0, cpu_s=0.3, memory_mb=7_000.0)))
    world.hear(act.Collected(KEY, disk_mb=1.0))
    (result,) = world.results()
    assert result.measured == Measured(0.3, 10_000.0, 10_000.0)


def test_what_is_over_before_it_can_be_measured_is_not_said_to_have_used_nothing() -> None:
    world = World()
    world.now = 1.0
    world.run(assignment(1))
    world.hear(act.HostReady(1))
    world.hear(act.CallsEnded(1, ((KEY, FINE),)))
    (result,) = world.results()
    assert result.measured is None


def test_nothing_is_measured_while_nothing_runs_or_an_answer_is_owed() -> None:
    world = running_command()
    assert world.wait(10 * config.use_interval_s) == []  # The last answer has not come.
    world.hear(act.BodyEnded(KEY, FINE))
    world.hear(act.Collected(KEY), act.Used(()))
    assert world.wait(config.use_interval_s) == []
    assert world.core.next_deadline() is None


def test_a_late_word_about_an_attempt_that_has_ended_is_ignored() -> None:
    world = running_command(Limits(memory_mb=1.0))
    world.hear(act.BodyEnded(KEY, FINE))
    assert world.hear(act.Used(((KEY, Measured(0.0, 2.0, 0.0)),))) == []
    world.hear(act.Collected(KEY))
    assert world.outcomes() == [(1, Outcome.SUCCESS)]


def test_a_call_is_not_blamed_for_what_others_have_left_in_its_host() -> None:
    world = running_call(Limits(memory_mb=100.0))
    left = act.Ending(Outcome.SUCCESS, value=b"P", run_s=1.0, left_mb=60.0)
    world.hear(act.CallsEnded(1, ((KEY, left),)))
    actions = world.run(assignment(2, limits=Limits(memory_mb=100.0)))
    assert act.EndHost(1, force=False) in actions
    assert [action.host for action in actions if isinstance(action, act.RunCall)] == [2]
