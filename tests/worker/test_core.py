"""Does the core start, stop and end attempts as it promises, whatever comes in which order?"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from vine import config
from vine.names import AttemptId, FileId, ObjectId, RunId, TaskId, TransferId
from vine.wire import messages as wire
from vine.wire.messages import Assignment, AttemptResult, Mount, ObjectMount, Outcome, Resources, TaskKind
from vine_worker import actions as act
from vine_worker.core import WorkerCore, batches

FUNCTION, DATA, TREE, ARCHIVE = (ObjectId(letter * 64) for letter in "fdea")
ONE, TWO = Resources(cores=1), Resources(cores=2)
FINE = act.Ending(Outcome.SUCCESS, value=b"P", run_s=0.001)


def assignment(number: int, kind: TaskKind = TaskKind.CALL, **fields: Any) -> Assignment:
    if kind is not TaskKind.COMMAND:
        fields.setdefault("function", FUNCTION)
    fields.setdefault("allotment", ONE)
    return Assignment(attempt=AttemptId(1, number), task_id=TaskId(number), kind=kind, **fields)


class World:
    """The core of a worker with two cores, and what it has said."""

    def __init__(self, held: tuple[ObjectId, ...] = (FUNCTION,), protected: bool = True) -> None:
        self.core = WorkerCore(TWO, inputs_protected=protected)
        self.now = 0.0
        self.pinned: Counter[ObjectId] = Counter()
        self.rated: list[act.Rate] = []
        self.hear(*(act.Kept(key) for key in held))

    def hear(self, *events: Any) -> list[act.Action]:
        """What the core asks for; what it says of the store's budget is kept apart."""
        actions = []
        for event in events:
            self.pinned.update(self.core.claims(event))
            for action in self.core.handle(event, self.now):
                match action:
                    case act.Unpin(keys):
                        self.pinned.subtract(keys)
                        self.pinned = +self.pinned
                    case act.Rate():
                        self.rated.append(action)
                    case _:
                        actions.append(action)
        self.core.check()
        return actions

    def run(self, *assignments: Assignment) -> list[act.Action]:
        return self.hear(wire.RunAttempts(assignments))

    def wait(self, seconds: float) -> list[act.Action]:
        self.now += seconds
        return self.core.tick(self.now)

    def outcomes(self) -> list[tuple[int, Outcome]]:
        """The attempts that have ended since, by number."""
        return [(result.attempt.counter, result.outcome) for result in self.results()]

    def results(self) -> list[AttemptResult]:
        sent = [action.message for action in self.core.flush() if isinstance(action, act.Send)]
        return [result for message in sent if isinstance(message, wire.AttemptsEnded) for result in message.results]


def starts(actions: list[act.Action]) -> list[int]:
    return [action.assignment.attempt.counter for action in actions if isinstance(action, act.StartBody | act.RunCall)]


# --- starting ---


def test_attempts_start_in_order_as_resources_allow() -> None:
    world = World()
    commands = [assignment(number, TaskKind.COMMAND) for number in (1, 2, 3)]
    assert starts(world.run(*commands)) == [1, 2]
    assert starts(world.hear(act.BodyEnded(AttemptId(1, 1), FINE))) == [3]


def test_an_attempt_that_waits_for_resources_is_not_passed_by_a_smaller_one() -> None:
    world = World()
    small, large, last = (assignment(n, TaskKind.COMMAND, allotment=a) for n, a in ((1, ONE), (2, TWO), (3, ONE)))
    assert starts(world.run(small, large, last)) == [1]


def test_an_attempt_that_still_stages_is_passed() -> None:
    world = World()
    staging = assignment(1, TaskKind.COMMAND, inputs=(ObjectMount(DATA, "data"),))
    assert starts(world.run(staging, assignment(2, TaskKind.COMMAND))) == [2]
    assert starts(world.hear(act.Kept(DATA))) == [1]


def test_an_attempt_larger_than_the_worker_ends_at_once() -> None:
    world = World()
    world.run(assignment(1, TaskKind.COMMAND, allotment=Resources(cores=3)))
    assert world.outcomes() == [(1, Outcome.NO_WORKER_FITS)]


def test_an_older_managers_attempts_are_ignored() -> None:
    world = World()
    world.hear(wire.WorkerWelcome(RunId("run"), 2, b"k" * 16, 3))
    assert world.run(assignment(1, TaskKind.COMMAND)) == []
    assert world.core.attempts == {}


def test_started_attempts_are_told_unless_they_have_ended_already() -> None:
    world = World()
    world.run(assignment(1, TaskKind.COMMAND), assignment(2, TaskKind.COMMAND))
    world.hear(act.BodyEnded(AttemptId(1, 1), FINE), act.Collected(AttemptId(1, 1)))
    told = [action.message for action in world.core.flush() if isinstance(action, act.Send)]
    assert told[0] == wire.TasksStarted((AttemptId(1, 2),))


# --- hosts ---


def test_calls_reuse_hosts_of_their_kind_and_replace_idle_ones_of_another() -> None:
    world = World(held=(FUNCTION, TREE))
    first = world.run(assignment(1), assignment(2))
    assert [action.host for action in first if isinstance(action, act.StartHost)] == [1, 2]
    world.hear(act.HostReady(1), act.HostReady(2))
    world.hear(act.CallEnded(1, AttemptId(1, 1), FINE), act.CallEnded(2, AttemptId(1, 2), FINE))
    assert world.run(assignment(3)) == [act.RunCall(2, assignment(3))]
    other = world.run(assignment(4, environment=TREE))
    assert act.EndHost(1, force=False) in other
    assert [action.host for action in other if isinstance(action, act.StartHost)] == [3]


def busy_world(calls: int) -> World:
    """Both slots run a short call; the others were handed to their hosts."""
    world = World()
    world.run(assignment(1), assignment(2))
    world.hear(act.HostReady(1), act.HostReady(2))
    world.hear(act.CallEnded(1, AttemptId(1, 1), FINE), act.CallEnded(2, AttemptId(1, 2), FINE))
    world.results()
    world.run(*(assignment(number) for number in range(3, 3 + calls)))
    return world


def test_short_calls_are_handed_to_busy_hosts_ahead_of_time_and_spread_over_them() -> None:
    world = busy_world(6)
    assert [len(host.calls) for host in world.core.pool.hosts.values()] == [3, 3]


def test_calls_of_unknown_length_wait_at_the_worker() -> None:
    world = World()
    world.run(assignment(1), assignment(2))
    world.hear(act.HostReady(1), act.HostReady(2))
    assert starts(world.run(assignment(3))) == []


def test_calls_that_were_handed_out_come_back_from_a_host_whose_call_is_long() -> None:
    world = busy_world(4)
    assert act.TakeBack(1) in world.wait(config.calls_ahead_s)
    world.hear(act.CallsReturned(1, (AttemptId(1, 5),)), act.CallsReturned(2, (AttemptId(1, 6),)))
    long = act.Ending(Outcome.SUCCESS, value=b"P", run_s=10.0)
    assert starts(world.hear(act.CallEnded(2, AttemptId(1, 3), long))) == [5]


def test_the_time_limit_of_a_call_counts_from_its_own_start() -> None:
    world = World()
    limited = assignment(1, time_limit_s=1.0)
    world.run(limited)
    assert world.core.next_deadline() == config.host_start_max_s
    world.now = 5.0
    world.hear(act.HostReady(1))
    assert world.core.next_deadline() == 6.0
    assert world.wait(1.0) == [act.TakeBack(1)]
    assert world.hear(act.CallsReturned(1, ())) == [act.EndHost(1, force=False)]
    assert world.wait(config.stop_grace_s) == [act.EndHost(1, force=True)]
    world.hear(act.HostEnded(1, act.Ending(Outcome.KILLED), ()))
    assert world.outcomes() == [(1, Outcome.TIME_LIMIT)]


def test_a_call_that_was_handed_ahead_is_cancelled_without_harm_to_others() -> None:
    world = busy_world(4)
    assert world.hear(wire.CancelAttempts((AttemptId(1, 6),))) == [act.TakeBack(2)]
    world.hear(act.CallsReturned(2, (AttemptId(1, 6),)))
    assert world.outcomes() == [(6, Outcome.CANCELLED)]


def test_the_death_of_a_host_is_the_end_of_its_running_call_alone() -> None:
    world = busy_world(4)
    dead = act.Ending(Outcome.KILLED, message="killed by SIGSEGV")
    actions = world.hear(act.HostEnded(1, dead, (AttemptId(1, 5),)))
    assert world.outcomes() == [(4, Outcome.KILLED)]
    assert starts(actions) == [5]


def test_what_is_said_of_an_attempts_end_names_the_task_once() -> None:
    world = World()
    world.run(assignment(1, label="inc"), assignment(2, TaskKind.COMMAND, label="make tea"))
    world.hear(act.HostReady(1))
    world.hear(act.HostEnded(1, act.Ending(Outcome.KILLED, message="killed by SIGSEGV"), ()))
    failed = act.Ending(Outcome.EXIT_CODE, exit_code=2, message="make tea ended with exit code 2")
    world.hear(act.BodyEnded(AttemptId(1, 2), failed))
    world.hear(act.Collected(AttemptId(1, 2)))
    assert sorted(result.message for result in world.results()) == [
        "inc: killed by SIGSEGV",
        "make tea ended with exit code 2",
    ]


def test_a_host_that_does_not_come_up_fails_the_call_that_it_was_started_for() -> None:
    world = World()
    world.run(assignment(1))
    world.hear(act.HostEnded(1, act.Ending(Outcome.START_FAILED, message="no python"), (AttemptId(1, 1),)))
    assert world.outcomes() == [(1, Outcome.START_FAILED)]


def test_an_interpreter_that_hangs_while_it_starts_is_ended() -> None:
    world = World()
    world.run(assignment(1))
    assert world.wait(config.host_start_max_s) == [act.EndHost(1, force=False)]


def test_a_host_that_is_ended_before_it_came_up_gets_no_calls_any_more() -> None:
    world = World()
    world.run(assignment(1))
    world.hear(wire.CancelAttempts((AttemptId(1, 1),)), act.CallsReturned(1, (AttemptId(1, 1),)))
    world.wait(config.host_start_max_s)
    assert [action.host for action in world.run(assignment(2)) if isinstance(action, act.StartHost)] == [2]


def test_a_call_that_is_on_its_way_back_is_not_said_to_have_started() -> None:
    world = busy_world(4)
    world.wait(config.calls_ahead_s)
    world.core.flush()
    world.hear(act.CallEnded(1, AttemptId(1, 4), FINE))
    told = [action.message for action in world.core.flush() if isinstance(action, act.Send)]
    assert not any(isinstance(message, wire.TasksStarted) for message in told)


# --- ends ---


def test_an_attempt_that_has_not_started_is_cancelled_at_once() -> None:
    world = World()
    world.run(assignment(1, TaskKind.COMMAND, inputs=(ObjectMount(DATA, "data"),)))
    world.hear(wire.CancelAttempts((AttemptId(1, 1),)))
    assert world.outcomes() == [(1, Outcome.CANCELLED)]


def test_a_running_command_is_asked_to_end_and_then_made_to() -> None:
    world = World()
    world.run(assignment(1, TaskKind.COMMAND))
    key = AttemptId(1, 1)
    assert world.hear(wire.CancelAttempts((key,))) == [act.KillBody(key, force=False)]
    assert world.wait(config.stop_grace_s) == [act.KillBody(key, force=True)]
    world.hear(act.BodyEnded(key, act.Ending(Outcome.KILLED)), act.Collected(key, stdout=b"so far"))
    (result,) = world.results()
    assert (result.outcome, result.stdout) == (Outcome.CANCELLED, b"so far")


def test_a_cancel_that_comes_after_the_end_changes_nothing() -> None:
    world = World()
    world.run(assignment(1, TaskKind.COMMAND))
    key = AttemptId(1, 1)
    world.hear(act.BodyEnded(key, FINE), wire.CancelAttempts((key,)), act.Collected(key))
    assert world.outcomes() == [(1, Outcome.SUCCESS)]


def test_no_attempt_starts_on_an_input_that_may_have_been_altered() -> None:
    world = World(held=(DATA,), protected=False)
    mounts = (ObjectMount(DATA, "data"),)
    world.run(assignment(1, TaskKind.COMMAND, inputs=mounts, allotment=TWO))
    world.run(assignment(2, TaskKind.COMMAND, inputs=mounts))
    key = AttemptId(1, 1)
    assert starts(world.hear(act.BodyEnded(key, FINE))) == []
    actions = world.hear(act.Collected(key, Outcome.INPUT_ALTERED, "it wrote to data", altered=(DATA,)))
    assert act.Send(wire.ObjectsLost((DATA,), "it wrote to data")) in actions
    assert starts(actions) == []
    assert starts(world.hear(act.Kept(DATA))) == [2]


def test_results_travel_in_batches_near_the_target() -> None:
    results = [AttemptResult(AttemptId(1, n), Outcome.SUCCESS, value=bytes(100_000)) for n in range(7)]
    assert [len(batch) for batch in batches(results)] == [3, 3, 1]


# --- objects ---


def test_objects_in_use_are_removed_after_their_last_use() -> None:
    world = World(held=(DATA,))
    world.run(assignment(1, TaskKind.COMMAND, inputs=(ObjectMount(DATA, "data"),)))
    assert world.hear(wire.DropObjects((DATA,))) == []
    key = AttemptId(1, 1)
    world.hear(act.BodyEnded(key, FINE))
    assert world.hear(act.Collected(key)) == [act.RemoveObjects((DATA,))]


def test_an_environment_outlives_its_hosts() -> None:
    world = World(held=(FUNCTION, TREE))
    world.run(assignment(1, environment=TREE))
    world.hear(act.HostReady(1), act.CallEnded(1, AttemptId(1, 1), FINE))
    assert world.hear(wire.DropObjects((TREE,))) == [act.EndHost(1, force=False)]
    assert world.hear(act.HostEnded(1, FINE, ())) == [act.RemoveObjects((TREE,))]


def test_an_archive_is_unpacked_once_it_is_here_and_kept_until_then() -> None:
    world = World()
    assert world.hear(wire.UnpackObject(TREE, ARCHIVE, "env")) == []
    order = act.StartUnpack(TREE, ARCHIVE, "env")
    assert order in world.hear(act.Kept(ARCHIVE))
    assert world.hear(wire.DropObjects((ARCHIVE,))) == []
    assert world.hear(act.Unpacked(TREE)) == [act.RemoveObjects((ARCHIVE,)), act.Send(wire.ObjectsHeld((TREE,)))]


def test_what_was_dropped_while_it_came_is_not_announced() -> None:
    world = World()
    order = wire.FetchObject(TransferId(1, 1), DATA, wire.Manifest(1, 0, 1, b""), ())
    world.hear(order, wire.DropObjects((DATA,)))
    done = wire.FetchEnded(TransferId(1, 1), DATA, wire.FetchFault.NONE, 5, 0.1)
    removal, told = world.hear(done)
    assert removal == act.RemoveObjects((DATA,))
    assert isinstance(told, act.Send)
    assert isinstance(told.message, wire.FetchEnded)
    assert told.message.fault is wire.FetchFault.ABANDONED


def test_a_second_transfer_of_an_object_is_not_begun() -> None:
    world = World()
    order = wire.FetchObject(TransferId(1, 1), DATA, wire.Manifest(1, 0, 1, b""), ())
    assert world.hear(order) == [act.StartFetch(order)]
    (told,) = world.hear(wire.FetchObject(TransferId(1, 2), DATA, order.manifest, ()))
    assert isinstance(told, act.Send)


def test_a_manager_that_welcomes_us_again_hears_what_is_here() -> None:
    world = World(held=(DATA, FUNCTION))
    actions = world.hear(wire.WorkerWelcome(RunId("run"), 1, b"k" * 16, 3))
    assert actions == [act.Admitted(b"k" * 16, 3), act.Send(wire.ObjectsHeld((DATA, FUNCTION)))]


# --- any order of events ---


@dataclass
class ModelHost:
    ready: bool = False
    calls: deque[AttemptId] = field(default_factory=deque)


class Driver(RuleBasedStateMachine):
    """Plays manager, hosts and processes in any order, and watches what the core makes of it."""

    objects = (FUNCTION, DATA, TREE)

    def __init__(self) -> None:
        super().__init__()
        self.core = WorkerCore(TWO, inputs_protected=False)
        self.now = 0.0
        self.given: dict[AttemptId, Assignment] = {}
        self.ended: dict[AttemptId, Outcome] = {}
        self.hosts: dict[int, ModelHost] = {}
        self.bodies: dict[AttemptId, Assignment] = {}
        self.collecting: dict[AttemptId, Assignment] = {}
        self.held: set[ObjectId] = set()
        self.spare: set[ObjectId] = set()
        self.pinned: Counter[ObjectId] = Counter()
        self.evicted: list[ObjectId] = []  # and not told yet

    # the driver's side

    def feed(self, *events: Any) -> None:
        waiting = deque(events)
        while waiting:
            event = waiting.popleft()
            self.pinned.update(self.core.claims(event))
            gone, self.evicted = tuple(self.evicted), []
            for said in (act.Evicted(gone), event) if gone else (event,):
                for action in self.core.handle(said, self.now):
                    waiting.extend(self.execute(action))

    def execute(self, action: act.Action) -> list[Any]:
        match action:
            case act.StartHost(host, _kind):
                self.hosts[host] = ModelHost()
            case act.RunCall(host, given):
                self.check_start(given)
                self.hosts[host].calls.append(given.attempt)
            case act.TakeBack(host):
                return self.take_back(host)
            case act.StartBody(given, _grant):
                self.check_start(given)
                self.bodies[given.attempt] = given
            case act.Collect(given):
                self.collecting[given.attempt] = given
            case act.KeepObject(item):
                self.held.add(item.object_id)
                return [act.Kept(item.object_id)]
            case act.Rate(keys, spare):
                self.spare = self.spare | (set(keys) & self.held) if spare else self.spare - set(keys)
            case act.Unpin(keys):
                self.pinned.subtract(keys)
            case act.RemoveObjects(keys):
                assert not any(self.pinned[key] for key in keys), "what is in use was to be removed"
                self.held -= set(keys)
                self.spare -= set(keys)
        return []

    def check_start(self, given: Assignment) -> None:
        needs = {given.function, given.environment, *(mount.object_id for mount in given.inputs)} - {None}
        assert needs <= self.held, "a body started before its inputs were here"
        assert given.attempt not in self.ended

    def take_back(self, number: int) -> list[Any]:
        host = self.hosts.get(number)
        if host is None:
            return []
        running = list(host.calls)[:1] if host.ready else []
        returned = tuple(attempt for attempt in host.calls if attempt not in running)
        host.calls = deque(running)
        return [act.CallsReturned(number, returned)]

    # what happens

    @rule(
        kind=st.sampled_from(TaskKind),
        allotment=st.sampled_from([ONE, ONE, TWO, Resources(cores=0.5)]),
        data=st.booleans(),
        tree=st.booleans(),
        limited=st.booleans(),
    )
    def assign(self, kind: TaskKind, allotment: Resources, data: bool, tree: bool, limited: bool) -> None:
        given = assignment(
            len(self.given) + 1,
            kind,
            allotment=allotment,
            inputs=(ObjectMount(DATA, "data"),) if data else (),
            outputs=(Mount(FileId(1), "out"),) if data else (),
            environment=TREE if tree else None,
            time_limit_s=0.005 if limited else None,
        )
        self.given[given.attempt] = given
        self.feed(wire.RunAttempts((given,)))

    @rule(key=st.sampled_from(objects))
    def object_comes(self, key: ObjectId) -> None:
        self.feed(wire.StoreObjects((wire.InlineObject(key, b""),)))

    @rule(key=st.sampled_from(objects))
    def object_is_dropped(self, key: ObjectId) -> None:
        self.feed(wire.DropObjects((key,)))

    @rule(key=st.sampled_from(objects), spare=st.booleans())
    def object_is_rated(self, key: ObjectId, spare: bool) -> None:
        self.feed(wire.RateObjects((key,), spare, wire.CacheLevel.WORKFLOW))

    @rule()
    def room_is_needed(self) -> None:
        """The store gives up what it may at any moment; the core hears of it with its next event."""
        gone = sorted(key for key in self.spare if not self.pinned[key])
        self.evicted += gone
        self.held.difference_update(gone)
        self.spare.difference_update(gone)

    @rule(data=st.data())
    @precondition(lambda self: self.hosts)
    def host_moves(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.hosts)))
        host = self.hosts[number]
        step = data.draw(st.sampled_from(["ready", "answer", "answer", "answer", "die"]))
        if step == "ready" and not host.ready:
            host.ready = True
            self.feed(act.HostReady(number))
        elif step == "answer" and host.ready and host.calls:
            path = data.draw(st.sampled_from([None, None, "/long"]))
            self.feed(
                act.CallEnded(number, host.calls.popleft(), act.Ending(Outcome.SUCCESS, None, "", b"", path, 1e-4))
            )
        elif step == "die":
            self.host_dies(number)

    def host_dies(self, number: int) -> None:
        host = self.hosts.pop(number)
        unread = tuple(host.calls)[1:] if host.ready else tuple(host.calls)
        self.feed(act.HostEnded(number, act.Ending(Outcome.KILLED), unread))

    @rule(data=st.data())
    @precondition(lambda self: self.bodies)
    def body_ends(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.bodies)))
        del self.bodies[key]
        self.feed(act.BodyEnded(key, data.draw(st.sampled_from([FINE, act.Ending(Outcome.KILLED)]))))

    @rule(altered=st.booleans(), data=st.data())
    @precondition(lambda self: self.collecting)
    def outputs_are_collected(self, altered: bool, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.collecting)))
        given = self.collecting.pop(key)
        lost = (DATA,) if altered and given.inputs and DATA in self.held else ()
        self.held -= set(lost)
        self.spare -= set(lost)
        self.feed(act.Collected(key, Outcome.INPUT_ALTERED if lost else None, altered=lost))

    @rule(data=st.data())
    @precondition(lambda self: self.given)
    def cancel(self, data: st.DataObject) -> None:
        self.feed(wire.CancelAttempts((data.draw(st.sampled_from(sorted(self.given))),)))

    @rule(seconds=st.sampled_from([0.001, 0.006, 0.02, 3.0, 200.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        for action in self.core.tick(self.now):
            self.feed(*self.execute(action))

    @invariant()
    def tables_agree(self) -> None:
        self.core.check()
        for action in self.core.flush():
            assert isinstance(action, act.Send)
            if isinstance(action.message, wire.AttemptsEnded):
                for result in action.message.results:
                    assert result.attempt not in self.ended, "an attempt ended twice"
                    self.ended[result.attempt] = result.outcome

    @invariant()
    def never_more_than_there_is(self) -> None:
        running = sum(given.allotment.cores for given in self.bodies.values())
        running += sum(self.given[host.calls[0]].allotment.cores for host in self.hosts.values() if host.calls)
        assert running <= TWO.cores

    def teardown(self) -> None:
        """When everything that runs ends and every object comes, every attempt has its end."""
        for _ in range(10 * len(self.given) + 10):
            for object_id in self.objects:
                self.object_comes(object_id)
            for number in list(self.hosts):
                self.host_finishes(number)
            for key in list(self.bodies):
                del self.bodies[key]
                self.feed(act.BodyEnded(key, FINE))
            for key in list(self.collecting):
                del self.collecting[key]
                self.feed(act.Collected(key))
        self.tables_agree()
        assert set(self.ended) == set(self.given), "an attempt has no end"
        assert not +self.pinned, "something stays pinned for ever"

    def host_finishes(self, number: int) -> None:
        host = self.hosts[number]
        if not host.ready:
            host.ready = True
            self.feed(act.HostReady(number))
        if host.calls:
            self.feed(act.CallEnded(number, host.calls.popleft(), FINE))


Driver.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestDriver = Driver.TestCase
