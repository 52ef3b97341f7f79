"""What can a task be given or make: files as their users hold them, and their way from the client into the run."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from vine import config, errors
from vine.client.session import Session
from vine.names import FileId
from vine.urls import checked_url, label_of
from vine.wire.messages import FileBound, FileUnreadable, ForgetFiles
from vine.wire.parts import CacheLevel, FileKind, FileSpec, Manifest, Signature

if TYPE_CHECKING:
    from vine.client.shared import Shared

CACHE_LEVELS: dict[str | bool, CacheLevel] = {
    False: CacheLevel.TASK,
    True: CacheLevel.WORKFLOW,
    **{level.value: level for level in CacheLevel},
}


def cache_level(cache: str | bool) -> CacheLevel:
    try:
        return CACHE_LEVELS[cache]
    except (KeyError, TypeError):
        names = ", ".join(repr(level.value) for level in CacheLevel)
        raise errors.UsageError(f"cache={cache!r} is no cache level: use one of {names}") from None


class File:
    """A declared file: give it to tasks as an input or an output. Made by `Manager.declare_...` only."""

    def __init__(self, session: Session, spec: FileSpec, local: str | None = None) -> None:
        self._session = session
        self._spec = spec
        self._local = local  # where a small buffer's content is put, should anybody ask for a path

    @property
    def file_id(self) -> FileId:
        return self._spec.file_id

    @property
    def kind(self) -> FileKind:
        return self._spec.kind

    @property
    def label(self) -> str:
        """What messages call it."""
        return self._spec.label

    @property
    def local_path(self) -> str | None:
        """Where it was declared to be here."""
        return self._spec.path if self._spec.exists else None

    @property
    def is_folder(self) -> bool:
        """Whether it was declared as one that is here."""
        return self._spec.exists and self._spec.path is not None and os.path.isdir(self._spec.path)

    def belongs_to(self, session: Session) -> bool:
        return self._session is session

    def path(self, timeout: float | None = None) -> Path:
        """Where its content lies for this process to read, brought from a worker if need be."""
        if self._spec.data is not None and self._local is not None:
            Path(self._local).write_bytes(self._spec.data)  # The manager has it in an envelope, and no file of it.
            return Path(self._local)
        brought = self._session.bring(self.file_id, timeout)
        if brought.path is None:
            raise errors.TaskFailed(brought.message or f"{self.label} cannot be had: no task has made it")
        return Path(brought.path)

    def contents(self, load: Callable[[bytes], Any] | None = None, timeout: float | None = None) -> Any:
        """Its bytes, or what `load` makes of them."""
        path = self.path(timeout)
        if path.is_dir():
            raise errors.UsageError(f"{self.label} is a directory: use its path(), which is {path}")
        data = path.read_bytes()
        return data if load is None else load(data)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a vine.File is no argument: name it in inputs={name: file} or add_input, and pass that name")

    def __repr__(self) -> str:
        return f"<vine.File {self.kind.value} {self.label!r}>"


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:  # Bytes that Python could not decode; they cannot travel.
        return False
    return True


class Stager:
    """Threads that write, hash and pack what has been declared, and then tell the manager what it is."""

    def __init__(self, session: Session, staging_dir: str) -> None:
        self._session = session
        self._staging_dir = staging_dir
        self._jobs: deque[tuple[FileSpec, int, Callable[[], None]]] = deque()
        self._changed = threading.Condition()
        self._bytes = 0
        self._threads = 0
        self._idle = 0
        self._closed = False

    def staged_path(self, file_id: FileId, name: str = "buffer") -> str:
        return os.path.join(self._staging_dir, f"{name}-{file_id:x}")

    @property
    def folder(self) -> str:
        return self._staging_dir

    def stage_written(self, spec: FileSpec, used_once: bool = False) -> None:
        """Hash an already declared buffer that lies in its file; one `used_once` is forgotten then."""
        self._put(spec, 0, lambda: self._bind_written(spec, used_once))

    def stage_path(self, spec: FileSpec) -> None:
        """Hash the local file or directory of an already declared file."""
        self._put(spec, 0, lambda: self._bind_path(spec))

    def stage_bytes(self, spec: FileSpec, data: bytes, used_once: bool = False) -> None:
        """Write and hash the data of an already declared buffer; one `used_once` is forgotten then."""
        self._put(spec, len(data), lambda: self._bind_bytes(spec, data, used_once))

    def stage_made(self, spec: FileSpec, make: Callable[[], None]) -> None:
        """Make the file of an already declared path, then hash it."""

        def make_and_bind() -> None:
            make()
            self._bind_path(spec)

        self._put(spec, 0, make_and_bind)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._jobs.clear()
            self._changed.notify_all()

    def _put(self, spec: FileSpec, size_bytes: int, job: Callable[[], None]) -> None:
        with self._changed:
            while self._bytes > config.unstaged_bytes_max and not self._closed:
                self._changed.wait()
            self._bytes += size_bytes
            self._jobs.append((spec, size_bytes, job))
            if not self._idle and self._threads < config.staging_threads:
                self._threads += 1
                threading.Thread(target=self._work, name="vine-client-staging", daemon=True).start()
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                while not self._jobs and not self._closed:
                    self._changed.wait()
                self._idle -= 1
                if self._closed:
                    return
                spec, size_bytes, job = self._jobs.popleft()
            try:
                job()
            except Exception as error:  # noqa: BLE001 - packing and reading fail in many ways, all the user's to hear
                message = str(error) if isinstance(error, errors.VineError) else f"{type(error).__name__}: {error}"
                self._session.say(FileUnreadable(spec.file_id, " ".join(message.split())[: config.text_chars_max]))
            with self._changed:
                self._bytes -= size_bytes
                self._changed.notify_all()

    def _bind_path(self, spec: FileSpec) -> None:
        from vine.content.hashing import manifest_of_file, manifest_of_tree

        assert spec.path is not None
        signature: Signature | None = None
        if os.path.isdir(spec.path):
            manifest = manifest_of_tree(Path(spec.path))
        else:
            manifest, signature = manifest_of_file(Path(spec.path))
        self._bind(spec, manifest, signature)

    def _bind_bytes(self, spec: FileSpec, data: bytes, used_once: bool) -> None:
        from vine.content.hashing import manifest_of_bytes

        assert spec.path is not None
        with open(spec.path, "xb") as file:
            file.write(data)
        self._bind(spec, manifest_of_bytes(data), None)
        if used_once:
            self._session.say(ForgetFiles((spec.file_id,)))

    def _bind_written(self, spec: FileSpec, used_once: bool) -> None:
        from vine.content.hashing import manifest_of_file

        assert spec.path is not None
        self._bind(spec, manifest_of_file(Path(spec.path))[0], None)
        if used_once:
            self._session.say(ForgetFiles((spec.file_id,)))

    def _bind(self, spec: FileSpec, manifest: Manifest, signature: Signature | None) -> None:
        from vine.content.manifest import object_id

        assert spec.path is not None
        self._session.say(FileBound(spec.file_id, object_id(manifest), manifest, spec.path, signature))


class Declarer:
    """Declares files to one session: the one place where file specifications are made."""

    def __init__(self, session: Session, stager: Stager) -> None:
        self._session = session
        self._stager = stager

    def path(self, path: str | os.PathLike[str], cache: str | bool, peer_transfer: bool) -> File:
        full = os.path.abspath(os.fspath(path))
        if len(full) > config.path_chars_max or "\0" in full or not _is_text(full):
            raise errors.UsageError(f"the path {full[:80]!r} is too long, or not valid UTF-8: use another name")
        exists = os.path.lexists(full)
        spec = FileSpec(
            self._session.number_file(),
            FileKind.LOCAL,
            cache_level(cache),
            full,
            path=full,
            peer_transfer=peer_transfer,
            exists=exists,
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
        spec = FileSpec(self._session.number_file(), kind, cache_level(cache), kind.value, peer_transfer=peer_transfer)
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
            peer_transfer=peer_transfer,
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
            peer_transfer=peer_transfer,
        )
        self._session.declare(spec)
        return spec

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
            peer_transfer=peer_transfer,
        )
