"""What tests of real bodies have the worker run."""

from __future__ import annotations

import pickle
from typing import Any

import dill

from vine.content.hashing import manifest_of_bytes
from vine.content.manifest import object_id
from vine.names import AttemptId, ObjectId, TaskId
from vine.wire.parts import Assignment, InlineObject, Resources, TaskKind
from vine_function_host.payload import DILL
from vine_worker.places import Places

ONE = Resources(cores=1, memory_mb=10, disk_mb=10)


def keep(places: Places, data: bytes) -> ObjectId:
    """Puts an object into the store."""
    key = object_id(manifest_of_bytes(data))
    assert not places.holdings.keep(InlineObject(key, data)).message
    return key


def function(places: Places, function: Any) -> ObjectId:
    return keep(places, DILL + dill.dumps(function, recurse=True))


def assignment(number: int, kind: TaskKind, *args: Any, **fields: Any) -> Assignment:
    if kind is not TaskKind.COMMAND:
        fields.setdefault("payload", b"P" + pickle.dumps((args, {})))
    return Assignment(AttemptId(1, number), TaskId(number), kind, ONE, **fields)
