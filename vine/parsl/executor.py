"""Parsl's executor whose apps run on vine: named in a Parsl configuration, nothing else of a program changes."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from parsl.addresses import address_by_route
from parsl.data_provider.staging import Staging
from parsl.errors import ConfigurationError
from parsl.executors.errors import BadStateException, ExecutorError
from parsl.executors.status_handling import BlockProviderExecutor
from parsl.jobs.states import TERMINAL_STATES, JobState, JobStatus
from parsl.monitoring.radios.base import RadioConfig
from parsl.monitoring.radios.udp import UDPRadio
from parsl.providers import CondorProvider, LocalProvider
from parsl.providers.base import ExecutionProvider
from parsl.utils import RepresentationMixin

import vine
from vine import errors
from vine.parsl.apps import AppCall, Apps
from vine.parsl.blocks import Blocks, launch_command
from vine.parsl.choice import MODES, Choice
from vine.parsl.config import FactoryConfig, ManagerConfig
from vine.parsl.errors import translated
from vine.parsl.factory import start_factory
from vine.parsl.resources import ISOLATION
from vine.parsl.serialisers import Packing
from vine.parsl.staging import FileStaging, places
from vine.wire.parts import TaskResult

LAUNCH_METHODS = ("factory", "provider", "manual")
# What would be silently ignored with any other. (Fields that have a default of their own are.)
_OF_ONE_METHOD = {
    "worker_options": "provider",
    "python_env": "factory",
    "condor_requirements": "factory",
    "factory_options": "factory",
}
_LOOPBACK = "127.0.0.1"
_NEVER_JOINED = (
    "the job is marked MISSING since none of its workers has joined the run: "
    "look at its stdout and stderr in the submit_scripts folder"
)

BlockErrorHandler = Callable[[BlockProviderExecutor, dict[str, JobStatus]], None]


class VineExecutor(BlockProviderExecutor, RepresentationMixin):  # type: ignore[misc]  # Parsl's types are not followed
    """Runs apps on vine's workers, with their files staged, cached there and shared between them.

    label: its name among the executors of a configuration.
    worker_launch_method: "factory": vine's factory keeps as many workers as the apps need, from `min_workers` to
        `max_workers` of `factory_config`. "provider": the blocks of `provider` run them, scaled by Parsl's strategy.
        "manual": you start them, by `vine-worker --connection FOLDER`, the folder being `connection_file`'s.
    function_exec_mode: "serverless": apps run one after the other in warm interpreters, one a slot. "regular": each in
        a fresh one. Apps have their own by `parsl_resource_specification={"exec_mode": ...}`.
    manager_config, factory_config: see `ManagerConfig` and `FactoryConfig`.
    provider: of blocks; None is one local block. Only for the launch method of that name.
    storage_access: Parsl's staging providers; None is its default. Whatever they leave as a file here is staged.
    working_dir: where providers of `storage_access` put files, here; None is the current folder.
    remote_monitoring_radio: how apps report to Parsl's monitoring; None is UDP to the manager's address.
    block_error_handler: as of Parsl's other executors with blocks.

    ConfigurationError is raised for what cannot be meant.
    """

    def __init__(
        self,
        label: str = "VineExecutor",
        worker_launch_method: str = "factory",
        function_exec_mode: str = "serverless",
        manager_config: ManagerConfig | None = None,
        factory_config: FactoryConfig | None = None,
        provider: ExecutionProvider | None = None,
        storage_access: list[Staging] | None = None,
        working_dir: str | None = None,
        remote_monitoring_radio: RadioConfig | None = None,
        block_error_handler: bool | BlockErrorHandler = True,
    ) -> None:
        self.manager_config = manager_config or ManagerConfig()
        self.factory_config = factory_config or FactoryConfig()
        _check(worker_launch_method, function_exec_mode, provider, self.factory_config)
        if worker_launch_method == "provider" and provider is None:
            provider = LocalProvider(init_blocks=1)
        super().__init__(provider=provider, block_error_handler=block_error_handler)
        self.label = label
        self.worker_launch_method = worker_launch_method
        self.function_exec_mode = function_exec_mode
        if self.manager_config.autolabel_algorithm not in MODES:
            raise ConfigurationError(
                f"autolabel_algorithm={self.manager_config.autolabel_algorithm!r} is none: give one of {tuple(MODES)}"
            )
        self.storage_access = storage_access
        self.working_dir = working_dir
        self._host = self._address()
        self.remote_monitoring_radio = remote_monitoring_radio or UDPRadio(address=self._host)
        self._packing = Packing()
        self._make_call = functools.partial(AppCall, self, None)  # Most calls have no files.
        self._manager: vine.Manager | None = None

    # --- for Parsl's DataFlowKernel ---

    def start(self) -> None:
        """Start manager and factory; a `vine.VineError` says why that cannot be."""
        super().start()
        config = self.manager_config
        self._manager = vine.Manager(
            port=config.port,
            name=config.project_name or self.label,
            host=self._host,
            run_info_path=config.vine_log_dir or os.path.join(self.run_dir, self.label),
            enforce_resources=config.enforce_resources,
            environment=config.env_pack,
        )
        try:
            self._start_apps(self._manager)
        except BaseException:
            self._manager.close()
            raise

    def _start_apps(self, manager: vine.Manager) -> None:
        config = self.manager_config
        if config.wait_for_workers is not None:
            manager.tune("wait-for-workers", config.wait_for_workers)
        for name, value in (config.tune_parameters or {}).items():
            manager.tune(name, value)
        self._apps = Apps(manager)
        if self.worker_launch_method == "factory":
            start_factory(self._apps.pool, self.factory_config)
        elif isinstance(self.provider, CondorProvider):
            # A list of its own: the default is one that all such providers share.
            self.provider.transfer_input_files = [*self.provider.transfer_input_files, str(manager.connection_file)]
        isolation = ISOLATION[self.function_exec_mode]
        self._choice = Choice(self._apps.options(isolation=isolation).with_all(config), config)
        spool = manager.run_directory / "streams"
        spool.mkdir()
        in_place = places(config.shared_fs, workers_are_here=_is_loopback(self._host))
        self._staging = FileStaging(manager, str(spool), in_place, config.enable_peer_transfers)
        self._blocks = Blocks(manager.run_directory)

    def submit(
        self, func: Callable[..., Any], resource_specification: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """The future of one try of an app, at once.

        InvalidResourceSpecification is raised for a figure that is none, SerializationError for what cannot travel,
        BadStateException when nothing can run any more, and ExecutorError before `start` or after `shutdown`.
        """
        if self.bad_state_is_set:
            raise self.executor_exception
        if self._manager is None or self._manager.closed:
            raise ExecutorError(self, "it is not started, or has been shut down")
        staged = None
        try:
            apps, make = self._choice.of(func, resource_specification), self._make_call
            staged = self._staging.stage(args, kwargs)
            if staged is not None:
                apps, make = apps.with_files(staged), functools.partial(AppCall, self, staged)
                args, kwargs = staged.args, staged.kwargs
            func, args, kwargs = self._packing.packed(func, args, kwargs)
            return apps.submit_app(make, func, args, kwargs)
        except BaseException as why:
            if staged is not None:
                staged.given_up()
            if isinstance(why, errors.VineError):
                raise self.explained(why) from why
            raise

    def shutdown(self) -> None:
        """End the run; apps that have not ended fail with ExecutorError. Harmless without `start`, or done twice."""
        if self._manager is not None and not self._manager.closed:
            self._apps.end(lambda: ExecutorError(self, "it was shut down before the app had ended"))
        super().shutdown()

    # --- for Parsl's scaling of blocks ---

    def outstanding(self) -> int:
        """The apps that have not ended."""
        return len(self._apps.pool.open_futures())

    @property
    def workers_per_node(self) -> int | float:
        """The apps of one core that fit on the worker of a node, as far as that is known."""
        cores = self.factory_config.cores or getattr(self.provider, "cores_per_node", None)
        if cores is None and self._manager is not None and self._manager.stats.workers:
            cores = self._manager.stats.cores / self._manager.stats.workers
        return max(1, int(cores or 1))

    def _get_launch_command(self, block_id: str) -> str:
        brought = isinstance(self.provider, CondorProvider)
        return launch_command(block_id, str(self.connection_file), self.factory_config, brought)

    def status(self) -> dict[str, JobStatus]:
        """As of the provider; jobs that have ended before any of their workers joined are missing."""
        status: dict[str, JobStatus] = super().status()
        ended = [block for block, job in status.items() if job.terminal and job.state is not JobState.SCALED_IN]
        if ended:
            for block in set(ended) - self._blocks.joined(ended):
                status[block].state = JobState.MISSING
                status[block].message = status[block].message or _NEVER_JOINED
        return status

    def scale_in(self, blocks: int) -> list[str]:
        """End so many blocks, those first that have least to do."""
        active = [block for block, job in self._status.items() if job.state not in TERMINAL_STATES]
        going = self._blocks.by_load(active)[:blocks]
        ended: Sequence[bool] = self.provider.cancel([self.blocks_to_job_id[block] for block in going])
        return [block for block, has_ended in zip(going, ended, strict=True) if has_ended]

    def set_bad_state_and_fail_all(self, exception: Exception) -> None:
        """Apps that have not ended fail now, and others when they are submitted."""
        super().set_bad_state_and_fail_all(exception)
        self._apps.pool.fail_open(lambda: BadStateException(self, exception))

    # --- for users ---

    @property
    def manager(self) -> vine.Manager:
        """The run, for what Parsl has no words for; only between `start` and `shutdown`."""
        if self._manager is None:
            raise ExecutorError(self, "it is not started: load a configuration with it first")
        return self._manager

    @property
    def connection_file(self) -> os.PathLike[str]:
        """What workers that you start yourself join by."""
        return self.manager.connection_file

    # --- for its apps ---

    def explained(self, error: BaseException, ended: TaskResult | None = None) -> BaseException:
        """The error as Parsl's users know it; one that ends all apps is remembered for those to come."""
        made = translated(error, self, ended)
        if isinstance(made, BadStateException) and not self.bad_state_is_set:
            self._executor_exception = made
            self._executor_bad_state.set()
        return made

    def _address(self) -> str:
        if self.manager_config.address is not None:
            return self.manager_config.address
        elsewhere = {
            "factory": self.factory_config.batch_type != "local",
            "provider": not isinstance(self.provider, LocalProvider),
            "manual": False,
        }
        if not elsewhere[self.worker_launch_method]:
            return _LOOPBACK
        try:
            return str(address_by_route())
        except OSError as why:
            raise ConfigurationError(
                f"no address of this machine is known for workers elsewhere ({why}): give ManagerConfig(address=...)"
            ) from why


def _is_loopback(address: str) -> bool:
    """Whether nobody can reach it from another machine."""
    return address == "localhost" or address.startswith("127.")


def _check(launch_method: str, mode: str, provider: ExecutionProvider | None, config: FactoryConfig) -> None:
    if launch_method not in LAUNCH_METHODS:
        raise ConfigurationError(f"worker_launch_method={launch_method!r} is none: give one of {LAUNCH_METHODS}")
    if mode not in ISOLATION:
        raise ConfigurationError(f"function_exec_mode={mode!r} is none: give one of {tuple(ISOLATION)}")
    if provider is not None and launch_method != "provider":
        raise ConfigurationError(
            f"a provider starts no workers with worker_launch_method={launch_method!r}: make that 'provider'"
        )
    for name, method in _OF_ONE_METHOD.items():
        if getattr(config, name) and launch_method != method:
            raise ConfigurationError(
                f"FactoryConfig({name}={getattr(config, name)!r}) means nothing to worker_launch_method="
                f"{launch_method!r}: it is for {method!r}"
            )
