"""What a function imports is found by reading: through the script's own functions and values, and modules beside it."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from vine.environments.analyze import needs_of
from vine.errors import FileMissing, UsageError

SCRIPT = """
import os, json
import msgspec as ms
from rich.console import Console as Shown
try:
    import zstandard
except ImportError:
    zstandard = None
import helpers
raise SystemExit("a script that is imported would end here")

LIMIT = ms.UNSET

class Base:
    def method(self):
        return zstandard.__version__

class Derived(Base):
    pass

def quiet(x):
    import dill
    def inner():
        return LIMIT
    return inner()

def loud():
    return Shown()

def made():
    return Derived()

def near():
    return helpers.something()

def alone(x):
    return os.path.join(json.dumps(x))

def recursive(n):
    return recursive(n - 1) if n else notthere.x

def by_call(x):
    import importlib
    return __import__("dill"), importlib.import_module("psutil"), __import__(x), x.import_module(".rich")

def spread():
    from parts import piece
    return piece

import notthere
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers" / "__init__.py").write_text("from helpers.deep import something\n")
    (tmp_path / "helpers" / "deep.py").write_text("import psutil\ndef something(): return psutil\n")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "piece.py").write_text("import msgspec\n")
    return tmp_path / "script.py"


@pytest.mark.parametrize(
    ("function", "needed"),
    [
        ("quiet", {"dill", "msgspec"}),
        ("loud", {"rich"}),
        ("made", {"zstandard"}),
        ("near", {"psutil"}),
        ("by_call", {"dill", "psutil"}),
        ("spread", {"msgspec"}),
        ("alone", set()),
    ],
)
def test_only_what_the_function_reaches_is_needed(script: Path, function: str, needed: set[str]) -> None:
    needs = needs_of(script, function)
    assert needs.pins == {name: version(name) for name in needed}
    assert needs.unknown == set()
    assert set(needs.own) == {"near": {"helpers"}, "spread": {"parts"}}.get(function, set())


def test_what_nobody_brings_is_told(script: Path) -> None:
    assert needs_of(script, "recursive").unknown == {"notthere"}


def test_a_whole_script_needs_all_that_it_imports(script: Path) -> None:
    needs = needs_of(script)
    assert set(needs.pins) == {"msgspec", "rich", "zstandard", "dill", "psutil"}
    assert needs.unknown == {"notthere"}


def test_what_cannot_be_read_is_told(script: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no function 'nothing': it has Base, Derived, quiet"):
        needs_of(script, "nothing")
    with pytest.raises(FileMissing):
        needs_of(tmp_path / "missing.py")
    (tmp_path / "bad.py").write_text("def f(:\n")
    with pytest.raises(UsageError, match="is no Python"):
        needs_of(tmp_path / "bad.py")
