"""The function that trains goes where nothing of ours is."""

from __future__ import annotations

import builtins
import dis
import pickle
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import dill
import pytest

from benchmarks.mnist_sweep import network


def codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes(constant)


def test_train_names_nothing_outside_its_body_but_builtins() -> None:
    names = {
        instruction.argval
        for code in codes(network.train.__code__)
        for instruction in dis.get_instructions(code)
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    assert names, "the check sees the names that the function uses"
    assert [name for name in names if not hasattr(builtins, name)] == []


def test_a_function_by_value_is_refused_by_pickle_so_that_its_code_travels() -> None:
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(network.by_value(network.train))


def test_a_function_by_value_runs_where_its_module_is_not(tmp_path: Path) -> None:
    def double(x: int) -> int:
        return 2 * x

    sent = tmp_path / "function"
    sent.write_bytes(dill.dumps(network.by_value(double), recurse=True))
    path = Path(dill.__file__).parents[1]
    program = (
        f"import sys; sys.path.append({str(path)!r}); import dill; "
        f"print(dill.load(open({str(sent)!r}, 'rb'))(21), any(name.startswith('benchmarks') for name in sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-I", "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert ended.stdout.split() == ["42", "False"], ended.stderr
