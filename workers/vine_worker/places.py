"""Where in the workspace does everything lie?"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import itertools
import logging
import os
import re
from pathlib import Path

from vine import config
from vine.content.folders import remove
from vine.content.members import UsedElsewhereError
from vine.content.store import Store
from vine.errors import UsageError
from vine.names import AttemptId, ObjectId, WorkerId
from vine.wire.parts import LibraryOrder, Resources
from vine_worker.holdings import Holdings
from vine_worker.sandbox import Sandbox
from vine_worker.spares import Spares
from vine_worker.streams import KeptStreams

_PREFIX = "vine-worker-"
_STORE = "vine-store"
_LOG_NAME_CHARS = 60  # Of a library's name, in that of its log.


class Places:
    """One worker's folder, which is made at the start and removed at the end, and the store of its host.

    All workers of one user that have the same workspace share the store; those that were given the name of
    another host have another one.
    """

    def __init__(
        self,
        base: Path,
        worker_id: WorkerId,
        logs: Path | None,
        capacity: Resources,
        host_name: str | None = None,
    ) -> None:
        self.capacity = capacity
        self.admitted = False  # The manager has welcomed the worker.
        self.folder = base / f"{_PREFIX}{worker_id}"
        try:
            base.mkdir(parents=True, exist_ok=True)
            self._lock = make_own(base, self.folder)
        except OSError as why:
            if self.folder.exists():
                raise UsageError(
                    f"a worker called {worker_id!r} runs in {base} already: name another --worker-id"
                ) from why
            raise UsageError(f"{self.folder} cannot be made ({why.strerror}): give another --workspace") from why
        try:
            self.store = open_store(base, int(capacity.disk_mb * 1_000_000), host_name)
        except BaseException:
            remove(self.folder)
            raise
        self.holdings = Holdings(self.store)
        self.spill = self._make("spill")
        self.hosts = self._make("hosts")
        self.dill = self._make("dill")
        sandboxes = self._make("sandboxes")
        self._sandbox_folder = str(sandboxes)
        self.spares = Spares(sandboxes, config.spare_sandboxes_max)
        self.logs = logs or base
        self.streams = KeptStreams(self.folder / "streams", capacity.disk_mb * 1e6, self.logs, f"{worker_id}.")
        self._worker_id = worker_id
        # Only dill itself shows through to environments that lack it, not what lies beside it here.
        dill = importlib.util.find_spec("dill")  # Importing it would take a worker's start twice as long.
        assert dill is not None and dill.origin is not None, "dill is one of our requirements"
        os.symlink(Path(dill.origin).parent, self.dill / "dill")

    def _make(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder

    def sandbox(self, attempt: AttemptId) -> Sandbox:
        return Sandbox(f"{self._sandbox_folder}/{attempt}")

    def environment(self, key: ObjectId | None) -> Path | None:
        return None if key is None else self.store.path(key)

    def host_log(self, host: int) -> Path:
        return self.logs / f"{self._worker_id}.host-{host}.log"

    def library_log(self, order: LibraryOrder) -> Path:
        """One for all that a library says here, whichever of its processes does."""
        plain = re.sub(r"[^\w.-]", "_", order.name)[:_LOG_NAME_CHARS]
        return self.logs / f"{self._worker_id}.library-{plain}-{order.number}.log"

    @property
    def log(self) -> Path:
        return self.logs / f"{self._worker_id}.log"

    def remove(self) -> None:
        # A worker that was not admitted leaves what it has found to the next one.
        self.store.leave(keep_all=not self.admitted)
        remove(self.folder)
        os.close(self._lock)


def open_store(base: Path, capacity_bytes: int, host_name: str | None) -> Store:
    """The store that is shared by this user's workers here; machines that see the same workspace have one each."""
    name = f"{_STORE}-{os.geteuid()}" + (f"-{host_name}" if host_name is not None else "")
    for number in itertools.count(1):
        with contextlib.suppress(UsedElsewhereError):
            return Store(base / (name if number == 1 else f"{name}.{number}"), capacity_bytes)
    raise AssertionError("numbers do not end")


def take_lock(folder: Path, wait: bool = False) -> int:
    """Says that the folder's worker lives; the kernel takes it back however it dies."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def make_own(base: Path, folder: Path) -> int:
    """Makes the worker's folder and returns its lock; those that killed workers left are removed."""
    for left in base.glob(f"{_PREFIX}*"):
        if not _is_ours(left):
            continue  # Not ours, or a worker that starts in this moment.
        try:
            lock = take_lock(left)
        except OSError:
            continue  # It lives, or is another user's.
        with contextlib.suppress(OSError):  # What its last program still writes is for the next worker.
            remove(left)
        os.close(lock)
    while True:
        folder.mkdir(mode=0o700)
        lock = take_lock(folder, wait=True)
        if os.fstat(lock).st_nlink:
            return lock
        os.close(lock)  # One that starts beside us had it first, took the folder for a killed worker's, and removed it.


def _is_ours(left: Path) -> bool:
    try:
        return left.lstat().st_uid == os.geteuid() and not left.is_symlink() and (left / "lock").exists()
    except FileNotFoundError:
        return False


def nearest_folder(path: Path) -> Path:
    """The path, or the next one above it that exists."""
    return path if path.exists() else nearest_folder(path.parent)


def log_folder(run_dir: Path) -> Path | None:
    """Where logs outlive the workspace: in the run's folder, if this host has it."""
    folder = run_dir / "logs"
    try:
        folder.mkdir(exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def start_logging(path: Path) -> None:
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger("vine")
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    root.propagate = False
