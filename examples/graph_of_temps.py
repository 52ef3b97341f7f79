"""A graph of tasks whose files never come here: python examples/graph_of_temps.py

A numbers file is made on a worker by a mini-task, split, squared in parallel and merged pair by pair. All of it lies
on workers, goes from one to the other, and is made again if one of them is lost; the last sum alone is fetched.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import vine


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Sum squares by a tree of temporary files.")
    parser.add_argument("--numbers", type=int, default=100_000)
    parser.add_argument("--parts", type=int, default=8)
    parser.add_argument("--folder", type=Path, default=Path("graph"), help="where the run's logs are put")
    given = parser.parse_args(argv)
    with (
        vine.Manager(run_info_path=given.folder / "vine-run-info") as manager,
        vine.Executor(manager, workers=2, cores=1),
    ):
        numbers = manager.declare_minitask(vine.Task(f"seq {given.numbers} > numbers"), "numbers")

        def make(command: str, **inputs: vine.File) -> vine.File:
            """The file that the command leaves at `out`."""
            made = manager.declare_temp()
            task = vine.Task(command, inputs={file: name for name, file in inputs.items()}, outputs={made: "out"})
            manager.submit(task)
            return made

        level = [
            make(f"awk 'NR % {given.parts} == {part} {{sum += $1 * $1}} END {{printf \"%.0f\\n\", sum}}' numbers > out",
                 numbers=numbers)
            for part in range(given.parts)
        ]  # fmt: skip
        while len(level) > 1:
            pairs = zip(level[::2], level[1::2], strict=False)
            merged = [make("echo $(($(cat left) + $(cat right))) > out", left=a, right=b) for a, b in pairs]
            level = merged + level[len(merged) * 2 :]
        while (task := manager.wait()) is not None:
            if not task.successful():
                raise SystemExit(f"{task.command}: {task.error}")
        print("sum of squares:", manager.fetch_file(level[0]).decode().strip())


if __name__ == "__main__":
    main()
