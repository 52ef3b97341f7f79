"""The true manager and the true workers in virtual time."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.simulator.bodies import Body
from benchmarks.simulator.cluster import Cluster, Setup
from benchmarks.simulator.control import Control
from benchmarks.simulator.machine import Speeds
from vine import config
from vine.names import TaskId
from vine.scheduler.check import check
from vine.scheduler.settings import Spread
from vine.wire.parts import Assignment, FileKind, Mount, Outcome, TaskKind, TaskSpec

ROOT = Path(__file__).parents[3]
SIZE = 16 << 20
LONG_S = 120.0


def a_cluster(workers: int = 4, setup: Setup | None = None) -> Cluster:
    cluster = Cluster(setup or Setup())
    for number in range(workers):
        cluster.add_worker(f"w{number}")
    cluster.wait_for_workers()
    return cluster


def a_task_each(cluster: Cluster) -> list[TaskSpec]:
    file, _ = cluster.client.local_file("big", SIZE)
    tasks = [
        cluster.client.task(command="true", inputs=(Mount(file, "in"),), features=(name,)) for name in cluster.workers
    ]
    cluster.client.submit(*tasks)
    return tasks


def outcomes(cluster: Cluster) -> list[Outcome]:
    return [result.outcome for result in cluster.client.results.values()]


def finish(cluster: Cluster, tasks: int) -> None:
    assert cluster.run(lambda: len(cluster.client.results) == tasks, LONG_S), outcomes(cluster)
    check(cluster.manager.scheduler.state)
    for worker in cluster.workers.values():
        if worker.place.machine.alive:
            worker.core.check()


@pytest.mark.parametrize("spread", Spread)
def test_a_file_comes_to_all_workers_and_their_tasks_run(spread: Spread) -> None:
    cluster = a_cluster(setup=Setup(spread=spread))
    a_task_each(cluster)
    finish(cluster, 4)
    assert outcomes(cluster) == [Outcome.SUCCESS] * 4
    assert {result.worker_id for result in cluster.client.results.values()} == set(cluster.workers)
    sent = cluster.manager.node.sent_bytes()
    assert sent == {Spread.FOREST: 1, Spread.CHAIN: 1, Spread.WHOLE_FILE: 3, Spread.ONE_SOURCE: 4}[spread] * SIZE


def test_messages_survive_the_true_codec() -> None:
    plain, encoded = a_cluster(), a_cluster(setup=Setup(control=Control(encoded=True)))
    for cluster in (plain, encoded):
        a_task_each(cluster)
        finish(cluster, 4)
    assert plain.trace.digest() == encoded.trace.digest()


def test_control_messages_that_are_weighed_cost_time() -> None:
    times = []
    for control in (Control(), Control(weighed=True)):
        cluster = a_cluster(setup=Setup(speeds=Speeds(up=1e6, down=1e6), control=control))
        a_task_each(cluster)
        finish(cluster, 4)
        times.append(cluster.clock.now())
    assert times[0] < times[1] < 1.1 * times[0]


def test_tasks_of_a_killed_worker_run_elsewhere() -> None:
    cluster = a_cluster(2, Setup(bodies=lambda assignment: Body(run_s=5.0)))
    cluster.client.submit(*(cluster.client.task(command="true") for _ in range(2)))
    cluster.clock.after(1.0, lambda: cluster.kill("w0"))
    finish(cluster, 2)
    assert outcomes(cluster) == [Outcome.SUCCESS] * 2
    assert {result.worker_id for result in cluster.client.results.values()} == {"w1"}
    # The other one is idle, so nobody waits until the silent one is lost.
    assert config.worker_suspected_after_s + 5.0 < cluster.clock.now() < config.worker_lost_after_s


def test_a_worker_that_dies_in_a_broadcast_does_not_keep_the_file_from_the_others() -> None:
    cluster = a_cluster(8)
    tasks = a_task_each(cluster)
    cluster.clock.after(0.01, lambda: cluster.kill("w0"))
    others = {task.task_id for task in tasks[1:]}
    assert cluster.run(lambda: others <= cluster.client.results.keys(), LONG_S)
    assert {cluster.client.results[task].outcome for task in others} == {Outcome.SUCCESS}


def test_calls_run_on_hosts_and_what_one_makes_another_can_read() -> None:
    def bodies(assignment: Assignment) -> Body:
        return Body(run_s=0.1, value=b"value", output_bytes={"out": SIZE})

    cluster = a_cluster(2, Setup(bodies=bodies))
    client = cluster.client
    function = client.buffer(b"function")
    made = client.declare(FileKind.TEMP)
    first = client.task(kind=TaskKind.CALL, function=function, outputs=(Mount(made, "out"),), features=("w0",))
    second = client.task(kind=TaskKind.CALL, function=function, inputs=(Mount(made, "in"),), features=("w1",))
    client.submit(first, second)
    finish(cluster, 2)
    assert outcomes(cluster) == [Outcome.SUCCESS] * 2
    assert [client.results[task.task_id].value for task in (first, second)] == [b"value"] * 2
    assert cluster.workers["w0"].node.sent_bytes() == SIZE


def test_an_archive_is_unpacked_on_its_worker() -> None:
    cluster = a_cluster(1, Setup(speeds=Speeds(unpacking=1e6), unpacked_bytes=lambda packed: 2 * packed))
    client = cluster.client
    packed, _ = client.local_file("environment", 1_000_000)
    tree = client.declare(FileKind.UNTAR, source=packed)
    client.submit(client.task(command="true", environment=tree))
    finish(cluster, 1)
    assert outcomes(cluster) == [Outcome.SUCCESS]
    assert cluster.clock.now() > 2.0


def test_a_task_over_its_time_limit_is_killed() -> None:
    cluster = a_cluster(1, Setup(bodies=lambda assignment: Body(run_s=60.0)))
    cluster.client.submit(cluster.client.task(command="sleep 60", time_limit_s=2.0))
    finish(cluster, 1)
    assert outcomes(cluster) == [Outcome.TIME_LIMIT]
    assert 2.0 < cluster.clock.now() < 3.0


def test_a_run_that_is_stopped_tells_everybody() -> None:
    cluster = a_cluster(2)
    cluster.manager.stop("it is enough")
    assert cluster.run(lambda: all(worker.ended for worker in cluster.workers.values()), LONG_S)
    assert cluster.manager.end_reason == "it is enough"


def test_a_node_can_do_otherwise_than_the_others() -> None:
    cluster = Cluster(Setup(bodies=lambda assignment: Body(run_s=1.0)))
    cluster.add_worker("w0")
    cluster.add_worker("w1", bodies=lambda assignment: Body(run_s=9.0))
    cluster.wait_for_workers()
    tasks = [cluster.client.task(command="true", features=(name,)) for name in cluster.workers]
    cluster.client.submit(*tasks)
    finish(cluster, 2)
    assert [round(cluster.client.results[task.task_id].times.run_s, 3) for task in tasks] == [1.0, 9.0]


def test_an_archive_is_unpacked_while_it_arrives_or_when_it_is_here() -> None:
    ends = []
    for ahead in (True, False):
        speeds = Speeds(up=16e6, down=16e6, unpacking=48e6)  # About as long to unpack as to come.
        cluster = a_cluster(1, Setup(speeds=speeds, unpacks_ahead=ahead))
        packed, key = cluster.client.local_file("environment", SIZE)
        tree = cluster.client.declare(FileKind.UNTAR, source=packed)
        start_s = cluster.clock.now()
        cluster.client.submit(cluster.client.task(command="true", environment=tree))
        finish(cluster, 1)
        (worker,) = cluster.workers.values()
        (unpacked_s,) = worker.unpacked_s.values()
        assert unpacked_s >= worker.fetched_s[key]
        ends.append(unpacked_s - start_s)
    assert ends[0] < 0.65 * ends[1]


def test_workers_may_say_seldom_that_they_are_here() -> None:
    setup = Setup(heartbeat_after_s=lambda now: 60.0, worker_lost_after_s=200.0, bodies=lambda _: Body(run_s=500.0))
    cluster = a_cluster(2, setup)
    cluster.client.submit(cluster.client.task(command="true"))
    assert cluster.run(lambda: len(cluster.client.results) == 1, 1000.0)
    assert outcomes(cluster) == [Outcome.SUCCESS]
    assert next(iter(cluster.client.results.values())).attempts == 1


# --- one seed, one run ---------------------------------------------------------------------------


def digest_of_a_run(seed: int) -> str:
    """A broadcast to eight workers, one of which dies, and some calls."""
    cluster = a_cluster(8, Setup(seed=seed, bodies=lambda assignment: Body(run_s=0.05, value=b"v")))
    tasks = a_task_each(cluster)
    function = cluster.client.buffer(b"function")
    cluster.client.submit(*(cluster.client.task(kind=TaskKind.CALL, function=function) for _ in range(40)))
    cluster.clock.after(0.01, lambda: cluster.kill("w3"))
    wanted: set[TaskId] = {task.task_id for task in tasks if task.features != ("w3",)}
    assert cluster.run(lambda: wanted <= cluster.client.results.keys(), LONG_S)
    return cluster.trace.digest()


def test_a_seed_gives_the_same_run_in_every_process() -> None:
    here = digest_of_a_run(1)
    assert digest_of_a_run(1) == here
    program = "from tests.benchmarks.simulator.test_cluster import digest_of_a_run as d; print(d(1))"
    path = os.pathsep.join(str(ROOT / folder) for folder in ("", "workers", "factory"))
    for hash_seed in ("1", "77"):
        variables = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": hash_seed}
        there = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True)
        assert there.stdout.strip() == here, there.stderr


def test_another_seed_gives_another_run() -> None:
    assert digest_of_a_run(1) != digest_of_a_run(2)


def test_the_trace_tells_what_was_said_and_what_came() -> None:
    cluster = a_cluster(1, replace(Setup(), keep_trace=True))
    a_task_each(cluster)
    finish(cluster, 1)
    lines = cluster.trace.lines
    assert lines is not None
    assert sum("w0 chunk" in line for line in lines) == SIZE // config.chunk_bytes_small
    assert any("manager says FetchObject peer-w0" in line for line in lines)
