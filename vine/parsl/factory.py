"""How is the factory of an executor's workers started?"""

from __future__ import annotations

from vine.client.pool import Pool, fleet
from vine.parsl.config import FactoryConfig


def start_factory(pool: Pool, config: FactoryConfig) -> None:
    """One that ends with the pool's manager; UsageError for options that cannot be."""
    few, many = fleet(None, config.min_workers, config.max_workers, needed=True)
    named = {
        "min_workers": few,
        "max_workers": many,
        "workers_per_cycle": config.workers_per_cycle,
        "batch_type": config.batch_type,
        "batch_option": config.batch_options,
        "requirements": config.condor_requirements,
        "cores": config.cores,
        "memory": config.memory,
        "disk": config.disk,
        "gpus": config.gpus,
        "idle_timeout": config.worker_timeout,
        "workspace": config.workspace,
        "worker_environment": config.python_env,
        "scratch_dir": config.scratch_dir,
        "feature": config.features,
        **config.factory_options,
    }
    pool.start_factory({name: value for name, value in named.items() if value is not None})
