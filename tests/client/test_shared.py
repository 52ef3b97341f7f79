"""Is a shared value one file, as it was when it was shared, and is it the value again where calls run?"""

from __future__ import annotations

import array
import gc
import os
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vine
from tests.client.scripted import ScriptedManager
from vine import config
from vine.client import shared
from vine.client.executor import Executor
from vine.client.manager import Manager
from vine.client.python_tasks import PythonTask
from vine.errors import NotSerialisable, UsageError
from vine.wire.messages import ForgetFiles

GIVE_UP_S = 30
LONG = config.shared_unasked_bytes_min + 1


def same(*values: Any) -> list[bool]:
    return [value is values[0] for value in values]


def identity(value: Any) -> int:
    return id(value)


def kind_and_length(value: Any) -> tuple[str, int]:
    return type(value).__name__, len(value)


def set_first(values: list[Any]) -> list[Any]:
    before = list(values)
    values[0] = "changed"
    return before


def facts(values: Any) -> tuple[float, bool, bool]:
    return float(values.sum()), values.flags.writeable, values.flags.owndata


def files_of(scripted: ScriptedManager) -> list[str]:
    return [spec.label for spec in scripted.files.values() if spec.label.startswith("shared")]


def test_it_is_the_value_as_it_was_and_one_file_for_all_calls(executor: Executor, scripted: ScriptedManager) -> None:
    values = [1, 2]
    given = vine.share(values)
    values[0] = "too late"
    futures = [executor.submit(list, given) for _ in range(3)]
    assert [future.result(GIVE_UP_S) for future in futures] == [[1, 2]] * 3
    assert files_of(scripted) == ["shared list"]


def test_nested_and_named_and_several_in_one_call_it_is_one_object(executor: Executor) -> None:
    given, other = vine.share([1]), vine.share([1])
    assert executor.submit(lambda a, b, c: [a is b["x"][0], a is c, a == c], given, {"x": (given,)}, c=other).result(
        GIVE_UP_S
    ) == [True, False, True]


def test_beside_what_needs_dill_and_futures_it_works_too(executor: Executor) -> None:
    given = vine.share((1, 2))
    length = executor.submit(len, given)
    assert executor.submit(lambda f, n, v: f(v) + n, lambda v: v[1], length, given).result(GIVE_UP_S) == 4


def test_a_python_task_and_a_chunk_of_calls_may_be_given_it(manager: Manager, executor: Executor) -> None:
    given = vine.share("abc")
    task = PythonTask(len, given)
    manager.submit(task)
    assert manager.wait(GIVE_UP_S) is task and task.output == 3
    assert list(executor.map(lambda x, v: x + len(v), [1, 2], [given, given], chunksize=2)) == [4, 5]


def test_its_file_is_forgotten_when_it_is_gone_and_not_before(executor: Executor, scripted: ScriptedManager) -> None:
    given = vine.share([1])
    executor.submit(len, given).result(GIVE_UP_S)
    assert not scripted.all(ForgetFiles)
    del given
    gc.collect()
    executor.submit(len, "something, so that it is said")
    scripted.until(lambda: scripted.all(ForgetFiles))


def test_a_value_that_dies_with_its_submission_reaches_its_call(executor: Executor) -> None:
    assert executor.submit(len, vine.share([1, 2])).result(GIVE_UP_S) == 2


def test_one_that_no_call_was_given_leaves_no_file() -> None:
    given = vine.share([1])
    path = Path(given.path)
    assert path.exists()
    del given
    gc.collect()
    assert not path.exists()


def test_one_from_before_the_run_and_one_from_another_run_are_taken_along(executor: Executor, tmp_path: Path) -> None:
    scripted = ScriptedManager(tmp_path / "other")
    with Manager(connection=scripted.connection) as manager, Executor(manager) as other:
        given = vine.share([1, 2, 3])
        assert [e.submit(len, given).result(GIVE_UP_S) for e in (executor, other)] == [3, 3]
        os.unlink(given.path)
    scripted.stop()
    missing = vine.share([1])
    os.unlink(missing.path)
    missing.path = str(tmp_path / "gone")
    with pytest.raises(UsageError, match="share it again"):
        executor.submit(len, missing)


@pytest.mark.parametrize("value", [memoryview(b"abc"), (n for n in "abc")])
def test_what_cannot_travel_is_refused_at_once(value: Any) -> None:
    with pytest.raises(NotSerialisable, match="cannot be shared"):
        vine.share([value])


def test_futures_and_shared_values_are_for_arguments_alone(executor: Executor) -> None:
    for value in (executor.submit(len, "abc"), vine.share(1)):
        with pytest.raises(NotSerialisable):
            vine.share([value])
    with pytest.raises(TypeError, match="as an argument of a call"):
        pickle.dumps(vine.share(1))


# --- memory ---


def test_memory_is_written_from_where_it_lies_and_cannot_be_written_to_there(executor: Executor) -> None:
    values = np.ones(100_000)
    given = vine.share({"values": values})
    assert given.size_bytes - values.nbytes < 1000
    total, writeable, owned = executor.submit(lambda v: facts(v["values"]), given).result(GIVE_UP_S)
    assert (total, writeable, owned) == (100_000, False, False)


def test_large_memory_is_copied_once_on_its_way_out_into_its_file(executor: Executor) -> None:
    values = np.ones(4_000_000)
    tracemalloc.start()
    try:
        futures = [executor.submit(np.sum, values), executor.submit(np.sum, vine.share(values))]
        assert [future.result(GIVE_UP_S) for future in futures] == [4_000_000] * 2
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most_bytes < values.nbytes / 4


def test_an_argument_of_a_call_alone_is_a_map_too_and_its_own_to_write_to(executor: Executor) -> None:
    values, fixed = np.ones(100_000), np.ones(100_000)
    fixed.flags.writeable = False
    assert executor.submit(facts, values).result(GIVE_UP_S) == (100_000, True, False)
    assert executor.submit(facts, fixed).result(GIVE_UP_S) == (100_000, False, False)


def test_arguments_are_as_they_were_when_they_were_submitted(executor: Executor) -> None:
    values = np.ones(100_000)
    future = executor.submit(np.sum, values)
    values[:] = 7
    assert future.result(GIVE_UP_S) == 100_000


def test_a_result_is_a_map_of_its_file_and_the_callers_own(executor: Executor) -> None:
    values = executor.submit(np.ones, 100_000).result(GIVE_UP_S)
    assert not values.flags.owndata
    values[0] = 5
    assert values.sum() == 100_004


@pytest.mark.usefixtures("nothing_registered")
def test_a_registered_serialiser_may_leave_memory_where_it_lies(executor: Executor) -> None:
    def load(memory: memoryview) -> Any:
        return array.array("d", memory.cast("d"))

    vine.register_serialiser(array.array, pickle.PickleBuffer, load)
    given = vine.share(array.array("d", range(100_000)))
    assert given.size_bytes - 800_000 < 1000
    assert executor.submit(sum, given).result(GIVE_UP_S) == sum(range(100_000))


# --- unasked ---


def test_long_bytes_and_text_are_one_file_however_many_calls_are_given_them(
    executor: Executor, scripted: ScriptedManager
) -> None:
    for value in (b"x" * LONG, "x" * LONG):
        futures = [executor.submit(kind_and_length, value) for _ in range(3)]
        futures.append(executor.submit(lambda value: kind_and_length(value), value=value))
        assert {future.result(GIVE_UP_S) for future in futures} == {(type(value).__name__, LONG)}
    assert sorted(files_of(scripted)) == ["shared bytes", "shared str"]


def test_so_are_those_of_a_partial_that_is_mapped(executor: Executor, scripted: ScriptedManager) -> None:
    import functools

    function = functools.partial(lambda value, x: len(value) + x, b"x" * LONG)
    assert list(executor.map(function, [1, 2, 3], chunksize=2)) == [LONG + 1, LONG + 2, LONG + 3]
    assert files_of(scripted) == ["shared bytes"]


def test_only_the_latest_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "shared_unasked_max", 2)
    unasked = shared.Unasked()
    values = [bytes([number]) * LONG for number in range(3)]
    files = [unasked.shared(value) for value in values]
    assert unasked.shared(values[2]) is files[2] and unasked.shared(values[1]) is files[1]
    assert unasked.shared(values[0]) is not files[0]


def test_they_are_held_by_their_bytes_too_but_for_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "shared_unasked_bytes", LONG)
    unasked = shared.Unasked()
    first, second = b"1" * LONG, b"2" * LONG
    file = unasked.shared(first)
    assert unasked.shared(first) is file
    unasked.shared(second)
    assert unasked.shared(first) is not file


# --- what cannot change ---

atoms = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()


@given(st.recursive(atoms, lambda inner: st.lists(inner).map(tuple)))
def test_atoms_and_tuples_of_them_cannot_change(value: Any) -> None:
    assert shared.is_immutable(value)


@given(
    st.recursive(atoms, lambda inner: st.lists(inner).map(tuple)),
    st.sampled_from([[], {}, set(), bytearray(), object()]),
)
def test_with_anything_else_inside_it_is_not_known(value: Any, inside: Any) -> None:
    assert not shared.is_immutable((value, (inside,)))
    assert not shared.is_immutable((0,) * 20_000)
