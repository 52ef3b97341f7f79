"""Which environments have been packed before, by this user or beside this run, and who packs one that has not?"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from vine import config
from vine.environments.frames import Progress, remove_unfinished
from vine.environments.sources import Source
from vine.errors import UsageError


def user_folder() -> Path:
    """Where this user's packed environments are kept from run to run."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return Path(base if os.path.isabs(base) else os.path.expanduser("~/.cache")) / "vine" / "environments"


class Cache:
    """Archives by what they were packed from; beside the run they stay when the user's cache gives them up."""

    def __init__(self, beside: Path | None = None, folder: Path | None = None) -> None:
        self._beside = beside
        self._folder = folder or user_folder()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if beside is None:
                raise UsageError(f"{self._folder} cannot be made ({error.strerror}): set XDG_CACHE_HOME") from error
            self._folder = beside  # A home that cannot be written to.
            beside.mkdir(parents=True, exist_ok=True)

    def archive_of(self, source: Source, progress: Progress | None = None) -> Path:
        """The archive, packed now unless it has been before; of several packers at once one packs."""
        key = source.key()
        name = f"{key}.tar.zst"
        near = None if self._beside is None else self._beside / name
        if near is not None and near.exists():
            return near
        kept = self._folder / name
        with self._only_one(key) as alone:
            if not kept.exists():
                if alone:
                    remove_unfinished(kept)
                scratch = f"{key}.build" if alone else f"{key}.build.{os.getpid()}"
                source.pack(kept, self._folder / scratch, progress)
                self._make_room(kept)
            else:
                with contextlib.suppress(OSError):  # Of a cache that others fill.
                    os.utime(kept)
            if near is not None and near != kept:
                near.parent.mkdir(parents=True, exist_ok=True)
                link(kept, near)
                return near
        return kept

    @contextlib.contextmanager
    def _only_one(self, key: str) -> Iterator[bool]:
        """Whether others wait until this is through. Where files cannot be locked each packs in its own place."""
        lock = os.open(self._folder / f"{key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError:
                yield False
            else:
                yield True
        finally:
            os.close(lock)

    def _make_room(self, newest: Path) -> None:
        """The least recently used archives go; runs that serve one have another name of it."""
        archives = sorted(self._folder.glob("*.tar.zst"), key=lambda path: path.stat().st_mtime, reverse=True)
        kept_bytes = 0
        for path in archives:
            kept_bytes += path.stat().st_size
            if kept_bytes > config.environments_kept_bytes_max and path != newest:
                path.unlink(missing_ok=True)


def link(archive: Path, name: Path) -> None:
    """One more name of an archive, which lives as long as that name where the file system allows it."""
    coming = name.with_name(f".{name.name}.{os.getpid()}")
    coming.unlink(missing_ok=True)
    try:
        os.link(archive, coming)
    except OSError:  # On another file system, or on one without hard links.
        os.symlink(os.path.abspath(archive), coming)
    os.replace(coming, name)
    coming.unlink(missing_ok=True)  # Nothing was replaced where both were names of one file.
