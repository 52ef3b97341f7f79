"""A map over files and a reduction of what came of it: python examples/map_reduce.py [FILE ...]

Each file is counted where it is sent to. The counts stay on the workers as temporary files until one task adds them
up; only its answer comes back. With no files named, the example writes some.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import vine

COUNT = "tr -cs '[:alpha:]' '\\n' < text | tr '[:upper:]' '[:lower:]' | grep . | sort | uniq -c > counts"
ADD_UP = "cat counts-* | awk '{sum[$2] += $1} END {for (word in sum) print sum[word], word}' | sort -rn > totals"


def some_texts(folder: Path, number: int) -> list[Path]:
    words = ["vine", "leaf", "root", "grape"]
    paths = [folder / f"text-{index}" for index in range(number)]
    for index, path in enumerate(paths):
        path.write_text("".join(f"{word.title()} " * (position + index) for position, word in enumerate(words, 1)))
    return paths


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Count the words of files.")
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("map-reduce"), help="where the answer is put")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args(argv)
    given.folder.mkdir(parents=True, exist_ok=True)
    texts = given.files or some_texts(given.folder, 6)
    totals = given.folder / "totals"
    with (
        vine.Manager(run_info_path=given.folder / "vine-run-info") as manager,
        vine.Executor(manager, workers=given.workers, cores=1),
    ):
        reduction = vine.Task(ADD_UP, outputs={manager.declare_file(totals): "totals"})
        for index, path in enumerate(texts):
            counts = manager.declare_temp()
            manager.submit(vine.Task(COUNT, inputs={manager.declare_file(path): "text"}, outputs={counts: "counts"}))
            reduction.add_input(counts, f"counts-{index}")
        manager.submit(reduction)  # It runs when all that it takes is there.
        while (task := manager.wait()) is not None:
            if not task.successful():
                raise SystemExit(f"{task.command}: {task.error}")
    print("".join(totals.read_text().splitlines(keepends=True)[:4]), end="")


if __name__ == "__main__":
    main()
