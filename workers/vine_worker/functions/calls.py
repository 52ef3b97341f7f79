"""What of an assignment goes into a call's frame?"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vine.names import ObjectId
from vine.wire.parts import Assignment, DependencyValue
from vine_function_host.frames import AT_PATH, COMMON_BYTES_MAX, COMMONS_MAX, INLINE, common_part
from vine_worker.holdings import Holdings

if TYPE_CHECKING:
    from vine_function_host.frames import Blob

    Parts = tuple[bytes, list[Blob]]


class CallWriter:
    """Says where function, arguments and values lie; remembers what is the same from call to call."""

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings
        self._settings: dict[tuple[object, ...], bytes] = {}
        self._commons: dict[tuple[object, ...], bytes] = {}
        self._moves = 0  # of what is here, since which these are remembered

    def parts(self, assignment: Assignment, folder: Path | None, variables: Mapping[str, str | None]) -> Parts:
        """What it has in common with others, and its arguments with the results that they refer to."""
        return self._common(assignment, folder, variables), self._blobs(assignment)

    def _common(self, assignment: Assignment, folder: Path | None, variables: Mapping[str, str | None]) -> bytes:
        moves = self._holdings.moves
        if self._moves != moves:
            self._moves = moves
            self._commons.clear()
        settings = self._settings_of(folder, variables)
        by_name = None if assignment.library is None else assignment.command
        key = (assignment.function, by_name, assignment.shared, settings)
        common = self._commons.get(key)
        if common is None:
            common = self._made_common(assignment, settings)
            if len(self._commons) >= COMMONS_MAX:
                self._commons.clear()
            if len(common) <= COMMON_BYTES_MAX:
                self._commons[key] = common
        return common

    def _made_common(self, assignment: Assignment, settings: bytes) -> bytes:
        assert assignment.function is not None and assignment.shared is not None, "a call has a function, and is whole"
        by_name = assignment.library is not None  # Hosts of the library have it.
        function = assignment.command.encode() if by_name else self._path(assignment.function)
        return common_part(function, settings, [self._path(object_id) for object_id in assignment.shared])

    def _settings_of(self, folder: Path | None, variables: Mapping[str, str | None]) -> bytes:
        key = (folder, *variables.items())
        settings = self._settings.get(key)
        if settings is None:
            if len(self._settings) >= COMMONS_MAX:
                self._settings.clear()
            wanted = {"folder": str(folder) if folder is not None else None, "variables": variables}
            settings = self._settings[key] = json.dumps(wanted).encode()
        return settings

    def _blobs(self, assignment: Assignment) -> list[Blob]:
        if assignment.payload_object is not None:
            payload = (AT_PATH, self._path(assignment.payload_object))
        else:
            payload = (INLINE, assignment.payload)
        return [payload, *map(self._value, assignment.values)] if assignment.values else [payload]

    def _value(self, value: DependencyValue) -> Blob:
        if value.object_id is not None:
            return AT_PATH, self._path(value.object_id)
        assert value.value is not None, "a value is inline or an object"
        return INLINE, value.value

    def _path(self, object_id: ObjectId) -> bytes:
        return os.fsencode(self._holdings.path(object_id))
