"""Does what an assignment names arrive in the call's frame?"""

from __future__ import annotations

import json
from pathlib import Path

from vine.names import AttemptId, ObjectId, TaskId
from vine.wire.parts import Assignment, DependencyValue, Resources, TaskKind
from vine_function_host.frames import AT_PATH, INLINE, Call, call_frame
from vine_worker.functions.calls import CallWriter

CODE, VALUE = ObjectId("c" * 64), ObjectId("a" * 64)


def assignment(payload_object: ObjectId | None = None) -> Assignment:
    return Assignment(
        AttemptId(1, 1),
        TaskId(1),
        TaskKind.CALL,
        Resources(),
        function=CODE,
        payload=b"Pargs",
        payload_object=payload_object,
        values=(DependencyValue(TaskId(2), value=b"Pone"), DependencyValue(TaskId(3), object_id=VALUE)),
    )


def test_a_frame_holds_all_that_it_was_made_of() -> None:
    writer = CallWriter(lambda key: Path("/objects") / key)
    function, settings, blobs = writer.parts(assignment(), Path("/work"), {"A": "1"})
    call = Call(call_frame(7, function, settings, blobs))
    assert (call.number, call.function) == (7, f"/objects/{CODE}".encode())
    assert json.loads(call.settings) == {"folder": "/work", "variables": {"A": "1"}}
    assert call.blobs == [(INLINE, b"Pargs"), (INLINE, b"Pone"), (AT_PATH, f"/objects/{VALUE}".encode())]


def test_long_arguments_are_named_by_their_place() -> None:
    writer = CallWriter(lambda key: Path("/objects") / key)
    _function, _settings, blobs = writer.parts(assignment(payload_object=VALUE), None, {})
    assert blobs[0] == (AT_PATH, f"/objects/{VALUE}".encode())


def test_settings_that_differ_are_not_taken_for_each_other() -> None:
    writer = CallWriter(lambda key: Path("/objects") / key)
    settings = {
        writer.parts(assignment(), folder, variables)[1]
        for folder in (None, Path("/w"))
        for variables in ({}, {"A": "1"}, {"A": "2"}, {"B": "1"})
    }
    assert len(settings) == 8
