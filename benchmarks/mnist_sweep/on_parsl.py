"""How does the sweep run as a program written for Parsl, with vine as its executor?"""

from __future__ import annotations

import importlib.metadata
import types
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import parsl

import vine
from benchmarks.mnist_sweep import environment
from benchmarks.mnist_sweep.options import Options
from benchmarks.mnist_sweep.packing import Packages
from benchmarks.mnist_sweep.provision import Provision, foreign
from vine.parsl import FactoryConfig, ManagerConfig, VineExecutor

_TASK_MB = 2_000  # Of memory, and of disk: the paper's tasks, which fill a worker of 16 GB with 8 of them.


def requirements() -> list[str]:
    """What apps need: the training's software, and Parsl as it is here, which reads and wraps them."""
    return [*environment.REQUIREMENTS, f"parsl=={importlib.metadata.version('parsl')}"]


@contextmanager
def calls(options: Options, workspace: Path) -> Iterator[Calls]:
    """Parsl with workers of the paper's shape: as many tasks at once on each as its cores allow, and room for those."""
    slots = options.worker_cores // options.task_cores
    executor = VineExecutor(
        manager_config=ManagerConfig(shared_fs=False, vine_log_dir=options.out / "vine-run-info"),
        factory_config=FactoryConfig(
            min_workers=options.workers,
            max_workers=options.workers,
            cores=options.worker_cores,
            memory=slots * _TASK_MB,
            disk=slots * _TASK_MB,
            workspace=workspace,
        ),
    )
    config = parsl.Config(executors=[executor], run_dir=str(options.out / "runinfo"), strategy="none", usage_tracking=0)
    with parsl.load(config) as kernel:
        yield Calls(kernel, executor)


class Calls:
    """What the sweep uses of a `vine.Executor`, by Parsl's apps."""

    def __init__(self, kernel: Any, executor: VineExecutor, specification: dict[str, Any] | None = None) -> None:
        self._kernel = kernel
        self._executor = executor
        self._specification = specification
        self._apps: dict[Callable[..., Any], Any] = {}

    @property
    def manager(self) -> vine.Manager:
        return self._executor.manager

    def provision(self, packages: Packages, workspace: Path) -> Provision:
        """The environment travels as a tarball, the dataset as a folder that Parsl is given as a file."""
        bound = {"environment": packages.environment.tarball}
        digits = parsl.File(packages.dataset.folder)
        return Provision(bound, digits, partial(foreign, workspace=workspace))

    def options(self, cores: int, **more: Any) -> Calls:
        figures = {"cores": cores, "memory": _TASK_MB, "disk": _TASK_MB}
        return Calls(self._kernel, self._executor, {**figures, **more})

    def submit(self, function: types.FunctionType, *args: Any) -> Future[Any]:
        app = self._apps.get(function)
        if app is None:
            app = self._apps[function] = parsl.python_app(_specified(function), data_flow_kernel=self._kernel)
        future: Future[Any] = app(*args, parsl_resource_specification=self._specification)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Parsl's own end, which follows, waits for nothing."""


def _specified(function: types.FunctionType) -> Callable[..., Any]:
    """Parsl hands an app its specification too."""

    def specified(*args: Any, parsl_resource_specification: Any = None) -> Any:
        return function(*args)

    specified.__name__ = specified.__qualname__ = function.__name__
    specified.__module__ = "__main__"  # It travels as code, as what it calls does.
    return specified
