"""Does one seed's run keep its promises: safe while things break, and all done in time once they have stopped?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.simulator.faults.client import FaultyClient
from benchmarks.simulator.faults.cluster import QUICK, FaultyCluster, Size
from benchmarks.simulator.faults.injector import Injector
from benchmarks.simulator.faults.oracle import check_forgotten, check_node
from benchmarks.simulator.faults.work import Work
from vine import config
from vine.scheduler.check import check
from vine.wire.parts import Outcome

_LIVENESS_S = 400.0  # Virtual time in which all that was submitted has ended, once nothing breaks any more.
_EVENTS_MAX = 1_000_000  # Whatever passes in one go takes fewer: the largest runs have some 300,000 in all.
_REST_S = 18.0  # ... and in which what was sent before has arrived everywhere.


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one seed; `error` is empty if all promises were kept."""

    seed: int
    events: int
    steps: int
    faults: int
    tasks: int
    digest: str
    error: str = ""


class Run:
    def __init__(self, seed: int, size: Size = QUICK, keep_trace: bool = False) -> None:
        self.seed = seed
        self.cluster = FaultyCluster(seed, size, keep_trace)
        self._works: list[Work] = []
        self._faults = 0

    def verdict(self) -> Verdict:
        """Run it. An assertion that fails is the verdict; any other exception is one, too."""
        error = ""
        try:
            self._run()
        except Exception as failure:  # noqa: BLE001 - whatever a core raises is what is looked for
            error = f"{type(failure).__name__}: {failure}" + _place_of(failure)
        cluster, tasks = self.cluster, sum(len(work.tasks) for work in self._works)
        clock = cluster.clock
        return Verdict(self.seed, clock.happened, cluster.steps, self._faults, tasks, cluster.trace.digest(), error)

    def _run(self) -> None:
        cluster, dice = self.cluster, self.cluster.dice
        cluster.on_client = self._begin_work
        cluster.start_manager()
        cluster.start_fleet()
        cluster.start_client()
        injector = Injector(cluster)
        calm = cluster.weather.is_calm
        self._pass(5 + dice.random() * 25)
        injector.stop()
        self._faults = injector.faults
        cluster.weather.clear()
        cluster.end_short_lives()
        for work in self._works:
            work.tasks_left = 0
        self._await(lambda: not any(each.process.standing for each in cluster.workers.values()))
        self._await(lambda: cluster.client is not None and cluster.client.is_welcome and not cluster.client.open)
        self._last_wave(calm)
        self._check_at_rest()
        cluster.leave(for_good=True)
        assert cluster.manager is not None
        clients = cluster.manager.scheduler.state.clients
        self._await(lambda: not clients)
        self._pass(_REST_S)
        check(cluster.manager.scheduler.state)
        check_forgotten(cluster.manager.scheduler.state)
        cluster.compare_journal()
        cluster.journal.commit()
        assert not cluster.journal.open_attempts, "the journal's writer remembers attempts that have ended"

    def _begin_work(self, client: FaultyClient) -> None:
        cluster = self.cluster
        left = self._works[-1].tasks_left if self._works else cluster.tasks_n
        work = Work(client, client.say, cluster.dice, cluster.behaviours, left, cluster.asking)
        self._works.append(work)

        def go_on() -> None:
            if cluster.client is client and work.tasks_left > 0:
                if client.is_welcome:
                    work.step()
                cluster.clock.after(cluster.dice.random() * 20 / cluster.tasks_n, go_on)

        cluster.clock.after(0.1, go_on)

    def _last_wave(self, calm: bool) -> None:
        """What is submitted now succeeds; and so has all before, where nothing was ever broken."""
        cluster = self.cluster
        client: FaultyClient | None = None
        while client is None or client is not cluster.client:  # One that was forgotten while things broke may end now.
            self._await(self._knows_one_client)  # What others have left goes only when they are given up.
            client, work = cluster.client, self._works[-1]
            assert client is not None and client.is_welcome
            work.forget_all()
            self._pass(3.0)
            wave = work.last_wave()
            self._await(partial(self._is_over, client))
        expected = wave | (set(work.tasks) & client.results.keys() if calm else set())
        for task_id in sorted(expected):
            result = client.results[task_id]
            fine = result.outcome in (work.may_end(task_id) if calm else (Outcome.SUCCESS,))
            assert fine, f"nothing breaks, and task {task_id} ends with {result.outcome}: {result.message}"
        self._await(lambda: not _unanswered(client, work))

    def _knows_one_client(self) -> bool:
        manager, client = self.cluster.manager, self.cluster.client
        known = manager is not None and len(manager.scheduler.state.clients) == 1
        return known and client is not None and client.is_welcome

    def _is_over(self, client: FaultyClient) -> bool:
        return not client.open or self.cluster.client is not client

    def _check_at_rest(self) -> None:
        """Nothing is on its way: what is known is what is true."""
        self._pass(_REST_S)
        manager = self.cluster.manager
        assert manager is not None
        state = manager.scheduler.state
        check(state)
        check_node(manager.node, config.manager_small_transfers)
        assert set(state.workers) == set(self.cluster.workers), "the manager knows other workers than there are"
        for name, record in state.workers.items():
            there = self.cluster.workers[name].worker
            check_node(there.node)
            true = there.store.manifests.keys() | there.watch.folders
            said, more = sorted(record.holds - true), sorted(true - record.holds)
            assert not (said or more), f"{name} is said to hold {said} and holds {more}"
            assert there.core.idle, f"{name} is busy with what nobody waits for"

    # --- time ---

    def _pass(self, seconds: float) -> None:
        clock = self.cluster.clock
        most = clock.happened + _EVENTS_MAX
        endless = clock.run(until=lambda: clock.happened >= most, end_s=clock.now() + seconds)
        assert not endless, f"{_EVENTS_MAX} events, and {seconds:g} s have not passed: somebody is never done"

    def _await(self, holds: Callable[[], bool]) -> None:
        clock = self.cluster.clock
        end_s = clock.now() + _LIVENESS_S
        look_again_s = 1.0
        while not holds():
            now = clock.now()
            assert now < end_s, f"no end in sight after {_LIVENESS_S:g} s: {self._whats_left()}"
            self._pass(look_again_s)
            # Where nothing is due until then, as while all who live stand still, the clock has not moved.
            look_again_s = 1.0 if clock.now() > now else look_again_s + 1.0

    def _whats_left(self) -> str:
        """Why the manager thinks that what is open has not ended."""
        client, manager = self.cluster.client, self.cluster.manager
        if client is None or manager is None or not client.is_welcome:
            return f"{client=}, {manager=}, and the manager knows {manager and manager.scheduler.state.clients}"
        known, now = manager.scheduler.state.tasks.by_id, manager.process.now()
        some = {task_id: task_id in known for task_id in sorted(client.open)[:3]}
        reasons = [manager.scheduler.why(t, now) if is_known else "is forgotten" for t, is_known in some.items()]
        if some:
            return "; ".join(f"task {task_id}: {why}" for task_id, why in zip(some, reasons, strict=True))
        work = self._works[-1]
        return f"nobody answers for {_unanswered(client, work)}"


def _unanswered(client: FaultyClient, work: Work) -> set[int]:
    """The broadcasts, results and files that the program has asked for, and has not heard of."""
    lacking: set[int] = work.requests - client.spread.keys()
    return lacking | (work.brought - client.answered) | (work.brought_files - client.brought)


def _place_of(failure: BaseException) -> str:
    trace = failure.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f" ({trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno})"
