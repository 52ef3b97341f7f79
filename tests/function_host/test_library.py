"""Do a library's modules, functions and context come to be in their order, and do functions find their variables?"""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dill
import pytest

from vine_function_host import library
from vine_function_host.payload import DILL, in_one
from vine_function_host.serialiser import Serialiser


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of what a test has loaded is seen by the next one."""
    import vine

    monkeypatch.setattr(library, "_variables", {})
    ours = vine.load_variable_from_library
    yield
    sys.modules["vine"] = vine
    vine.load_variable_from_library = ours


def written(folder: Path, functions: Any, context: Any = None, modules: tuple[str, ...] = ()) -> str:
    path = folder / "library"
    path.write_bytes(in_one((json.dumps(modules).encode(), DILL + dill.dumps((functions, context), recurse=True))))
    return str(path)


def test_functions_are_found_by_their_names_and_modules_are_imported_first(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "hoisted.py").write_text("import builtins\nbuiltins.hoisted = 'before the context'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    path = written(tmp_path, {"f": len}, (lambda: {"seen": __builtins__["hoisted"]}, (), {}), ("hoisted",))  # type: ignore[index]
    functions = library.load_library(path, Serialiser(None))
    assert {name: loaded.function for name, loaded in functions.items()} == {b"f": len}
    assert library.load_variable_from_library("seen") == "before the context"


def test_what_the_context_function_returns_is_the_variables(tmp_path: Path) -> None:
    library.load_library(written(tmp_path, {}, (lambda a, b: {"sum": a + b}, (1,), {"b": 2})), Serialiser(None))
    assert library.load_variable_from_library("sum") == 3
    with pytest.raises(LookupError, match="no variable 'product': its context function returned sum"):
        library.load_variable_from_library("product")


def test_functions_ask_vine_whether_or_not_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hidden:
        """An environment without vine."""

        @staticmethod
        def find_spec(name: str, *_rest: Any) -> None:
            if name == "vine":
                raise ImportError(name)

    path = written(tmp_path, {"f": len}, (lambda: {"model": 7}, (), {}))
    library.load_library(path, Serialiser(None))
    assert sys.modules["vine"].load_variable_from_library("model") == 7
    monkeypatch.delitem(sys.modules, "vine")
    monkeypatch.setattr(sys, "meta_path", [Hidden, *sys.meta_path])
    library.load_library(path, Serialiser(None))
    assert not hasattr(sys.modules["vine"], "Manager")
    assert sys.modules["vine"].load_variable_from_library("model") == 7


def test_another_package_of_that_name_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = types.ModuleType("vine")
    other.promise = "kept"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vine", other)
    library.load_library(written(tmp_path, {}, (lambda: {"model": 7}, (), {})), Serialiser(None))
    assert sys.modules["vine"].promise == "kept"
    assert sys.modules["vine"].load_variable_from_library("model") == 7
