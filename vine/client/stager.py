"""How is what was declared read, hashed and told to the manager, while the program goes on?"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from vine import config, errors
from vine.client.session import Session
from vine.names import FileId
from vine.wire.messages import FileBound, FileUnreadable, ForgetFiles
from vine.wire.parts import FileSpec, Manifest, Signature


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
        """Make the file of an already declared path, which is nobody's to write to, then hash it."""

        def make_and_bind() -> None:
            make()
            self._bind_written(spec)

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

    def _bind_written(self, spec: FileSpec, used_once: bool = False) -> None:
        from vine.content.hashing import manifest_of_file

        assert spec.path is not None
        # Known by its content, as an archive of an environment has names and times in other runs, too.
        self._bind(spec, manifest_of_file(Path(spec.path), settled=True)[0], None)
        if used_once:
            self._session.say(ForgetFiles((spec.file_id,)))

    def _bind(self, spec: FileSpec, manifest: Manifest, signature: Signature | None) -> None:
        from vine.content.manifest import object_id

        assert spec.path is not None
        self._session.say(FileBound(spec.file_id, object_id(manifest), manifest, spec.path, signature))
