"""A cluster in which nothing breaks but what a test breaks."""

from __future__ import annotations

from benchmarks.simulator.faults.behaviours import Behaviour
from benchmarks.simulator.faults.cluster import FaultyCluster, Size
from benchmarks.simulator.faults.weather import Rates
from vine.names import TaskId
from vine.wire.parts import Request, Resources, TaskKind


class ClusterWorld:
    def __init__(self, workers: int = 2, with_factory: bool = False, cores: int | None = None) -> None:
        self.cluster = FaultyCluster(1, Size(workers, 10), keep_trace=True)
        if cores is not None:
            self.cluster.worker_cores = cores
            self.cluster.capacity = Resources(float(cores), 1000.0, 100_000.0, 0.0)
        self.cluster.weather.rates = Rates()
        self.cluster.workers_a_host, self.cluster.jobs_outlive_factories = 1, False
        self.cluster.start_manager()
        self.cluster.has_factory, self.cluster.workers_n = with_factory, workers
        self.cluster.start_fleet()
        self.cluster.start_client()
        self.wait(2.0)

    def wait(self, seconds: float) -> None:
        self.cluster.clock.run(end_s=self.cluster.clock.now() + seconds)

    def submit(self, run_s: float = 0.1, kind: TaskKind = TaskKind.CALL) -> TaskId:
        client = self.cluster.client
        assert client is not None
        spec = client.task(kind=kind, request=Request(cores=1.0))
        self.cluster.behaviours.of_task[spec.task_id] = Behaviour(run_s)
        client.submit(spec)
        return spec.task_id

    @property
    def known(self) -> set[str]:
        """The workers that the manager knows."""
        assert self.cluster.manager is not None
        return set(self.cluster.manager.scheduler.state.workers)
