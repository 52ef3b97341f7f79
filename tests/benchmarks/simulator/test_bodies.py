from __future__ import annotations

import pytest

from benchmarks.simulator.bodies import Body, Programs
from benchmarks.simulator.clock import Clock
from benchmarks.simulator.machine import Machine, Speeds
from benchmarks.simulator.store import SimulatedStore
from vine.names import AttemptId, FileId, TaskId
from vine.wire.parts import Assignment, Mount, Outcome, Resources, TaskKind
from vine_worker import actions as act
from vine_worker.functions.pool import HostKind
from vine_worker.resources import Grant

KIND = HostKind(None, 1, ())


def assignment(number: int, kind: TaskKind = TaskKind.CALL, **fields: object) -> Assignment:
    return Assignment(AttemptId(1, number), TaskId(number), kind, Resources(cores=1), **fields)  # type: ignore[arg-type]


class World:
    """Bodies that run for as many seconds as their number; hosts start in half a second."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = SimulatedStore(Machine(self.clock, Speeds()))
        self.told: list[tuple[act.LocalEvent, float]] = []
        self.programs = Programs(self.clock, self.store, self.body, 0.5, self.tell)

    def body(self, assignment: Assignment) -> Body:
        return Body(run_s=assignment.attempt.counter, value=b"v", output_bytes={"out": 1000})

    def tell(self, event: act.LocalEvent) -> None:
        self.told.append((event, self.clock.now()))

    def start(self, what: Assignment) -> None:
        self.programs.start(act.StartBody(what, Grant(Resources(cores=1), ())))

    def a_host(self, *calls: Assignment) -> None:
        self.programs.start_host(act.StartHost(1, KIND))
        self.clock.run()
        self.told.clear()
        for call in calls:
            self.programs.run_call(act.RunCall(1, call))


@pytest.fixture
def world() -> World:
    return World()


def test_a_command_ends_after_its_time(world: World) -> None:
    world.start(assignment(3, TaskKind.COMMAND))
    world.clock.run()
    ((event, now),) = world.told
    assert event == act.BodyEnded(AttemptId(1, 3), act.Ending(Outcome.SUCCESS, 0, run_s=3))
    assert now == 3.0


def test_what_is_killed_ends_at_once_and_only_once(world: World) -> None:
    world.start(assignment(3, TaskKind.COMMAND))
    world.programs.kill(act.KillBody(AttemptId(1, 3), force=False))
    world.programs.kill(act.KillBody(AttemptId(1, 3), force=True))
    world.clock.run()
    assert world.told == [(act.BodyEnded(AttemptId(1, 3), act.Ending(Outcome.CANCELLED)), 0.0)]


def test_what_a_task_leaves_is_kept_and_named(world: World) -> None:
    outputs = (Mount(FileId(7), "out"), Mount(FileId(8), "never made"))
    world.programs.collect(act.Collect(assignment(1, outputs=outputs), True, None, False))
    ((event, _),) = world.told
    assert isinstance(event, act.Collected)
    (made,) = event.outputs
    assert (made.file_id, made.manifest.size) == (7, 1000)
    assert world.store.chunk_count(made.object_id) == 1


def test_nothing_is_kept_of_a_task_that_failed(world: World) -> None:
    world.programs.collect(act.Collect(assignment(1, outputs=(Mount(FileId(7), "out"),)), False, None, False))
    assert world.told == [(act.Collected(AttemptId(1, 1)), 0.0)]


def test_a_host_comes_up_and_runs_its_calls_one_after_the_other(world: World) -> None:
    world.programs.start_host(act.StartHost(1, KIND))
    world.clock.run()
    assert world.told == [(act.HostReady(1), 0.5)]
    world.told.clear()
    for number in (1, 2):
        world.programs.run_call(act.RunCall(1, assignment(number)))
    world.clock.run()
    ends = [(event.ends[0][0].counter, now) for event, now in world.told if isinstance(event, act.CallsEnded)]
    assert ends == [(1, 1.5), (2, 3.5)]


def test_calls_that_have_not_begun_can_be_taken_back(world: World) -> None:
    world.a_host(assignment(1), assignment(2), assignment(3))
    world.programs.take_back(act.TakeBack(1))
    world.clock.run()
    (returned, _), (ended, _) = world.told
    assert returned == act.CallsReturned(1, (AttemptId(1, 2), AttemptId(1, 3)))
    assert isinstance(ended, act.CallsEnded) and ended.ends[0][0] == AttemptId(1, 1)


def test_a_host_that_is_ended_answers_nothing_more(world: World) -> None:
    world.a_host(assignment(1), assignment(2))
    world.programs.end_host(act.EndHost(1, force=False))
    world.programs.end_host(act.EndHost(1, force=True))
    world.clock.run()
    ((event, _),) = world.told
    assert isinstance(event, act.HostEnded) and event.unread == (AttemptId(1, 2),)


def test_a_host_that_is_ended_while_it_starts_never_comes_up(world: World) -> None:
    world.programs.start_host(act.StartHost(1, KIND))
    world.programs.end_host(act.EndHost(1, force=True))
    world.clock.run()
    assert [type(event) for event, _ in world.told] == [act.HostEnded]


def test_a_command_runs_when_it_has_what_it_waits_for_and_counts_both() -> None:
    world = World()
    body = Body(run_s=2.0, waits_for=lambda run: world.clock.after(5.0, run))
    world.programs = Programs(world.clock, world.store, lambda assignment: body, 0.5, world.tell)
    world.start(assignment(1, TaskKind.COMMAND))
    world.clock.run()
    assert world.told == [(act.BodyEnded(AttemptId(1, 1), act.Ending(Outcome.SUCCESS, 0, run_s=7.0)), 7.0)]


def test_what_is_killed_while_it_waits_ends_once() -> None:
    world = World()
    body = Body(run_s=2.0, waits_for=lambda run: world.clock.after(5.0, run))
    world.programs = Programs(world.clock, world.store, lambda assignment: body, 0.5, world.tell)
    world.start(assignment(1, TaskKind.COMMAND))
    world.clock.after(1.0, lambda: world.programs.kill(act.KillBody(AttemptId(1, 1), force=True)))
    world.clock.run()
    assert [now for _, now in world.told] == [1.0]


def test_a_body_that_waits_behind_another_begins_as_that_ends_unless_it_is_taken_back(world: World) -> None:
    grant = Grant(Resources(1), ())
    first, second, third = (assignment(number, TaskKind.COMMAND) for number in (1, 2, 3))
    world.programs.start(act.StartBody(first, grant))
    world.programs.start(act.StartBody(second, grant, behind=first.attempt))
    world.clock.run(end_s=1.5)
    world.programs.start(act.StartBody(third, grant, behind=second.attempt))
    world.programs.take_back_body(act.TakeBackBody(third.attempt))
    world.clock.run()
    told = [(type(event), time_s) for event, time_s in world.told]
    assert told == [(act.BodyEnded, 1.0), (act.BodyReturned, 1.0), (act.BodyEnded, 3.0)]
