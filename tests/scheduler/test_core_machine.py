"""Whatever happens in whatever order, the tables agree and every task ends once workers live."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.scheduler.fake_worker import FakeWorker
from tests.scheduler.making import minitask
from tests.scheduler.world import World
from vine.names import FileId, TaskId
from vine.wire import messages as m
from vine.wire.parts import (
    CacheLevel,
    CategoryMode,
    CategorySpec,
    DownloadFault,
    FetchFault,
    FileKind,
    HostStanding,
    LibrarySpec,
    Measured,
    Outcome,
    Policy,
    Request,
    TaskKind,
)
from vine.wire.worker_messages import LibraryEnded, LibraryLoaded, ObjectsLost, SourceSlow

_FAULTS = [f for f in FetchFault if f not in (FetchFault.NONE, FetchFault.SOURCE_CHANGED, FetchFault.ABANDONED)]
_DOWNLOAD_FAULTS = [
    DownloadFault.UNREACHABLE, DownloadFault.UNREACHABLE, DownloadFault.DISK_FULL, DownloadFault.REFUSED,
]  # fmt: skip
_OUTCOMES = [
    Outcome.SUCCESS, Outcome.SUCCESS, Outcome.SUCCESS, Outcome.EXCEPTION, Outcome.KILLED, Outcome.DISK_FULL,
    Outcome.MEMORY_LIMIT, Outcome.LIBRARY_FAILED,
]  # fmt: skip
_MAKES = st.sampled_from(["nothing", "nothing", "a temp", "a temp", "one that another was to make"])
_HOSTS = st.sampled_from([None, None, None, "shared", "twins"])


class Run(RuleBasedStateMachine):
    """Clients submit, workers come, work, fail and go; `World` checks the core after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.files: list[FileId] = []
        self.temps: list[FileId] = []
        self.tasks: list[TaskId] = []
        self.kept: list[TaskId] = []
        self.broadcasts: list[int] = []
        self.libraries: list[FileId] = []
        self.asked: set[TaskId] = set()  # whose results were asked for

    @initialize(hosts=st.lists(_HOSTS, min_size=1, max_size=7))
    def begin(self, hosts: list[str | None]) -> None:
        for host in hosts:
            self.world.join(host=host)

    # --- the client ------------------------------------------------------------------------------

    @rule(
        kind=st.sampled_from(["buffer", "local", "untar", "unbound", "url", "untar of url"]),
        level=st.sampled_from(list(CacheLevel)),
        shared=st.sampled_from([True, True, True, False]),
    )
    def declare(self, kind: str, level: CacheLevel, shared: bool) -> None:
        name = f"file{len(self.files) % 4}"  # Some have equal content.
        if kind == "buffer":
            self.files.append(self.world.buffer(name.encode(), cache=level))
        elif kind == "untar":
            self.files.append(self.world.untar(self.world.local_file(name, cache=level)))
        elif kind == "url":
            self.files.append(self.world.url(f"https://url{len(self.files) % 2}", cache=level, peer_transfer=shared))
        elif kind == "untar of url":
            self.files.append(self.world.untar(self.world.url(f"https://url{len(self.files) % 2}", cache=level)))
        else:
            self.files.append(self.world.local_file(name, bind=kind == "local", cache=level))

    @rule(data=st.data(), command=st.sampled_from(["make", "build"]), level=st.sampled_from(list(CacheLevel)))
    def declare_minitask(self, data: st.DataObject, command: str, level: CacheLevel) -> None:
        inputs = data.draw(st.lists(st.sampled_from(self.files + self.temps), max_size=2)) if self.files else []
        shared = data.draw(st.booleans())
        self.files.append(minitask(self.world, tuple(inputs), command, cache=level, peer_transfer=shared))

    @rule()
    @precondition(lambda self: len(self.tasks) < 15 and len(self.world.workers) < 9 and not self._is_drained())
    def a_definition_comes_again_after_its_maker_has_gone(self) -> None:
        """Two files stand for what was made once; the first goes, and an equal one is made anew. The second is lost."""
        first, second = minitask(self.world, (), "again"), minitask(self.world, (), "again")
        self.tasks += [self.world.submit((first,)), self.world.submit((second,))]
        self._let_happen(lambda event: True)
        self.world.say(m.ForgetFiles((first,)))
        self._fill_slots()
        another = self.world.join()
        third = minitask(self.world, (), "again")
        self.files += [second, third]
        self.tasks.append(self.world.submit((third,)))
        self._let_happen(lambda event: event[1] is another)
        self._fill_slots()
        self.tasks.append(self.world.submit((second,)))
        known = self.world.core.state.files.object_of(second)
        for holder in sorted(known.holders & self.world.workers.keys()) if known is not None else ():
            self.world.lose(holder)

    def _fill_slots(self) -> None:
        self.tasks += [self.world.submit() for _ in range(2 * len(self.world.workers))]

    def _let_happen(self, which: Callable[[tuple[str, FakeWorker | None, object]], bool]) -> None:
        for _ in range(20):
            if events := [event for event in self.world.possible_events() if which(event)]:
                self.world.happen(events[0])

    @rule(data=st.data())
    @precondition(lambda self: self.files)
    def bind(self, data: st.DataObject) -> None:
        file = data.draw(st.sampled_from(self.files))
        record = self.world.core.state.files.by_id.get(file)
        if record is not None and record.spec.kind is FileKind.LOCAL and record.object_id is None:
            if data.draw(st.booleans()):
                self.world.bind(file, "late", 2)
            else:
                self.world.say(m.FileUnreadable(file, "no such file"))

    @rule(
        name=st.sampled_from(["a", "b"]),
        mode=st.sampled_from(CategoryMode),
        memory=st.sampled_from([None, 10.0, 400.0]),
        concurrent=st.sampled_from([None, 0, 1]),
    )
    def set_category(self, name: str, mode: CategoryMode, memory: float | None, concurrent: int | None) -> None:
        self.world.say(m.SetCategory(CategorySpec(name, mode, Request(memory_mb=memory), concurrent_max=concurrent)))

    @rule(data=st.data(), large=st.booleans(), retries=st.integers(0, 1), makes=_MAKES)
    def submit(self, data: st.DataObject, large: bool, retries: int, makes: str) -> None:
        self.world.large_values = large
        inputs = data.draw(st.lists(st.sampled_from(self.files + self.temps), max_size=3)) if self.files else []
        depends = data.draw(st.lists(st.sampled_from(self.kept), max_size=2, unique=True)) if self.kept else []
        outputs = ()
        if makes == "a temp":
            outputs = (self.world.temp(),)
            self.temps += outputs
        elif makes == "one that another was to make" and self.temps:
            outputs = (data.draw(st.sampled_from(self.temps)),)
            inputs += [FileId(999_999)] * data.draw(st.sampled_from([0, 1]))  # Then it is rejected.
        policy = data.draw(st.sampled_from([None, None, "start", "end", "strict", "a", "b"]))
        if policy is not None:
            in_s = self.world.now + data.draw(st.sampled_from([0.0, 1.0, 5.0]))
            kinds = {
                "start": {"starts_at_s": in_s},
                "end": {"ends_at_s": in_s},
                "strict": {"strict": tuple(inputs[:1])},
            }
            policy = Policy(**kinds[policy]) if policy in kinds else Policy(category=policy)
        task = self.world.submit(tuple(inputs), outputs, tuple(depends), retries=retries, policy=policy)
        self.tasks.append(task)
        self.kept.append(task)

    @rule(slots=st.sampled_from([None, 1, 2]), cores=st.sampled_from([None, 1.0, 2.0]))
    @precondition(lambda self: len(self.libraries) < 3)
    def install_library(self, slots: int | None, cores: float | None) -> None:
        number = self.world.buffer(f"library{len(self.files)}".encode())
        self.libraries.append(number)
        self.world.say(m.InstallLibrary(LibrarySpec(number, "lib", ("f",), None, Request(cores=cores), slots)))

    @rule(data=st.data(), count=st.integers(1, 4), large=st.booleans(), makes=st.booleans())
    @precondition(lambda self: self.libraries)
    def call(self, data: st.DataObject, count: int, large: bool, makes: bool) -> None:
        self.world.large_values = large
        library = data.draw(st.sampled_from(self.libraries))
        inputs = data.draw(st.lists(st.sampled_from(self.files + self.temps), max_size=1)) if self.files else []
        depends = data.draw(st.lists(st.sampled_from(self.kept), max_size=1)) if self.kept else []
        policy = data.draw(st.sampled_from([None, Policy(category="a")]))
        for _ in range(count):
            outputs = (self.world.temp(),) if makes else ()
            self.temps += outputs
            named = {"kind": TaskKind.LIBRARY, "function": library, "command": "f", "policy": policy}
            self.tasks.append(self.world.submit(tuple(inputs), outputs, tuple(depends), **named))
            self.kept.append(self.tasks[-1])

    @rule(data=st.data(), forgets=st.booleans())
    @precondition(lambda self: self.libraries)
    def remove_library(self, data: st.DataObject, forgets: bool) -> None:
        library = data.draw(st.sampled_from(self.libraries))
        self.world.say(m.RemoveLibrary(library))
        if forgets:
            self.libraries.remove(library)
            self.world.say(m.ForgetFiles((library,)))

    @rule(data=st.data(), failed=st.booleans(), told=st.booleans())
    @precondition(lambda self: self.libraries and self.world.core.state.workers)
    def a_library_ends(self, data: st.DataObject, failed: bool, told: bool) -> None:
        there = self.world.core.state.workers
        users = [(w, n) for w in sorted(there) for n in there[w].libraries if n in self.libraries]
        worker_id, library = data.draw(st.sampled_from(users or [(min(there), self.libraries[0])]))
        worker = self.world.workers[worker_id]
        if told:
            self.world.say(LibraryLoaded(library, 1.0), worker.peer)
        self.world.say(LibraryEnded(library, failed, "ImportError"), worker.peer)
        if failed:
            self.world.outcome = lambda assignment: Outcome.LIBRARY_FAILED
            theirs = [a for a, given in worker.running.items() if given is not None and given.function == library]
            for attempt in theirs:
                self.world.happen(("end", worker, attempt))

    @rule(count=st.integers(3, 8), unpacked=st.booleans(), number=st.integers(0, 2))
    def submit_many_for_one_file(self, count: int, unpacked: bool, number: int) -> None:
        """It goes to many workers at once: from one to the other, and once to each host."""
        file = self.world.local_file(f"file{number}")
        self.files.append(self.world.untar(file) if unpacked else file)
        for _ in range(count):
            self.tasks.append(self.world.submit((self.files[-1],)))

    @rule(data=st.data(), unless_running=st.booleans())
    @precondition(lambda self: self.tasks)
    def cancel(self, data: st.DataObject, unless_running: bool) -> None:
        self.world.say(m.CancelTasks((data.draw(st.sampled_from(self.tasks)),), unless_running))

    @rule(data=st.data())
    @precondition(lambda self: self.kept)
    def forget_result(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from(self.kept))
        self.kept.remove(task)
        self.world.say(m.ForgetResults((task,)))

    @rule(data=st.data(), bring=st.booleans())
    @precondition(lambda self: self.kept)
    def keep_or_bring_result(self, data: st.DataObject, bring: bool) -> None:
        task = data.draw(st.sampled_from(self.kept))
        if not bring:
            self.world.say(m.KeepResults((task,)))
        elif task in self.world.results:
            self.world.say(m.BringResult(task))
            self.asked.add(task)

    @rule(data=st.data())
    @precondition(lambda self: self.files or self.temps)
    def forget_file(self, data: st.DataObject) -> None:
        file = data.draw(st.sampled_from(self.files + self.temps))
        (self.files if file in self.files else self.temps).remove(file)
        self.world.say(m.ForgetFiles((file,)))

    @rule(data=st.data())
    @precondition(lambda self: self.temps or self.files)
    def bring(self, data: st.DataObject) -> None:
        self.world.say(m.BringFile(data.draw(st.sampled_from(self.temps + self.files))))

    @rule(data=st.data(), how=st.sampled_from(["all", "two", "named"]))
    @precondition(lambda self: self.files or self.temps)
    def broadcast(self, data: st.DataObject, how: str) -> None:
        file = data.draw(st.sampled_from(self.files + self.temps))
        count = 2 if how == "two" else None
        names = sorted(self.world.workers)[:2] if how == "named" else []
        self.broadcasts.append(self.world.broadcast(file, count, tuple(names)))

    @rule(data=st.data(), copies=st.integers(1, 3))
    @precondition(lambda self: self.files or self.temps)
    def replicate(self, data: st.DataObject, copies: int) -> None:
        self.world.say(m.ReplicateFile(data.draw(st.sampled_from(self.files + self.temps)), copies))

    @rule(data=st.data())
    @precondition(lambda self: self.files or self.temps)
    def prune(self, data: st.DataObject) -> None:
        self.world.say(m.PruneFiles((data.draw(st.sampled_from(self.files + self.temps)),)))

    # --- the fleet -------------------------------------------------------------------------------

    @rule(cores=st.integers(1, 3), host=_HOSTS)
    @precondition(lambda self: len(self.world.workers) < 9 and not self._is_drained())
    def join(self, cores: int, host: str | None) -> None:
        self.world.join(cores=cores, host=host)

    @rule(standing=st.sampled_from(HostStanding), seconds=st.sampled_from([None, 5.0]))
    def close_or_open_hosts(self, standing: HostStanding, seconds: float | None) -> None:
        self.world.say(m.SetHosts(("host",), standing, seconds))  # All workers are there.

    @rule(data=st.data())
    @precondition(lambda self: self.world.workers)
    def lose(self, data: st.DataObject) -> None:
        self.world.lose(data.draw(st.sampled_from(sorted(self.world.workers))))

    @rule(data=st.data(), outcome=st.sampled_from(_OUTCOMES))
    def something_happens(self, data: st.DataObject, outcome: Outcome) -> None:
        events = self.world.possible_events()
        if events:
            self.world.outcome = lambda assignment: outcome
            self.world.measured = lambda assignment: Measured(1.0, 10.0 * assignment.attempt.counter, 1.0)
            self.world.happen(data.draw(st.sampled_from(events)))

    @rule(data=st.data(), fault=st.sampled_from(_FAULTS))
    def a_transfer_fails(self, data: st.DataObject, fault: FetchFault) -> None:
        flows = [(worker, t) for worker in self.world.workers.values() for t in worker.fetching]
        if flows:
            worker, transfer = data.draw(st.sampled_from(flows))
            sources = [edge.source for edge in worker.fetching[transfer].sources]
            self.world.fetch_ends(worker, transfer, fault, blamed=data.draw(st.sampled_from(sources)))
        elif self.world.local:
            self.world.local_fetch_fails(next(iter(self.world.local)), fault)

    @rule(data=st.data(), true=st.booleans(), silent=st.booleans())
    def a_source_is_slow(self, data: st.DataObject, true: bool, silent: bool) -> None:
        flows = [(worker, order) for worker in self.world.workers.values() for order in worker.fetching.values()]
        if flows:
            worker, order = data.draw(st.sampled_from(flows))
            sources = [edge.source for edge in order.sources] if true else sorted(self.world.workers)
            slow = data.draw(st.sampled_from([*sources, worker.worker_id]))
            self.world.say(SourceSlow(order.transfer_id, order.object_id, slow, silent), worker.peer)

    @rule(data=st.data())
    def a_copy_turns_out_to_be_bad(self, data: st.DataObject) -> None:
        doubted = [(worker, o) for worker in self.world.workers.values() for o in worker.verifying]
        if doubted:
            self.world.verified(*data.draw(st.sampled_from(doubted)), good=False)

    @rule(data=st.data(), fault=st.sampled_from(_DOWNLOAD_FAULTS))
    def a_download_fails(self, data: st.DataObject, fault: DownloadFault) -> None:
        running = [(worker, d) for worker in self.world.workers.values() for d in worker.downloading]
        if running:
            worker, download = data.draw(st.sampled_from(running))
            stopped = download in worker.stopped
            self.world.download_ends(worker, download, DownloadFault.ABANDONED if stopped else fault)

    @rule(content=st.sampled_from(["file0", "new"]))
    def what_a_url_leads_to_changes(self, content: str) -> None:
        self.world.web["https://url0"] = content  # It may be what a file of another kind holds, too.

    @rule(data=st.data(), disk_full=st.booleans())
    def a_worker_loses_an_object(self, data: st.DataObject, disk_full: bool) -> None:
        for worker in self.world.workers.values():
            lost = sorted(worker.holds)[:1] or worker.storing[:1]
            if lost:
                worker.holds -= set(lost)
                worker.spare -= set(lost)
                worker.storing = [o for o in worker.storing if o not in lost]
                self.world.say(ObjectsLost(tuple(lost), "disk error", disk_full), worker.peer)
                return

    @rule(data=st.data())
    @precondition(lambda self: self.world.workers)
    def a_worker_lacks_room(self, data: st.DataObject) -> None:
        worker = self.world.workers[data.draw(st.sampled_from(sorted(self.world.workers)))]
        if worker.may_go():
            self.world.evict(worker, *worker.may_go())

    @rule()
    @precondition(lambda self: len(self.tasks) < 15)  # More would make the machine slow.
    def everybody_is_busy(self) -> None:
        """Tasks run in all slots, and all have told of much room: what is submitted now is planned."""
        self.tasks += [self.world.submit() for _ in range(3)]
        while starts := [event for event in self.world.possible_events() if event[0] != "end"]:
            self.world.happen(starts[0])
        for worker in self.world.workers.values():
            self.world.report(worker)

    @rule(data=st.data(), free=st.sampled_from([0, 3 << 20, 1 << 40]))
    @precondition(lambda self: self.world.workers)
    def a_worker_tells_of_its_room(self, data: st.DataObject, free: int) -> None:
        self.world.report(self.world.workers[data.draw(st.sampled_from(sorted(self.world.workers)))], free)

    @rule(seconds=st.sampled_from([0.1, 1.0, 10.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)
        for worker in [worker for worker in self.world.workers.values() if worker.ended]:
            self.world.lose(worker.worker_id)

    def _is_drained(self) -> bool:
        standing, _ = self.world.core.state.closed_hosts.get("host", (HostStanding.OPEN, None))
        return standing is HostStanding.DRAINING

    def teardown(self) -> None:
        """Once the faults stop and workers live, everything that was submitted ends."""
        world = self.world
        world.outcome = lambda assignment: Outcome.SUCCESS
        world.say(m.SetHosts((), HostStanding.OPEN))
        for name in ("a", "b"):
            world.say(m.SetCategory(CategorySpec(name, concurrent_max=2)))
        for host in (None, "shared", "shared"):
            world.join(cores=3, host=host)
        for file, record in list(world.core.state.files.by_id.items()):
            if record.spec.kind is FileKind.LOCAL and record.object_id is None and record.failure is None:
                world.bind(file, "late", 2)
        for _ in range(5):
            world.settle()
            world.pass_time(10)
        assert set(self.tasks) <= set(world.results)
        for broadcast in self.broadcasts:
            assert world.answer(broadcast) is not None or self._is_made_by_nobody(broadcast), "it is waited for in vain"
        answered = {message.task_id for message in world.inbox if isinstance(message, m.ResultBrought)}
        assert self.asked <= answered, "somebody waits for a result in vain"
        world.say(m.ClientBye())
        world.settle()
        state = world.core.state
        assert not state.tasks.by_id and not state.files.by_id and not state.files.objects and not world.served
        assert not state.minitasks.held and not state.minitasks.by_key and not state.minitasks.key_of
        assert not state.downloads.by_url and not state.downloads.running and not state.downloads.at
        assert not state.transfers.active and not state.transfers.wanting and not state.collecting
        assert not state.copies.broadcasts and not state.copies.targets and not state.copies.replicated

    def _is_made_by_nobody(self, request: int) -> bool:
        """A temp that no task makes any more is broadcast in vain, as a task would wait for it in vain."""
        state = self.world.core.state
        (broadcast,) = [broadcast for broadcast in state.copies.all() if broadcast.request == request]
        producer = state.files.by_id[broadcast.file_id].producer
        return producer is None or producer not in state.tasks.by_id


TestRun = Run.TestCase
TestRun.settings = settings(
    max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
