"""Calls, files and a shell command on two local workers, in a page: python examples/quickstart.py"""

from __future__ import annotations

import argparse
import collections
from collections.abc import Sequence
from pathlib import Path

import vine

TEXTS = {"one.txt": "to be or not to be\n", "other.txt": "to thine own self be true\n"}


def count(name: str) -> collections.Counter[str]:
    return collections.Counter(Path(name).read_text().split())


def most_common(counts: list[collections.Counter[str]]) -> list[tuple[str, int]]:
    return sum(counts, collections.Counter()).most_common(2)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("quickstart"), help="where files are put")
    folder = parser.parse_args(argv).folder
    folder.mkdir(parents=True, exist_ok=True)
    with (
        vine.Manager(run_info_path=folder / "vine-run-info") as manager,
        vine.Executor(manager, min_workers=2, cores=1) as executor,
    ):
        # Calls are futures. Functions and arguments travel as they are, and results come back.
        print("squares:", list(executor.map(lambda x: x * x, range(5))))

        # Files are declared once, and travel to the workers whose tasks need them.
        files = []
        for name, text in TEXTS.items():
            (folder / name).write_text(text)
            files.append(manager.declare_file(folder / name))
        counts = [executor.options(inputs={"text": file}).submit(count, "text") for file in files]
        print("most common:", executor.submit(most_common, counts).result())  # of futures, which stay on workers

        # A shell command runs in a sandbox of its own; its output comes back to the path that was declared.
        task = vine.Task("cat a b | wc -w > words")
        task.add_input(files[0], "a")
        task.add_input(files[1], "b")
        task.add_output(manager.declare_file(folder / "words"), "words")
        manager.submit(task)
        ended = manager.wait(timeout=60)
        assert ended is task and task.successful(), task.error
        print("words:", (folder / "words").read_text().strip())


if __name__ == "__main__":
    main()
