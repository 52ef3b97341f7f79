"""Do the examples do, on small input, what their first lines promise?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.helpers import ROOT, variables
from tests.waiting import GIVE_UP_S

EXAMPLES = {
    "quickstart": ((), ["squares: [0, 1, 4, 9, 16]", "most common: [('to', 3), ('be', 3)]", "words: 12"]),
    "map_reduce": ((), ["39 grape", "33 root", "27 leaf", "21 vine"]),
    "library_with_context": (
        ("--size", "1009", "--inferences", "12"),
        ["12 inferences add up to 13127; the model was loaded by 1 process"],
    ),
    "parsl_monte_carlo": (("--darts", "1000", "--apps", "4"), ["pi is about 3.1340"]),
    "parsl_environment": ((), ["MDCCLXXXIX, MCMLXIX, MMXXIII: by apps in the tarball"]),
    "own_types": (
        ("--size", "100"),
        [
            "100 rows add up to 49995000; arrays that were copied: 0",
            "a Field came back: it adds up to 99990000",
        ],
    ),
    "graph_of_temps": (("--numbers", "1000", "--parts", "4"), ["sum of squares: 333833500"]),
}


def test_every_example_is_run_here() -> None:
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_prints_its_answer(name: str, tmp_path: Path) -> None:
    arguments, lines = EXAMPLES[name]
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py"), "--folder", str(tmp_path), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=GIVE_UP_S, cwd=tmp_path, env=variables())
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == lines
