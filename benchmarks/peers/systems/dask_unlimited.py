"""How do calls run on Dask distributed that is told to limit nothing: all of them go to workers at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager

from benchmarks.peers.systems import dask_distributed


def started(function: Callable[[int], int], folder: str) -> AbstractContextManager[dask_distributed.OnDask]:
    return dask_distributed.started(function, folder, saturation=math.inf)
