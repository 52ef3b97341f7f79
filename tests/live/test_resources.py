"""Does a task get what it asks for of a worker, and no more?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import vine
from tests.live import bodies
from tests.live.helpers import GIVE_UP_S, Site, a_site, done


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with a_site(tmp_path_factory.mktemp("resources") / "site", ["w0"], "--cores", 2, "--gpus", 2) as site:
        yield site


@pytest.fixture(scope="module")
def manager(site: Site) -> Iterator[vine.Manager]:
    with site.client() as manager:
        yield manager


def test_tasks_that_run_beside_each_other_see_different_gpus(manager: vine.Manager) -> None:
    # Each says which it sees and waits for the other, so that both run at once.
    texts = [
        f"echo $CUDA_VISIBLE_DEVICES; touch {mine}; while [ ! -e {other} ]; do sleep 0.02; done; rm {other}"
        for mine, other in (("$D/a", "$D/b"), ("$D/b", "$D/a"))
    ]
    tasks = [vine.Task(text) for text in texts]
    for task in tasks:
        task.set_gpus(1)
        task.set_env_var("D", str(manager.run_directory))
    done(manager, *tasks)
    assert sorted(task.std_output for task in tasks) == ["0\n", "1\n"]


def test_a_task_is_told_what_it_was_given_and_gets_its_share_of_what_it_left_out(manager: vine.Manager) -> None:
    task = vine.Task("echo $CORES $MEMORY $DISK $GPUS $OMP_NUM_THREADS [$CUDA_VISIBLE_DEVICES]")
    task.set_cores(0.5)
    done(manager, task)
    assert task.std_output == "0.5 250 500 0 1 []\n"


def test_a_task_that_asks_for_nothing_has_the_worker_to_itself(manager: vine.Manager) -> None:
    (task,) = done(manager, vine.Task("echo $CORES $MEMORY $DISK"))
    assert task.std_output == "2 1000 2000\n"


def test_a_call_sees_its_gpu_too(manager: vine.Manager) -> None:
    executor = vine.Executor(manager).options(gpus=1, memory=100)
    seen = executor.submit(bodies.variable, "CUDA_VISIBLE_DEVICES").result(GIVE_UP_S)
    assert seen in ("0", "1")
