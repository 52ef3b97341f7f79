"""Which combinations of hyperparameters are there, and which of them does a smaller sweep try?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

Value: TypeAlias = "float | str | tuple[int, ...]"
Combination: TypeAlias = "dict[str, Value]"

# 8 x 2 x 2 x 4 x 4 x 4 = 2,048, the paper's number. The first axis varies slowest.
AXES: dict[str, Sequence[Value]] = {
    "hidden_layers": ((32,), (64,), (128,), (256,), (64, 64), (128, 64), (128, 128), (256, 128)),
    "activation": ("relu", "tanh"),
    "solver": ("adam", "sgd"),
    "learning_rate": (0.001, 0.003, 0.01, 0.03),
    "weight_decay": (1e-5, 1e-4, 1e-3, 1e-2),
    "batch_size": (64, 128, 256, 512),
}
SIZE = math.prod(len(values) for values in AXES.values())

# A draw walks the grid in steps of this, modulo its size. It is odd, so that no combination comes
# twice; of all odd steps it spreads draws of 32 to 256 most evenly over each axis and pair of axes.
_STEP = 625


def combination(number: int) -> Combination:
    """The combination of this number, 0 to `SIZE` - 1."""
    if not 0 <= number < SIZE:
        raise ValueError(f"combination {number} is outside the grid of {SIZE}")
    chosen: Combination = {}
    for name, values in reversed(AXES.items()):
        number, position = divmod(number, len(values))
        chosen[name] = values[position]
    return {name: chosen[name] for name in AXES}


def draw(tasks: int) -> list[int]:
    """The numbers of `tasks` combinations spread evenly over the grid; a larger draw holds the smaller ones."""
    if not 1 <= tasks <= SIZE:
        raise ValueError(f"a sweep has 1 to {SIZE} tasks, not {tasks}")
    return [index * _STEP % SIZE for index in range(tasks)]
