"""Parsl's apps in an environment that is a tarball: python examples/parsl_environment.py

The tarball is a file of the run like any other: each worker's host has it from the others, and unpacks it once.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import parsl
from parsl import python_app

from vine.parsl import FactoryConfig, ManagerConfig, VineExecutor


@python_app
def numeral(number: int) -> tuple[str, bool]:
    """The number as the Romans wrote it, by a package of the environment; and whether that is where we run."""
    import sys

    import roman

    return roman.toRoman(number), "vine" in sys.prefix


def made(tarball: Path) -> Path:
    """An environment of two packages, as one file; Parsl has to be in it in the version that the program has."""
    wanted = [f"parsl=={importlib.metadata.version('parsl')}", "roman==5.1"]
    options = [f"--requirement={requirement}" for requirement in wanted]
    vine_package = [sys.executable, "-m", "vine.environments.main"]  # the command, wherever it was installed
    subprocess.run([*vine_package, "create", *options, "--output", str(tarball)], check=True, stdout=sys.stderr)
    return tarball


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("parsl-environment"), help="where files are put")
    parser.add_argument("--tarball", type=Path, help="with parsl and roman in it (default: one is made in the folder)")
    options = parser.parse_args(argv)
    options.folder.mkdir(parents=True, exist_ok=True)
    executor = VineExecutor(
        manager_config=ManagerConfig(env_pack=options.tarball or made(options.folder / "environment.tar.zst")),
        factory_config=FactoryConfig(max_workers=2, cores=1),
    )
    with parsl.load(parsl.Config(executors=[executor], run_dir=str(options.folder / "runinfo"))):
        answers = [app.result() for app in [numeral(year) for year in (1789, 1969, 2023)]]
    where = "in the tarball" if all(inside for _, inside in answers) else "elsewhere"
    print(f"{', '.join(text for text, _ in answers)}: by apps {where}")


if __name__ == "__main__":
    main()
