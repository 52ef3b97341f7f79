"""What was this factory told, on its command line and in its file, and what of the file has changed since?"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from vine.errors import UsageError
from vine.factory_options import LIVE, FactoryOptions, options_of
from vine.wire.codec import UNDECODABLE


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says; its options count before the file's."""

    connection: Path
    given: Mapping[str, Any] = field(default_factory=dict)  # the options that were named, as texts
    config: Path | None = None  # the file, which is read again when it changes
    dry_run: Path | None = None
    parent_fd: int | None = None

    def options(self) -> FactoryOptions:
        """All options, as they are now. UsageError where they cannot be."""
        return options_of({**self._file(), **self.given}, texts=True)

    def _file(self) -> dict[str, Any]:
        if self.config is None:
            return {}
        try:
            content = self.config.read_bytes()
        except OSError as error:
            raise UsageError(f"cannot read {self.config} ({error.strerror}): name the factory's options file") from None
        decode = msgspec.toml.decode if self.config.suffix == ".toml" else msgspec.json.decode
        try:
            return decode(content, type=dict[str, Any])
        except UNDECODABLE as error:
            raise UsageError(f"{self.config} is no table of options ({error}): mend it") from None


class WatchedOptions:
    """The options of a running factory: those of `LIVE` follow the file, the others stay."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen = self._stamp()
        self.current = settings.options()

    def changed(self) -> bool:
        """Whether the file is another than when it was last looked at."""
        stamp = self._stamp()
        is_new, self._seen = stamp != self._seen, stamp
        return is_new

    def read_again(self) -> list[str]:
        """Take over what may change; returns what changed, in words. UsageError, and nothing changed, if it is bad."""
        before, new = self.current, self._settings.options()
        names = [name for name in LIVE if getattr(new, name) != getattr(before, name)]
        self.current = msgspec.structs.replace(before, **{name: getattr(new, name) for name in names})
        fixed = [
            each.encode_name
            for each in msgspec.structs.fields(FactoryOptions)
            if each.name not in LIVE and getattr(new, each.name) != getattr(before, each.name)
        ]
        said = [f"{name.replace('_', '-')} is {getattr(new, name)} now" for name in sorted(names)]
        return [*said, *(f"{name} stays as it was until the factory is started again" for name in fixed)]

    def _stamp(self) -> tuple[int, int, int] | None:
        if self._settings.config is None:
            return None
        try:
            status = os.stat(self._settings.config)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
