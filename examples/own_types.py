"""Types with a serialiser of their own, whose arrays travel without a copy: python examples/own_types.py

A field of numbers holds a lock, which pickle cannot carry. Its serialiser hands over the memory of its array as it
lies: it is written from there into one file, workers pull that, and every call sees it through a map.
"""

from __future__ import annotations

import argparse
import pickle
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import vine


class Field:
    def __init__(self, values: Any) -> None:
        self.values = values
        self.lock = threading.Lock()


def dumped(field: Field) -> tuple[pickle.PickleBuffer, str, tuple[int, ...]]:
    values = np.ascontiguousarray(field.values)
    return pickle.PickleBuffer(values), values.dtype.str, values.shape


def loaded(parts: tuple[memoryview, str, tuple[int, ...]]) -> Field:
    memory, kind, shape = parts
    return Field(np.frombuffer(memory, kind).reshape(shape))


def sum_of_row(field: Field, row: int) -> tuple[float, bool]:
    """And whether the array's memory is its own, which it would be after a copy."""
    return float(field.values[row].sum()), bool(field.values.flags.owndata)


def doubled(field: Field) -> Field:
    return Field(field.values * 2)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Share an object of a type of one's own with many calls.")
    parser.add_argument("--size", type=int, default=1_000, help="rows and columns of the field")
    parser.add_argument("--folder", type=Path, default=Path("own-types"), help="where the run's logs are put")
    given = parser.parse_args(argv)
    vine.register_serialiser(Field, dumped, loaded)
    field = Field(np.arange(given.size**2, dtype=np.float64).reshape(given.size, given.size))
    with (
        vine.Manager(run_info_path=given.folder / "vine-run-info") as manager,
        vine.Executor(manager, workers=1, cores=2) as executor,
    ):
        shared = vine.share(field)
        sums, copied = zip(*executor.map(sum_of_row, [shared] * given.size, range(given.size)), strict=True)
        print(f"{given.size} rows add up to {sum(sums):.0f}; arrays that were copied: {sum(copied)}")
        result = executor.submit(doubled, shared).result()
        print(f"a {type(result).__name__} came back: it adds up to {result.values.sum():.0f}")


if __name__ == "__main__":
    main()
