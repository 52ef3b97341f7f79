"""Does the core keep its promises whatever comes in which order?"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.worker.world import ARCHIVE, DATA, FINE, FUNCTION, ONE, TREE, TWO, assignment
from vine.names import AttemptId, FileId, ObjectId, TransferId
from vine.wire.parts import (
    Assignment,
    CacheLevel,
    DownloadFault,
    InlineObject,
    LibraryOrder,
    Limits,
    Measured,
    Mount,
    ObjectMount,
    Outcome,
    Resources,
    TaskKind,
)
from vine.wire.worker_messages import (
    AbandonDownload,
    AttemptsEnded,
    CancelAttempts,
    DownloadEnded,
    DownloadUrl,
    DropObjects,
    RateObjects,
    RunAttempts,
    StoreObjects,
    UnpackObject,
)
from vine_worker import actions as act
from vine_worker.core import WorkerCore


@dataclass
class ModelHost:
    ready: bool = False
    calls: deque[AttemptId] = field(default_factory=deque)
    library: int | None = None


@dataclass
class ModelLibrary:
    order: LibraryOrder
    allotment: Resources
    loaded: bool = False


LIBRARIES = {
    LibraryOrder(FileId(1), "one", 1, True): ONE,
    LibraryOrder(FileId(2), "two", 2, False): ONE,
    LibraryOrder(FileId(3), "all", 3, True): TWO,
}


class Driver(RuleBasedStateMachine):
    """Plays manager, hosts and processes in any order, and watches what the core makes of it."""

    objects = (FUNCTION, DATA, TREE, ARCHIVE)

    def __init__(self) -> None:
        super().__init__()
        self.core = WorkerCore(TWO, inputs_protected=False)
        self.now = 0.0
        self.given: dict[AttemptId, Assignment] = {}
        self.ended: dict[AttemptId, Outcome] = {}
        self.hosts: dict[int, ModelHost] = {}
        self.libraries: dict[int, ModelLibrary] = {}
        self.bodies: dict[AttemptId, Assignment] = {}
        self.behind: dict[AttemptId, Assignment] = {}  # what starts when a body ends
        self.probes: list[tuple[act.Probe, ...]] = []  # not answered yet
        self.collecting: dict[AttemptId, Assignment] = {}
        self.held: set[ObjectId] = set()
        self.spare: set[ObjectId] = set()
        self.unpacking = False
        self.downloading: set[TransferId] = set()
        self.downloads = 0
        self.pinned: Counter[ObjectId] = Counter()
        self.evicted: list[ObjectId] = []  # and not told yet

    @initialize(protected=st.booleans())
    def worker_starts(self, protected: bool) -> None:
        self.core = WorkerCore(TWO, protected)

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
            case act.StartHost(host, kind):
                assert kind.library is None or self.libraries[kind.library].loaded, "of a library that is not loaded"
                self.hosts[host] = ModelHost(library=kind.library)
            case act.StartLibrary(instance, order, content):
                assert content in self.held, "a library is loaded before it is here"
                same = [each for each in self.libraries.values() if each.order.number == order.number]
                assert not same, "a library is loaded twice"
                self.libraries[instance] = ModelLibrary(order, LIBRARIES[order])
            case act.EndLibrary(instance, force):
                calls = [host for host in self.hosts.values() if host.library == instance and host.calls]
                assert force or not calls, "a library ends under its calls"
            case act.RunCall(host, given):
                self.check_start(given)
                self.hosts[host].calls.append(given.attempt)
            case act.TakeBack(host):
                return self.take_back(host)
            case act.StartBody(given, _grant, behind):
                self.check_start(given)
                if behind in self.bodies:
                    assert behind not in self.behind, "two wait behind one"
                    self.behind[behind] = given
                else:
                    self.bodies[given.attempt] = given
            case act.TakeBackBody(attempt):
                before = [before for before, given in self.behind.items() if given.attempt == attempt]
                for key in before:
                    del self.behind[key]
                return [act.BodyReturned(attempt)] if before else []
            case act.MeasureUse(probes):
                assert not self.probes, "it asks again before it was answered"
                self.probes.append(probes)
            case act.Collect(given):
                self.collecting[given.attempt] = given
            case act.KeepObject(item):
                self.held.add(item.object_id)
                return [act.Kept(item.object_id)]
            case act.StartUnpack(tree, archive):
                assert archive in self.held, "it is unpacked from what is not here"
                assert not self.unpacking, "it is unpacked twice at once"
                self.unpacking = tree == TREE
            case act.StartDownload(order):
                self.downloading.add(order.download_id)
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
        kind=st.sampled_from([kind for kind in TaskKind if kind is not TaskKind.LIBRARY]),
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
            limits=Limits(memory_mb=100.0) if limited or tree else None,
        )
        self.given[given.attempt] = given
        self.feed(RunAttempts((given,)))

    @rule(order=st.sampled_from(list(LIBRARIES)), tree=st.booleans(), data=st.booleans(), limited=st.booleans())
    def assign_a_call_of_a_library(self, order: LibraryOrder, tree: bool, data: bool, limited: bool) -> None:
        given = assignment(
            len(self.given) + 1,
            TaskKind.LIBRARY,
            allotment=LIBRARIES[order],
            library=order,
            command="f",
            inputs=(ObjectMount(DATA, "data"),) if data else (),
            environment=TREE if tree else None,
            time_limit_s=0.005 if limited else None,
        )
        self.given[given.attempt] = given
        self.feed(RunAttempts((given,)))

    @rule(order=st.sampled_from(list(LIBRARIES)), count=st.integers(2, 6))
    def calls_crowd_a_library(self, order: LibraryOrder, count: int) -> None:
        """More of them than it has slots come to one that is loaded."""
        self.object_comes(FUNCTION)
        for _ in range(count):
            self.assign_a_call_of_a_library(order, False, False, False)
        for instance, library in list(self.libraries.items()):
            if library.order == order and not library.loaded:
                library.loaded = True
                self.feed(act.LibraryReady(instance, True))
        for number, host in list(self.hosts.items()):
            if host.library is not None and not host.ready:
                host.ready = True
                self.feed(act.HostReady(number))

    @rule(forkable=st.booleans(), data=st.data())
    @precondition(lambda self: self.libraries)
    def library_is_loaded(self, forkable: bool, data: st.DataObject) -> None:
        instance = data.draw(st.sampled_from(sorted(self.libraries)))
        if not self.libraries[instance].loaded:
            self.libraries[instance].loaded = True
            self.feed(act.LibraryReady(instance, forkable))

    @rule(data=st.data())
    @precondition(lambda self: self.libraries)
    def library_dies(self, data: st.DataObject) -> None:
        self.library_ends(data.draw(st.sampled_from(sorted(self.libraries))))

    def library_ends(self, instance: int) -> None:
        """Its end is told before those of its hosts."""
        del self.libraries[instance]
        self.feed(act.LibraryGone(instance, "it ended"))
        for number in [number for number, host in self.hosts.items() if host.library == instance]:
            self.host_dies(number, Outcome.LIBRARY_FAILED)

    @rule(key=st.sampled_from(objects))
    def object_comes(self, key: ObjectId) -> None:
        self.feed(StoreObjects((InlineObject(key, b""),)))

    @rule()
    def archive_is_to_be_unpacked(self) -> None:
        self.feed(UnpackObject(TREE, ARCHIVE, "env"))

    @rule()
    @precondition(lambda self: self.unpacking)
    def archive_is_unpacked(self) -> None:
        self.unpacking = False
        self.held.add(TREE)
        self.feed(act.Unpacked(TREE))

    @rule()
    def url_is_to_be_downloaded(self) -> None:
        self.downloads += 1
        self.feed(DownloadUrl(TransferId(1, self.downloads), "https://example.org/data", "data"))

    @rule(abandoned=st.booleans(), arrives=st.booleans())
    @precondition(lambda self: self.downloading)
    def url_is_downloaded(self, abandoned: bool, arrives: bool) -> None:
        assert not self.core.idle, "it would end in the midst of it"
        download = self.downloading.pop()
        if abandoned:
            self.feed(AbandonDownload(download))
        if not arrives:
            self.feed(DownloadEnded(download, DownloadFault.ABANDONED))
            return
        self.held.add(DATA)
        self.spare.discard(DATA)
        self.pinned[DATA] += 1
        self.feed(DownloadEnded(download, DownloadFault.NONE, DATA))
        self.pinned[DATA] -= 1

    @rule(key=st.sampled_from(objects))
    def object_is_dropped(self, key: ObjectId) -> None:
        self.feed(DropObjects((key,)))

    @rule(key=st.sampled_from(objects), spare=st.booleans())
    def object_is_rated(self, key: ObjectId, spare: bool) -> None:
        self.feed(RateObjects((key,), spare, CacheLevel.WORKFLOW))

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
                act.CallsEnded(
                    number, ((host.calls.popleft(), act.Ending(Outcome.SUCCESS, None, "", b"", path, 1e-4)),)
                )
            )
        elif step == "die":
            self.host_dies(number)

    def host_dies(self, number: int, outcome: Outcome = Outcome.KILLED) -> None:
        host = self.hosts.pop(number)
        unread = tuple(host.calls)[1:] if host.ready else tuple(host.calls)
        self.feed(act.HostEnded(number, act.Ending(outcome), unread))

    @rule(data=st.data(), next_fails=st.booleans())
    @precondition(lambda self: self.bodies)
    def body_ends(self, data: st.DataObject, next_fails: bool = False) -> None:
        key = data.draw(st.sampled_from(sorted(self.bodies)))
        self.body_gone(key, data.draw(st.sampled_from([FINE, act.Ending(Outcome.KILLED)])), next_fails)

    def body_gone(self, key: AttemptId, ending: act.Ending, next_fails: bool = False) -> None:
        """What waits behind it starts at once, and that it could not is told first."""
        del self.bodies[key]
        events = [act.BodyEnded(key, ending)]
        if key in self.behind:
            given = self.behind.pop(key)
            if next_fails:
                events.insert(0, act.BodyEnded(given.attempt, act.Ending(Outcome.START_FAILED)))
            else:
                self.bodies[given.attempt] = given
        self.feed(*events)

    @rule(count=st.integers(3, 6))
    def short_commands_come(self, count: int) -> None:
        """More of them than have room, after one that was short."""
        for _ in range(count):
            given = assignment(len(self.given) + 1, TaskKind.COMMAND)
            self.given[given.attempt] = given
            self.feed(RunAttempts((given,)))
        for key in list(self.bodies)[-1:]:
            self.body_gone(key, FINE)

    @rule(memory_mb=st.sampled_from([50.0, 150.0]))
    @precondition(lambda self: self.probes)
    def use_is_measured(self, memory_mb: float) -> None:
        probes = self.probes.pop()
        self.feed(act.Used(tuple((probe.attempt, Measured(0.0, memory_mb, 0.0)) for probe in probes)))

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
        self.feed(CancelAttempts((data.draw(st.sampled_from(sorted(self.given))),)))

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
            if isinstance(action.message, AttemptsEnded):
                for result in action.message.results:
                    assert result.attempt not in self.ended, "an attempt ended twice"
                    self.ended[result.attempt] = result.outcome

    @invariant()
    def never_more_than_there_is(self) -> None:
        running = sum(given.allotment.cores for given in self.bodies.values())
        busy = [host for host in self.hosts.values() if host.calls]
        running += sum(self.given[host.calls[0]].allotment.cores for host in busy if host.library is None)
        running += sum(library.allotment.cores for library in self.libraries.values())
        assert running <= TWO.cores
        for instance, library in self.libraries.items():
            assert sum(host.library == instance for host in busy) <= library.order.slots

    def teardown(self) -> None:
        """When everything that runs ends and every object comes, every attempt has its end."""
        for _ in range(10 * len(self.given) + 10):
            for object_id in self.objects:
                self.object_comes(object_id)
            if self.unpacking:
                self.archive_is_unpacked()
            for instance in list(self.libraries):
                if not self.libraries[instance].loaded:
                    self.libraries[instance].loaded = True
                    self.feed(act.LibraryReady(instance, True))
            for number in list(self.hosts):
                self.host_finishes(number)
            for instance in list(self.libraries):  # They make room for each other.
                if not any(host.calls for host in self.hosts.values() if host.library == instance):
                    self.library_ends(instance)
            for key in list(self.bodies):
                self.body_gone(key, FINE)
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
            self.feed(act.CallsEnded(number, ((host.calls.popleft(), FINE),)))


Driver.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestDriver = Driver.TestCase
