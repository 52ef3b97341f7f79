"""What can be said of an executor's manager and of its workers, in the words of Parsl's TaskVine executor."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from vine.client.environments import Declarable


@dataclass
class ManagerConfig:
    """The manager, and how it runs the apps.

    port: on which workers reach it; 0 is any that is free.
    address: of the interface that it listens on, as workers reach it. None is this machine alone (127.0.0.1) where
        all workers are local, and else the interface that the default route goes by.
    project_name: what `vine-status` calls the run; None is the executor's label.
    vine_log_dir: where the run keeps its journal, logs and keys, in a folder of its own each time; None is the folder
        of the executor's label in Parsl's run directory. `vine-status` takes either.
    env_vars: environment variables of every app.
    env_pack: the software that apps run on, unless they name an `environment` themselves: whatever
        `vine.Manager.declare_environment` takes, such as the path of a tarball, or the name of a conda environment. It
        needs Parsl in it, of the version here. None is what workers have.
    max_retries: so many more tries of an app whose process died, before Parsl is told; None is without end. Parsl's own
        `retries` come on top. The loss of a worker is not counted: its apps go elsewhere.
    shared_fs: workers see this machine's files under the same paths. True: files are used where they are, by their
        full paths, and nothing is staged. False: all files are staged. None: those with absolute paths are used where
        they are if all workers run on this machine, as they do if the manager listens on no other interface.
    enable_peer_transfers: workers pull files from each other, and not from the manager alone.
    enforce_resources: an app that uses more memory or disk than its specification says is killed; else the figures
        say only how many fit on a worker.
    autocategory: apps of one name are one category, unless their specification names another.
    autolabel: an app without figures of its own has those that its category has been found to need.
    autolabel_algorithm: "max-xput" (most apps a second), "min-waste", or "max" (the most that one has used).
    wait_for_workers: no app starts before so many workers have joined.
    tune_parameters: further ones of `vine.Manager.tune`, by their names.
    """

    port: int = 0
    address: str | None = None
    project_name: str | None = None
    vine_log_dir: str | os.PathLike[str] | None = None
    env_vars: dict[str, str] | None = None
    env_pack: Declarable | None = None
    max_retries: int | None = 0
    shared_fs: bool | None = None
    enable_peer_transfers: bool = True
    enforce_resources: bool = False
    autocategory: bool = True
    autolabel: bool = False
    autolabel_algorithm: str = "max-xput"
    wait_for_workers: int | None = None
    tune_parameters: dict[str, float] | None = None


@dataclass
class FactoryConfig:
    """The workers: how many the factory keeps, and, however they are launched, how each is made.

    min_workers, max_workers: the factory keeps no fewer, and no more when there is work for them.
    workers_per_cycle: the factory asks for no more at a time; None is as many as there is work for.
    batch_type: where the factory runs them: "local", "slurm" or "htcondor".
    batch_options: further ones of the batch system, such as "--partition=main", in one text or one by one; for
        HTCondor, lines of the submit file.
    condor_requirements: an expression that HTCondor's machines must satisfy, for the factory's workers.
    cores, memory (MB), disk (MB), gpus: of each worker. None is an equal share of the machine for those of the local
        factory, and for others what the machine has.
    worker_timeout: seconds without an app after which the factory lets a worker go, as long as `min_workers` are left.
    workspace: the folder for their caches and sandboxes; None is vine-UID in the temporary folder.
    scratch_dir: the factory's folder for scripts and logs of jobs; None is one in the run's folder.
    python_env: what the factory's workers run in, which has vine in it: an environment's folder that their nodes see,
        or its archive, unpacked on each. None is the interpreter that runs this program.
    features: what all of them offer, for apps that ask for it.
    factory_options: further ones of `vine.Factory`, by their names, such as {"wall_time": 3600}.
    worker_executable: the command that a provider's job runs, as it is found there.
    worker_options: more options of that command (`vine-worker --help`); the factory's are `factory_options`.
    """

    min_workers: int = 1
    max_workers: int = 1
    workers_per_cycle: int | None = None
    batch_type: str = "local"
    batch_options: str | tuple[str, ...] | None = None
    condor_requirements: str | None = None
    cores: float | None = None
    memory: float | None = None
    disk: float | None = None
    gpus: float | None = None
    worker_timeout: float = 300.0
    workspace: str | os.PathLike[str] | None = None
    scratch_dir: str | os.PathLike[str] | None = None
    python_env: str | os.PathLike[str] | None = None
    features: tuple[str, ...] = ()
    factory_options: dict[str, Any] = field(default_factory=dict)
    worker_executable: str = "vine-worker"
    worker_options: str | None = None
