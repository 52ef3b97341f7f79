"""What of shared values does a host keep, and what does it load anew?"""

from __future__ import annotations

import mmap
import os
import pickle
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.function_host.running import RunningHost, value_of
from vine.client import links, serialise
from vine.client.shared import Shared
from vine_function_host import frames, values
from vine_function_host.values import SharedValues, content_of, mapped

pytestmark = pytest.mark.live


class Place:
    def __init__(self, keep: bool) -> None:
        self.keep = keep

    def __reduce__(self) -> Any:
        return links.shared_at, (0, self.keep)


def call(host: RunningHost, function: Any, shared: Shared) -> Any:
    path = host.folder / "function"
    path.write_bytes(serialise.dump(function))
    payload = (frames.INLINE, b"P" + pickle.dumps(((Place(shared.immutable),), {})))
    host.number += 1
    common = frames.common_part(os.fsencode(path), b"", [os.fsencode(shared.path)])
    host.channel.send(host.number, common, [payload])
    host.channel.flush()
    return value_of(host.answer())


def test_what_cannot_change_is_the_same_object_in_every_call(host: RunningHost) -> None:
    shared = Shared(("text", b"bytes"))
    assert call(host, id, shared) == call(host, id, shared)


def test_what_can_change_is_as_it_was_in_every_call(host: RunningHost) -> None:
    def change(value: list[int]) -> list[int]:
        value.append(len(value))
        return value

    shared = Shared([0])
    assert [call(host, change, shared) for _ in range(2)] == [[0, 1], [0, 1]]


def test_in_forks_it_is_loaded_once_and_is_as_it_was(forking: RunningHost, tmp_path: Path) -> None:
    class Noted:
        def __init__(self, notes: str) -> None:
            self.notes = notes

        def __setstate__(self, state: dict[str, Any]) -> None:
            self.__dict__.update(state)
            with open(self.notes, "a") as file:
                file.write("loaded\n")

    def change(value: Noted) -> bool:
        changed = hasattr(value, "changed")
        value.changed = True  # type: ignore[attr-defined]
        return changed

    shared = Shared(Noted(str(tmp_path / "notes")))
    assert [call(forking, change, shared) for _ in range(3)] == [False] * 3
    assert (tmp_path / "notes").read_text() == "loaded\n"


def test_all_calls_see_the_memory_of_one_map(host: RunningHost) -> None:
    def address(value: dict[str, Any]) -> tuple[int, bool]:
        return value["a"].__array_interface__["data"][0], value["a"].flags.writeable

    shared = Shared({"a": np.arange(100_000)})
    assert call(host, address, shared) == call(host, address, shared)
    assert call(host, address, shared)[1] is False


@pytest.mark.parametrize("named_anew", [True, False])
def test_the_longest_unused_values_go_and_the_latest_stays_however_large(
    named_anew: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(values, "KEPT_BYTES_MAX", 10)
    kept = SharedValues()
    paths: dict[str, bytes] = {}
    loads = []

    def value(name: str, size: int) -> None:
        path = tmp_path / name
        path.write_bytes(b"x" * size)
        told = os.fsencode(path) if named_anew else paths.setdefault(name, os.fsencode(path))
        kept.value(told, lambda content, buffers: loads.append((name, len(content))), True)

    used = [("a", 4), ("b", 4), ("a", 4), ("a", 4), ("c", 4), ("b", 4), ("large", 20), ("large", 20), ("b", 4)]
    for name, size in used:
        value(name, size)
    assert loads == [("a", 4), ("b", 4), ("c", 4), ("b", 4), ("large", 20), ("b", 4)]


def test_a_value_that_had_to_go_is_held_by_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(values, "KEPT_BYTES_MAX", 10)
    kept, gone = SharedValues(), list[weakref.ref[Any]]()

    class Value:
        """What can be looked after."""

    def load(content: Any, buffers: Any) -> Any:
        made = Value()
        gone.append(weakref.ref(made))
        return made

    for name in (b"one", b"two"):
        path = os.fsencode(tmp_path) + b"/" + name
        Path(os.fsdecode(path)).write_bytes(bytes(8))
        for _ in range(3):
            kept.value(path, load, True)
    assert [each() is None for each in gone] == [True, False]


def test_what_a_call_alone_is_given_may_be_written_to_and_its_file_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "value"
    path.write_bytes(bytes(values.MAPPED_FROM))
    content = content_of((frames.AT_PATH, os.fsencode(path)))
    assert isinstance(content, memoryview)
    content[0] = 1
    assert path.read_bytes()[0] == 0
    with pytest.raises(TypeError):
        mapped(os.fsencode(path), mmap.ACCESS_READ)[0] = 1  # type: ignore[index]


def test_small_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "value"
    path.write_bytes(b"small")
    assert mapped(os.fsencode(path), mmap.ACCESS_READ) == b"small"


def test_an_array_is_loaded_once_and_each_call_has_a_view_of_its_own(tmp_path: Path) -> None:
    shared = Shared(np.arange(100_000))
    kept, loads = SharedValues(), []
    path = os.fsencode(shared.path)

    def value(again: bool = False) -> Any:
        return kept.value(path if again else os.fsencode(shared.path), load, keep=False)

    def load(content: Any, buffers: Any) -> Any:
        loads.append(len(buffers))
        return pickle.loads(memoryview(content)[1:], buffers=buffers)

    for again in (False, True, True):
        first = value(again)
        first.shape = (100, 1000)
        first.dtype = np.uint64
    second = value(again=True)
    assert loads == [1]
    assert (second.shape, second.dtype, second.flags.writeable) == ((100_000,), np.int64, False)
    assert np.shares_memory(first, second)
    with pytest.raises(ValueError, match="read-only"):
        second[0] = 1


def test_the_map_that_was_used_last_stays_whatever_came_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    # given room for two maps, an array that is used again and again, and a value that is loaded anew each time
    monkeypatch.setattr(values, "KEPT_MAPS_MAX", 2)
    kept, loads = SharedValues(), []
    shared = [Shared(np.arange(100_000)), Shared(["changes"]), Shared(np.arange(100_001))]
    array, changing, other = (os.fsencode(each.path) for each in shared)

    def value(path: bytes) -> None:
        def load(content: Any, buffers: Any) -> Any:
            loads.append(path)
            return pickle.loads(memoryview(content)[1:], buffers=buffers)

        kept.value(path, load, keep=False)

    # when the array is used again after that value, and then another one comes
    for path in (array, array, changing, array, other, array):
        value(path)
    # then it is that value's map that has gone
    assert loads == [array, changing, other]


def test_an_array_that_a_call_could_change_is_no_fixed_one() -> None:
    for array in (np.zeros(9, [("a", "i8")]), np.array(["x", None], object)):
        array.flags.writeable = False
        assert not values.is_fixed_array(array)
    assert not values.is_fixed_array(pickle.loads(pickle.dumps(np.arange(9)))), "its memory is its own"
