"""A broadcast that was never made, for tests of what is told of one."""

from __future__ import annotations

from typing import Any

from benchmarks.broadcast.outcome import Broadcast


def a_broadcast(**fields: Any) -> Broadcast:
    usual: dict[str, Any] = {
        "plan": "forest",
        "workers": 2,
        "size_bytes": 1_000_000,
        "seconds": 2.0,
        "bound_s": 1.0,
        "sent_bytes": {"manager": 1_000_000, "w0": 1_500_000, "w1": 0},
        "spans": {"w0": (0.1, 1.0), "w1": (0.2, 2.0)},
        "params": {"cap": 3},
    }
    return Broadcast(**{**usual, **fields})
