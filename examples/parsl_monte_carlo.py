"""Pi by throwing darts, as a program written for Parsl: python examples/parsl_monte_carlo.py"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import parsl
from parsl import File, bash_app, python_app

from vine.parsl import FactoryConfig, VineExecutor


@python_app
def hits(seed: int, darts: int) -> int:
    """How many of so many darts hit the quarter of a circle."""
    import random

    dice = random.Random(seed)
    return sum(dice.random() ** 2 + dice.random() ** 2 < 1 for _ in range(darts))


@python_app
def written(darts: int, *counts: int, outputs: Sequence[File] = ()) -> None:
    """Writes what all of them make of pi; the counts are results of other apps."""
    with open(outputs[0], "w") as file:
        file.write(f"{4 * sum(counts) / (darts * len(counts)):.4f}\n")


@bash_app
def framed(estimate: File, outputs: Sequence[File] = ()) -> str:
    """A shell command is an app, too."""
    return f"sed 's/.*/pi is about &/' {estimate} > {outputs[0]}"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("parsl-monte-carlo"), help="where files are put")
    parser.add_argument("--darts", type=int, default=200_000, help="of each app (default %(default)s)")
    parser.add_argument("--apps", type=int, default=20, help="how many throw (default %(default)s)")
    options = parser.parse_args(argv)
    options.folder.mkdir(parents=True, exist_ok=True)
    executor = VineExecutor(factory_config=FactoryConfig(max_workers=2, cores=1))
    with parsl.load(parsl.Config(executors=[executor], run_dir=str(options.folder / "runinfo"))):
        counts = [hits(seed, options.darts) for seed in range(options.apps)]
        estimate = written(options.darts, *counts, outputs=[File(options.folder / "estimate.txt")])
        line = framed(estimate.outputs[0], outputs=[File(options.folder / "line.txt")])
        print(Path(line.outputs[0].result()).read_text().strip())


if __name__ == "__main__":
    main()
