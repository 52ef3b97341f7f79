"""Is the executor what Parsl expects of one, and does it refuse what cannot be meant?"""

from __future__ import annotations

from typing import Any

import pytest
from parsl.errors import ConfigurationError
from parsl.executors.errors import ExecutorError
from parsl.jobs.states import JobState, JobStatus
from parsl.providers import CondorProvider, LocalProvider, SlurmProvider
from parsl.utils import RepresentationMixin

from vine import errors
from vine.client.manager import Manager
from vine.parsl import FactoryConfig, ManagerConfig, VineExecutor


class Jobs(LocalProvider):  # type: ignore[misc]  # Parsl's types are not followed
    """A provider whose jobs stand as they are told, and that notes which are cancelled."""

    def __init__(self, standing: dict[str, JobStatus]) -> None:
        super().__init__(init_blocks=1)
        self.standing = standing
        self.cancelled: list[str] = []

    def status(self, job_ids: list[str]) -> list[JobStatus]:
        return [self.standing[job_id] for job_id in job_ids]

    def cancel(self, job_ids: list[str]) -> list[bool]:
        self.cancelled += job_ids
        return [True for _ in job_ids]


class KnownBlocks:
    """What the journal would say."""

    def joined(self, block_ids: list[str]) -> set[str]:
        return {"1"}

    def by_load(self, block_ids: list[str]) -> list[str]:
        return sorted(block_ids, reverse=True)


def with_blocks(standing: dict[str, JobStatus]) -> tuple[VineExecutor, Jobs]:
    """An executor whose blocks have these jobs, of the same names."""
    executor = VineExecutor(worker_launch_method="provider", provider=(jobs := Jobs(standing)))
    executor.blocks_to_job_id = {name: name for name in standing}
    executor._status = dict(standing)
    known: Any = KnownBlocks()
    executor._blocks = known
    return executor, jobs


@pytest.mark.parametrize(
    "wrong",
    [
        {"worker_launch_method": "ssh"},
        {"function_exec_mode": "python"},
        {"provider": LocalProvider()},
        {"manager_config": ManagerConfig(autolabel_algorithm="bucketing")},
        {"worker_launch_method": "manual", "provider": LocalProvider()},
        {"factory_config": FactoryConfig(worker_options="--wall-time 9")},
        {"worker_launch_method": "provider", "factory_config": FactoryConfig(python_env="env.tar.gz")},
        {"worker_launch_method": "manual", "factory_config": FactoryConfig(factory_options={"cycle": 1})},
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        VineExecutor(**wrong)


def test_parsl_can_log_how_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RepresentationMixin, "_validate_repr", True, raising=False)
    assert "label='mine'" in repr(VineExecutor(label="mine", working_dir="there"))


def test_without_start_it_can_be_shut_down_and_takes_nothing() -> None:
    executor = VineExecutor()
    executor.shutdown()
    with pytest.raises(ExecutorError):
        executor.submit(print, {})
    with pytest.raises(ExecutorError):
        _ = executor.connection_file


@pytest.mark.parametrize(
    ("made", "address"),
    [
        ({}, "127.0.0.1"),
        ({"worker_launch_method": "manual"}, "127.0.0.1"),
        ({"worker_launch_method": "provider"}, "127.0.0.1"),
        ({"manager_config": ManagerConfig(address="10.0.0.1")}, "10.0.0.1"),
        ({"worker_launch_method": "provider", "provider": SlurmProvider()}, "by route"),
        ({"factory_config": FactoryConfig(batch_type="slurm")}, "by route"),
    ],
)
def test_it_listens_to_this_machine_alone_unless_workers_come_from_elsewhere(
    made: dict[str, Any], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vine.parsl.executor.address_by_route", lambda: "by route")
    executor = VineExecutor(**made)
    assert executor.remote_monitoring_radio.address == address


def test_without_a_route_the_address_is_to_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_route() -> str:
        raise OSError("network is unreachable")

    monkeypatch.setattr("vine.parsl.executor.address_by_route", no_route)
    with pytest.raises(ConfigurationError, match="address="):
        VineExecutor(factory_config=FactoryConfig(batch_type="slurm"))


def test_a_nodes_slots_are_known_from_its_configuration() -> None:
    method: Any = {"worker_launch_method": "provider"}
    assert VineExecutor(**method, factory_config=FactoryConfig(cores=8)).workers_per_node == 8
    assert VineExecutor(**method, provider=SlurmProvider(cores_per_node=16)).workers_per_node == 16
    assert VineExecutor(**method).workers_per_node == 1


def test_htcondor_brings_each_run_its_own_connection_file(manager: Manager) -> None:
    executor = VineExecutor(worker_launch_method="provider", provider=CondorProvider())
    executor._manager = manager
    executor._start_apps(manager)
    assert executor.provider.transfer_input_files == [str(manager.connection_file)]
    assert CondorProvider().transfer_input_files == [], "another run's jobs get none of our keys"
    command = executor._get_launch_command("3")
    assert command.startswith("chmod 600 connection.json && PARSL_WORKER_BLOCK_ID=3 vine-worker ")
    assert "--connection connection.json " in command


def test_a_job_that_ended_before_its_workers_joined_is_missing() -> None:
    ended = {"0": JobStatus(JobState.COMPLETED), "1": JobStatus(JobState.COMPLETED), "2": JobStatus(JobState.RUNNING)}
    status = with_blocks(ended)[0].status()
    assert [status[name].state for name in "012"] == [JobState.MISSING, JobState.COMPLETED, JobState.RUNNING]
    assert "none of its workers" in status["0"].message


def test_blocks_with_least_to_do_are_ended_first_and_ended_ones_not_again() -> None:
    standing = {str(number): JobStatus(JobState.RUNNING) for number in range(3)}
    executor, jobs = with_blocks({**standing, "3": JobStatus(JobState.COMPLETED)})
    assert executor.scale_in(2) == ["2", "1"]
    assert jobs.cancelled == ["2", "1"]


def test_an_error_that_ends_everything_is_remembered_for_what_is_submitted_later() -> None:
    executor = VineExecutor()
    error = executor.explained(errors.ManagerLost("gone"))
    assert executor.bad_state_is_set
    with pytest.raises(type(error)):
        executor.submit(print, {})
