"""What of an assignment goes into a call's frame?"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from vine.names import ObjectId
from vine.wire.parts import Assignment, DependencyValue
from vine_function_host.frames import AT_PATH, INLINE, SHARED

if TYPE_CHECKING:
    from vine_function_host.frames import Blob

    Parts = tuple[bytes, bytes, list[Blob]]

_REMEMBERED_MAX = 1024
_encoded = lru_cache(_REMEMBERED_MAX)(os.fsencode)


class CallWriter:
    """Says where function, arguments and values lie; remembers what is the same from call to call."""

    def __init__(self, object_path: Callable[[ObjectId], Path]) -> None:
        self._object_path = object_path
        self._settings: dict[tuple[object, ...], bytes] = {}

    def parts(self, assignment: Assignment, folder: Path | None, variables: Mapping[str, str | None]) -> Parts:
        """Function, settings, and arguments with the values that they refer to."""
        assert assignment.function is not None, "a call has a function"
        if assignment.library is None:
            function = _encoded(self._object_path(assignment.function))
        else:
            function = assignment.command.encode()  # By its name: hosts of the library have it.
        return function, self._settings_of(folder, variables), self._blobs(assignment)

    def _blobs(self, assignment: Assignment) -> list[Blob]:
        if assignment.payload_object is not None:
            payload = (AT_PATH, _encoded(self._object_path(assignment.payload_object)))
        else:
            payload = (INLINE, assignment.payload)
        blobs = [payload, *map(self._value, assignment.values)]
        if assignment.shared:
            blobs += [(SHARED, _encoded(self._object_path(object_id))) for object_id in assignment.shared]
        return blobs

    def _value(self, value: DependencyValue) -> Blob:
        if value.object_id is not None:
            return AT_PATH, _encoded(self._object_path(value.object_id))
        assert value.value is not None, "a value is inline or an object"
        return INLINE, value.value

    def _settings_of(self, folder: Path | None, variables: Mapping[str, str | None]) -> bytes:
        key = (folder, *variables.items())
        settings = self._settings.get(key)
        if settings is None:
            if len(self._settings) >= _REMEMBERED_MAX:
                self._settings.clear()
            wanted = {"folder": str(folder) if folder is not None else None, "variables": variables}
            settings = self._settings[key] = json.dumps(wanted).encode()
        return settings
