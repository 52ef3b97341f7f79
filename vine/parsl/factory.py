"""How is the factory of an executor's workers started?"""

from __future__ import annotations

from vine.client.pool import Pool, factory_options, fleet
from vine.parsl.config import FactoryConfig


def start_factory(pool: Pool, config: FactoryConfig) -> None:
    """One that ends with the pool's manager; UsageError for sizes that are none."""
    few, many = fleet(None, config.min_workers, config.max_workers, needed=True)
    sizes = {
        "--cores": config.cores,
        "--memory": config.memory,
        "--disk": config.disk,
        "--gpus": config.gpus,
        "--idle-timeout": config.worker_timeout,
    }
    options = factory_options(few, many, config.batch_type, sizes, config.workspace)
    for feature in config.features:
        options += ["--feature", feature]
    pool.start_factory(options)
