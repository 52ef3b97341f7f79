"""Which executors of Parsl are compared, each with two slots on this machine?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parsl.executors import HighThroughputExecutor, ThreadPoolExecutor
from parsl.providers import LocalProvider

from vine.parsl import FactoryConfig, VineExecutor

SLOTS = 2


def threads() -> Any:
    """What Parsl itself takes for an app, and nothing else: its apps run in this process."""
    return ThreadPoolExecutor(label="threads", max_threads=SLOTS)


def htex() -> Any:
    """As it comes, encrypted, with one local block."""
    return HighThroughputExecutor(
        label="htex",
        address="127.0.0.1",
        max_workers_per_node=SLOTS,
        cores_per_worker=1,
        provider=LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1),
    )


def on_vine() -> Any:
    """As it comes, encrypted and with its journal, with one local worker."""
    return VineExecutor(label="vine", factory_config=FactoryConfig(cores=SLOTS))


EXECUTORS: dict[str, Callable[[], Any]] = {"vine": on_vine, "htex": htex, "threads": threads}
