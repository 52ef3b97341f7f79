"""Where are files declared to a run: the one place that makes their specifications."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from vine import config, errors
from vine.client.files import File, cache_level
from vine.client.session import Session
from vine.client.stager import Stager
from vine.names import FileId
from vine.urls import checked_url, label_of
from vine.wire.parts import CacheLevel, FileKind, FileSpec, TaskSpec

if TYPE_CHECKING:
    from vine.client.shared import Shared


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:  # Bytes that Python could not decode; they cannot travel.
        return False
    return True


class Declarer:
    """Declares files to one session."""

    def __init__(self, session: Session, stager: Stager) -> None:
        self._session = session
        self._stager = stager
        self.from_peers = True  # Whether any file that is declared from now on may come from other workers.

    def path(
        self,
        path: str | os.PathLike[str],
        cache: str | bool,
        peer_transfer: bool,
        unlink: bool = False,
        exists: bool | None = None,
    ) -> File:
        """A local file; with `exists` False it is what comes to be there, and else what there is."""
        full = os.path.abspath(os.fspath(path))
        if len(full) > config.path_chars_max or "\0" in full or not _is_text(full):
            raise errors.UsageError(f"the path {full[:80]!r} is too long, or not valid UTF-8: use another name")
        if not os.path.basename(full):
            raise errors.UsageError(f"the path {full!r} has no name: name a file or a folder in it")
        if exists is None:
            exists = os.path.lexists(full)
        spec = FileSpec(
            self._session.number_file(),
            FileKind.LOCAL,
            cache_level(cache),
            full,
            path=full,
            peer_transfer=peer_transfer and self.from_peers,
            exists=exists,
            unlink=unlink,
        )
        self._session.declare(spec)
        if exists:
            self._stager.stage_path(spec)
        return File(self._session, spec)

    def buffer(
        self,
        data: bytes,
        label: str = "buffer",
        cache: str | bool = True,
        peer_transfer: bool = True,
    ) -> File:
        spec = self._buffer_spec(data, label, cache_level(cache), peer_transfer)
        self._session.declare(spec)
        if spec.data is None:
            self._stager.stage_bytes(spec, data)
        return File(self._session, spec, self._stager.staged_path(spec.file_id))

    def payload(self, data: bytes, label: str, submit: Callable[[FileId], None]) -> None:
        """Declare the too long arguments of one task and have it submitted under their file's id."""
        spec = self._buffer_spec(data, label, CacheLevel.TASK, True)
        assert spec.data is None
        self._session.declare(spec)
        submit(spec.file_id)
        self._stager.stage_bytes(spec, data, used_once=True)

    def payload_of_parts(
        self, parts: Iterable[bytes | memoryview], label: str, submit: Callable[[FileId], None]
    ) -> None:
        """As `payload`; what its owner may change when this has returned is written by then."""
        spec = self._written_spec(label, CacheLevel.TASK)
        assert spec.path is not None
        with open(spec.path, "xb") as file:
            file.writelines(parts)
        self._session.declare(spec)
        submit(spec.file_id)
        self._stager.stage_written(spec, used_once=True)

    def shared(self, shared: Shared) -> FileId:
        """A shared value, for this session."""
        spec = self._written_spec(shared.label, CacheLevel.WORKFLOW)
        assert spec.path is not None
        spec = msgspec.structs.replace(spec, path=shared.put_into(self._stager.folder, spec.path))
        self._session.declare(spec)
        self._stager.stage_written(spec)
        return spec.file_id

    def temp(self, cache: str | bool, peer_transfer: bool, kind: FileKind = FileKind.TEMP) -> File:
        spec = FileSpec(
            self._session.number_file(),
            kind,
            cache_level(cache),
            kind.value,
            peer_transfer=peer_transfer and self.from_peers,
        )
        self._session.declare(spec)
        return File(self._session, spec)

    def url(self, url: str, cache: str | bool, peer_transfer: bool) -> File:
        checked = checked_url(url)
        spec = FileSpec(
            self._session.number_file(),
            FileKind.URL,
            cache_level(cache),
            label_of(checked),
            url=checked,
            peer_transfer=peer_transfer and self.from_peers,
        )
        self._session.declare(spec)
        return File(self._session, spec)

    @property
    def session(self) -> Session:
        return self._session

    def untar(self, archive: File, cache: str | bool, peer_transfer: bool) -> File:
        return File(self._session, self.untar_spec(archive, cache, peer_transfer))

    def untar_spec(self, archive: File, cache: str | bool, peer_transfer: bool) -> FileSpec:
        """Declares what an archive unpacks to."""
        if not isinstance(archive, File) or not archive.belongs_to(self._session):
            declare = "declare_url" if isinstance(archive, str) and "://" in archive else "declare_file"
            raise errors.UsageError(f"{archive!r} is no file of this manager: {declare}() the archive first")
        if archive.kind is FileKind.UNTAR:
            raise errors.UsageError(f"{archive.label} is unpacked already, and no archive: use it as it is")
        if archive.is_folder:
            raise errors.UsageError(f"{archive.label} is a folder, and no archive: use it without declare_untar()")
        spec = FileSpec(
            self._session.number_file(),
            FileKind.UNTAR,
            cache_level(cache),
            f"untar of {archive.label}"[: config.text_chars_max],
            source=archive.file_id,
            peer_transfer=peer_transfer and self.from_peers,
        )
        self._session.declare(spec)
        return spec

    def minitask(
        self, label: str, cache: str | bool, peer_transfer: bool, recipe_for: Callable[[FileId], TaskSpec]
    ) -> File:
        """What a task of its own makes, whose description is that of its file's number."""
        file_id = self._session.number_file()
        spec = FileSpec(
            file_id,
            FileKind.MINITASK,
            cache_level(cache),
            label[: config.text_chars_max],
            peer_transfer=peer_transfer and self.from_peers,
            recipe=recipe_for(file_id),
        )
        self._session.declare(spec)
        return File(self._session, spec)

    def made(self, name: str, label: str, make: Callable[[str], None], cache: str | bool) -> File:
        """A file that `make` writes into the run's staging folder, in the background."""
        file_id = self._session.number_file()
        path = self._stager.staged_path(file_id, name)
        spec = FileSpec(file_id, FileKind.LOCAL, cache_level(cache), label, path=path)
        self._session.declare(spec)
        self._stager.stage_made(spec, lambda: make(path))
        return File(self._session, spec)

    def _written_spec(self, label: str, cache: CacheLevel) -> FileSpec:
        file_id = self._session.number_file()
        path = self._stager.staged_path(file_id)
        return FileSpec(file_id, FileKind.BUFFER, cache, label[: config.text_chars_max], path=path)

    def _buffer_spec(self, data: bytes, label: str, cache: CacheLevel, peer_transfer: bool) -> FileSpec:
        file_id = self._session.number_file()
        small = len(data) <= config.inline_bytes_max
        return FileSpec(
            file_id,
            FileKind.BUFFER,
            cache,
            label[: config.text_chars_max],
            path=None if small else self._stager.staged_path(file_id),
            data=data if small else None,
            peer_transfer=peer_transfer and self.from_peers,
        )
