"""A model that each worker loads once, for many inferences: python examples/library_with_context.py

The "model" is a table that takes a moment to compute. With a real one, `load_model` would read its weights from a
file. Calls run in forks of the process that has loaded it, and share its memory.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import vine


def load_model(size: int) -> dict[str, object]:
    """Runs once on each worker; what it returns, functions of the library get by name."""
    table = [(number * 2_654_435_761) % 1009 for number in range(size)]
    return {"table": table, "loaded_by": os.getpid()}


def infer(values: list[int]) -> tuple[int, int]:
    """The model's answer, and the process that has loaded it."""
    table = vine.load_variable_from_library("table")
    return sum(table[value % len(table)] for value in values), vine.load_variable_from_library("loaded_by")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Load a model once and use it often.")
    parser.add_argument("--size", type=int, default=1_000_000, help="entries of the model's table")
    parser.add_argument("--inferences", type=int, default=200)
    parser.add_argument("--folder", type=Path, default=Path("library"), help="where the run's logs are put")
    given = parser.parse_args(argv)
    with (
        vine.Manager(run_info_path=given.folder / "vine-run-info") as manager,
        vine.Executor(manager, workers=1, cores=2),
    ):
        library = manager.create_library_from_functions("model", infer, context=(load_model, [given.size], {}), slots=2)
        manager.install_library(library)
        for index in range(given.inferences):
            manager.submit(vine.FunctionCall("model", "infer", [index, index + 1]))
        answers, loaders = 0, set()
        while (call := manager.wait()) is not None:
            if not call.successful():
                raise SystemExit(f"{call}: {call.error}")
            answer, loader = call.output
            answers += answer
            loaders.add(loader)
    print(f"{given.inferences} inferences add up to {answers}; the model was loaded by {len(loaders)} process")


if __name__ == "__main__":
    main()
