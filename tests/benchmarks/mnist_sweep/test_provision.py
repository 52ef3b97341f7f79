"""A task on another Python than it was provided with is told from one that ran where it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.mnist_sweep.provision import elsewhere, foreign, in_place
from benchmarks.mnist_sweep.shared import Shared

WORKSPACE = Path("/tmp/vine-sweep-1")
SANDBOX = "/tmp/vine-sweep-1/worker-1/sandboxes/1.7"
SHARED = Shared(Path("/shared/environment-1"), Path("/shared/mnist"))


def test_what_its_worker_has_unpacked_is_where_a_staged_task_runs() -> None:
    assert foreign("/tmp/vine-sweep-1/vine-store-0/objects/abc", SANDBOX, WORKSPACE) is None


@pytest.mark.parametrize(
    "prefix",
    [
        "/opt/project/.venv",
        "/tmp/vine-sweep-1",
        "/tmp/vine-sweep-11/vine-store-0/objects/abc",
        "/tmp/vine-sweep-1/worker-1/hosts/1",
    ],
    ids=["the worker's own", "the folder of all workers", "another sweep's", "a folder of the worker's"],
)
def test_any_other_python_is_foreign_to_a_staged_task(prefix: str) -> None:
    why = foreign(prefix, SANDBOX, WORKSPACE)
    assert why is not None and prefix in why


def test_tasks_on_a_shared_filesystem_are_brought_nothing_and_told_where_the_digits_are() -> None:
    provision = in_place(SHARED)
    assert provision.bound == {}
    assert provision.digits == "/shared/mnist"
    assert provision.fault("/shared/environment-1", "/anywhere") is None


@pytest.mark.parametrize("prefix", ["/opt/project/.venv", "/shared/environment-2", "/shared"])
def test_any_other_python_is_not_in_place(prefix: str) -> None:
    why = elsewhere(prefix, "/anywhere", SHARED.environment)
    assert why == f"ran in {prefix}, not in place in /shared/environment-1"
