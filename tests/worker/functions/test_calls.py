"""Does what an assignment names arrive in the call's frame?"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from vine.content.hashing import manifest_of_bytes
from vine.content.manifest import object_id
from vine.content.store import Store
from vine.names import AttemptId, ObjectId, TaskId
from vine.wire.parts import Assignment, DependencyValue, LibraryOrder, Resources, TaskKind
from vine_function_host.frames import AT_PATH, COMMONS_MAX, INLINE, Call, Common, Commons, call_frame
from vine_worker.functions.calls import CallWriter
from vine_worker.holdings import Holdings


@pytest.fixture
def holdings(tmp_path: Path) -> Iterator[Holdings]:
    holdings = Holdings(Store(tmp_path / "store"))
    yield holdings
    holdings.store.leave()


@pytest.fixture
def writer(holdings: Holdings) -> CallWriter:
    return CallWriter(holdings)


def kept(holdings: Holdings, data: bytes) -> ObjectId:
    key = object_id(manifest_of_bytes(data))
    holdings.store.put_bytes(key, data)
    return key


def place(holdings: Holdings, key: ObjectId) -> bytes:
    return os.fsencode(holdings.path(key))


def assignment(function: ObjectId | None, **changes: Any) -> Assignment:
    usual = Assignment(AttemptId(1, 1), TaskId(1), TaskKind.CALL, Resources(), function=function, payload=b"Pargs")
    return msgspec.structs.replace(usual, **changes)


def common(writer: CallWriter, given: Assignment) -> Common:
    return Common(writer.parts(given, None, {})[0])


def test_a_frame_holds_all_that_it_was_made_of(holdings: Holdings, writer: CallWriter) -> None:
    code, value, shared = (kept(holdings, data) for data in (b"code", b"value", b"shared"))
    values = DependencyValue(TaskId(2), value=b"Pone"), DependencyValue(TaskId(3), object_id=value)
    part, blobs = writer.parts(assignment(code, values=values, shared=(shared,)), Path("/sandbox"), {"A": "1"})
    call = Call(call_frame(7, part, blobs), Commons())
    assert (call.number, call.common.function) == (7, place(holdings, code))
    assert json.loads(call.common.settings) == {"folder": "/sandbox", "variables": {"A": "1"}}
    assert call.common.shared == [place(holdings, shared)]
    assert call.blobs == [(INLINE, b"Pargs"), (INLINE, b"Pone"), (AT_PATH, place(holdings, value))]


def test_long_arguments_are_named_by_their_place(holdings: Holdings, writer: CallWriter) -> None:
    code, arguments = kept(holdings, b"code"), kept(holdings, b"arguments")
    _common, blobs = writer.parts(assignment(code, payload_object=arguments), None, {})
    assert blobs == [(AT_PATH, place(holdings, arguments))]


def test_what_differs_in_common_is_not_taken_for_each_other(holdings: Holdings, writer: CallWriter) -> None:
    one, other = kept(holdings, b"one"), kept(holdings, b"other")
    library = LibraryOrder(number=1, name="lib", slots=1, forks=False)
    called = {"library": library, "kind": TaskKind.LIBRARY}
    alike = [assignment(one), assignment(other), assignment(one, shared=(other,)), assignment(one, shared=(one,))]
    alike += [assignment(one, command="f", **called), assignment(one, command="g", **called)]
    parts = {
        writer.parts(given, folder, variables)[0]
        for given in alike
        for folder in (None, Path("/w"))
        for variables in ({}, {"A": "1"}, {"A": "2"}, {"B": "1"})
    }
    assert len(parts) == len(alike) * 8


def test_an_object_is_named_by_its_place_of_now(holdings: Holdings, writer: CallWriter, tmp_path: Path) -> None:
    data = b"the same bytes as a result"
    code, shared = kept(holdings, b"code"), kept(holdings, data)
    before = place(holdings, shared)
    given = assignment(code, shared=(shared,))
    assert common(writer, given).shared == [before]

    value = tmp_path / "value"
    value.write_bytes(data)
    assert holdings.post(value)[0] == shared
    assert common(writer, given).shared == [os.fsencode(value)]

    holdings.store.pin(shared)  # As what takes in the same bytes at this moment does: so it stays in the store.
    holdings.remove(shared)
    assert common(writer, given).shared == [before]
    holdings.store.unpin(shared)


def test_a_small_object_that_comes_back_as_everybodys_is_looked_for_there(
    holdings: Holdings, writer: CallWriter
) -> None:
    store = holdings.store
    code = kept(holdings, b"code")
    own = place(holdings, code)
    assert common(writer, assignment(code)).function == own

    neighbour = Store(store.root)
    neighbour.put_bytes(code, b"code")
    neighbour.rate(code, spare=True, forever=True)  # There is a copy for all from now on.
    store.remove(code)
    assert store.find(code)
    assert place(holdings, code) != own, "it lies where it did"
    assert common(writer, assignment(code)).function == place(holdings, code)
    neighbour.leave()


def test_only_what_comes_again_is_remembered(holdings: Holdings, writer: CallWriter) -> None:
    code = kept(holdings, b"code")
    for number in range(3 * COMMONS_MAX):
        writer.parts(assignment(code), Path(f"/sandboxes/{number}"), {})
    assert len(writer._commons) <= COMMONS_MAX
    assert len(writer._settings) <= COMMONS_MAX
