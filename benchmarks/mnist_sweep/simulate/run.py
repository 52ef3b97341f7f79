"""How does one run of the sweep go: the true scheduler and transfers in virtual time, on the model of a cluster."""

from __future__ import annotations

import enum
import gc
from dataclasses import dataclass
from functools import partial

from benchmarks.mnist_sweep.simulate import pool
from benchmarks.mnist_sweep.simulate.filesystem import Mount
from benchmarks.mnist_sweep.simulate.parameters import Parameters
from benchmarks.simulator.bodies import Bodies, Body
from benchmarks.simulator.cluster import Cluster, Setup
from benchmarks.simulator.machine import Speeds
from benchmarks.simulator.worker import SimulatedWorker
from vine import config
from vine.content.manifest import derived_id
from vine.errors import VineError
from vine.names import ObjectId, TaskId
from vine.scheduler.settings import Spread
from vine.wire.parts import Assignment, FileKind, Outcome, Request, Resources, TaskResult, TaskSpec
from vine.wire.parts import Mount as Input

_GIVE_UP_S = 100_000.0  # of virtual time
_HEARTBEAT_S, _LOST_AFTER_S = 30.0, 300.0  # when nothing moves any more: no node is lost here
_STILL_MOVING_S = 300.0  # after the last worker has come and all is packed
_MOMENT_S = 1e-3
_CAP = 3  # flows out of a node at once: the paper's default, and ours


class Distribution(enum.Enum):
    """How environment and dataset come to the tasks, in the paper's words."""

    SHARED_FS = "shared-fs"  # read in place
    VINE = "vine"  # packed by the manager, which is part of the run
    VINE_HOT = "vine-hot"  # packed already; still unpacked at the nodes


class Policy(enum.Enum):
    """Whose data plane it is."""

    TASKVINE = "taskvine"  # whole files, stored before they are forwarded, and unpacked when they are complete
    VINE = "vine"  # chunks through a forest, unpacked as they arrive


@dataclass(frozen=True, slots=True)
class Wanted:
    """One run."""

    parameters: Parameters
    workers: int
    tasks: int
    distribution: Distribution
    policy: Policy = Policy.VINE
    seed: int = 0


@dataclass(frozen=True, slots=True)
class TaskTime:
    """Where one task's time went, in seconds, in this order; `task_s` is from its assignment until its result."""

    task_s: float
    environment_s: float  # waiting for the environment's tarball
    unpacking_s: float  # ... then for it to be unpacked
    dataset_s: float  # ... then for the dataset, if it is not there either
    paging_s: float  # reading in place
    compute_s: float

    @property
    def rest_s(self) -> float:
        """Messages under way."""
        return self.task_s - self.environment_s - self.unpacking_s - self.dataset_s - self.paging_s - self.compute_s


@dataclass(frozen=True, slots=True)
class Sweep:
    """A run that has ended."""

    workers: int
    distribution: Distribution
    policy: Policy
    seed: int
    run_s: float  # from the request for workers until the last result, packing included where it is part of it
    pack_s: float
    at_once: int  # tasks that one worker had at the same time, at most
    manager_copies: float  # of the environment's tarball that the manager has sent
    times: tuple[TaskTime, ...]  # in the order of submission
    digest: str  # of all that was said: equal digests are equal runs


def sweep(wanted: Wanted) -> Sweep:
    """The whole run."""
    gc.disable()  # Nothing here is garbage before the end, and there is much to look through.
    try:
        return _Run(wanted).finish()
    finally:
        gc.enable()


class _Run:
    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._parameters = parameters = wanted.parameters
        ours = wanted.policy is Policy.VINE
        self._unpack = parameters.unpack_vine_bytes_per_s if ours else parameters.unpack_taskvine_bytes_per_s
        pack = parameters.pack_vine_bytes_per_s if ours else parameters.pack_taskvine_bytes_per_s
        packed = parameters.environment_bytes + parameters.dataset_bytes
        self.pack_s = packed / pack if wanted.distribution is Distribution.VINE else 0.0
        sizes = {
            int(parameters.environment_packed_bytes): int(parameters.environment_bytes),
            int(parameters.dataset_packed_bytes): int(parameters.dataset_bytes),
        }
        setup = Setup(
            seed=wanted.seed,
            speeds=self._speeds(1.0),
            latency_s=parameters.latency_s,
            spread=Spread.FOREST if ours else Spread.WHOLE_FILE,
            transfers_max=_CAP,
            capacity=Resources(parameters.worker_cores, parameters.worker_memory_mb, parameters.worker_disk_mb, 0),
            heartbeat_after_s=self._heartbeat_after_s,
            worker_suspected_after_s=_LOST_AFTER_S,
            worker_lost_after_s=_LOST_AFTER_S,
            unpacked_bytes=sizes.__getitem__,
            unpacks_ahead=ours,
        )
        self.cluster = Cluster(setup)
        self._compute_s: dict[TaskId, float] = {}  # of each task that has begun
        self._tasks: list[TaskId] = []  # in the order of submission
        self._submitted_s = 0.0
        self._environment: ObjectId | None = None
        self._dataset: ObjectId | None = None

    def _heartbeat_after_s(self, now: float) -> float:
        """As ever while data move; seldom while there is nothing but tasks, which takes most of the run."""
        quiet_s = self.pack_s + self._wanted.workers / self._parameters.arrival_workers_per_s + _STILL_MOVING_S
        moves = self._wanted.distribution is not Distribution.SHARED_FS and now < quiet_s
        return config.heartbeat_interval_s if moves else _HEARTBEAT_S

    def _speeds(self, slowness: float) -> Speeds:
        """Of a node whose processors are so slow; what is unpacked goes to the disk."""
        parameters = self._parameters
        link, disk = parameters.link_bytes_per_s, parameters.disk_bytes_per_s
        hashing = parameters.hashing_bytes_per_s / slowness
        return Speeds(link, link, hashing, disk, min(self._unpack / slowness, disk))

    def finish(self) -> Sweep:
        """From the request for workers to the last result."""
        wanted, cluster, clock = self._wanted, self.cluster, self.cluster.clock
        filesystem = pool.filesystem(self._parameters, clock, wanted.workers)
        for node in pool.nodes(self._parameters, wanted.workers, wanted.seed):
            clock.at(node.arrives_s, partial(self._arrive, node, Mount(filesystem)))
        cluster.run(lambda: cluster.client.is_welcome and clock.now() >= self.pack_s, max(60.0, 2 * self.pack_s))
        self._submit()
        results = cluster.client.results
        ended = cluster.run(lambda: len(results) == wanted.tasks, _GIVE_UP_S)
        faults = [result for result in results.values() if result.outcome is not Outcome.SUCCESS]
        if not ended or faults:
            why = f": {faults[0].outcome.value}: {faults[0].message}" if faults else ""
            raise VineError(f"{len(results) - len(faults)} of {wanted.tasks} simulated tasks ended well{why}")
        return self._outcome()

    def _arrive(self, node: pool.Node, mount: Mount) -> None:
        self.cluster.add_worker(node.name, self._speeds(node.slowness), self._bodies(node, mount))

    def _bodies(self, node: pool.Node, mount: Mount) -> Bodies:
        paged = self._wanted.distribution is Distribution.SHARED_FS
        operations = self._parameters.metadata_operations
        seconds = pool.compute_times(self._parameters, node, self._wanted.seed)

        def body(assignment: Assignment) -> Body:
            if assignment.task_id not in self._compute_s:  # It is asked again when its outputs are collected.
                self._compute_s[assignment.task_id] = next(seconds)
            return Body(self._compute_s[assignment.task_id], partial(mount.start_task, operations) if paged else None)

        return body

    def _submit(self) -> None:
        client, parameters = self.cluster.client, self._parameters
        request = Request(parameters.task_cores, parameters.task_memory_mb, parameters.task_disk_mb, 0)
        fields: dict[str, object] = {"command": "train", "request": request}
        if self._wanted.distribution is not Distribution.SHARED_FS:
            environment, key = client.local_file("environment", int(parameters.environment_packed_bytes))
            dataset, dataset_key = client.local_file("dataset", int(parameters.dataset_packed_bytes))
            self._environment, self._dataset = key, dataset_key
            fields["environment"] = client.declare(FileKind.UNTAR, source=environment)
            fields["inputs"] = (Input(client.declare(FileKind.UNTAR, source=dataset), "mnist"),)
        tasks: list[TaskSpec] = [client.task(**fields) for _ in range(self._wanted.tasks)]
        self._tasks = [task.task_id for task in tasks]
        self._submitted_s = self.cluster.clock.now()
        client.submit(*tasks)

    # --- what came of it ---

    def _outcome(self) -> Sweep:
        wanted, cluster = self._wanted, self.cluster
        results = [cluster.client.results[task] for task in self._tasks]
        sent = cluster.manager.node.serving.sent_bytes
        copies = sent[self._environment] / self._parameters.environment_packed_bytes if self._environment else 0.0
        return Sweep(
            wanted.workers,
            wanted.distribution,
            wanted.policy,
            wanted.seed,
            cluster.clock.now(),
            self.pack_s,
            most_at_once(self._spans(results)),
            copies,
            tuple(self._time_of(result) for result in results),
            cluster.trace.digest(),
        )

    def _spans(self, results: list[TaskResult]) -> dict[str, list[tuple[float, float]]]:
        """When each worker had its tasks."""
        spans: dict[str, list[tuple[float, float]]] = {}
        for result in results:
            assigned_s = self._submitted_s + result.queue_s
            spans.setdefault(str(result.worker_id), []).append((assigned_s, assigned_s + result.task_s))
        return spans

    def _time_of(self, result: TaskResult) -> TaskTime:
        assert result.worker_id is not None, "it has run somewhere"
        worker = self.cluster.workers[result.worker_id]
        compute_s = self._compute_s[result.task_id]
        paging_s = result.times.run_s - compute_s
        if self._environment is None or self._dataset is None:
            return TaskTime(result.task_s, 0.0, 0.0, 0.0, paging_s, compute_s)
        waited = waits(
            self._submitted_s + result.queue_s,
            worker.fetched_s[self._environment],
            _unpacked(worker, self._environment),
            _unpacked(worker, self._dataset),
        )
        return TaskTime(result.task_s, *waited, paging_s, compute_s)


def _unpacked(worker: SimulatedWorker, archive: ObjectId) -> float:
    return worker.unpacked_s[derived_id("untar", archive)]


def waits(assigned_s: float, came_s: float, unpacked_s: float, dataset_s: float) -> tuple[float, float, float]:
    """How long a task waited for its tarball, for that to be unpacked, and then still for its dataset."""
    found = []
    for moment in (came_s, unpacked_s, dataset_s):
        found.append(max(0.0, moment - assigned_s))
        assigned_s = max(assigned_s, moment)
    return found[0], found[1], found[2]


def most_at_once(spans: dict[str, list[tuple[float, float]]]) -> int:
    """The most tasks that one worker had at the same time, not counting one that ends as another begins."""
    most = 0
    for of_worker in spans.values():
        ends = [(end - _MOMENT_S, -1) for _, end in of_worker]
        changes = sorted([(start, 1) for start, _ in of_worker] + ends)
        now = 0
        for _, change in changes:
            now += change
            most = max(most, now)
    return most
