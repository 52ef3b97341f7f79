"""Where in the workspace does everything lie?"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import logging
import os
from pathlib import Path

from vine.content.folders import remove
from vine.content.store import Store
from vine.errors import UsageError
from vine.names import AttemptId, ObjectId, WorkerId
from vine.wire.messages import Resources
from vine_worker.holdings import Holdings
from vine_worker.sandbox import Sandbox

_PREFIX = "vine-worker-"


class Places:
    """One worker's folder: it is made at the start and removed at the end."""

    def __init__(self, base: Path, worker_id: WorkerId, logs: Path | None, capacity: Resources) -> None:
        self.capacity = capacity
        self.folder = base / f"{_PREFIX}{worker_id}"
        try:
            base.mkdir(parents=True, exist_ok=True)
            remove_abandoned(base)
            self.folder.mkdir(mode=0o700)
        except OSError as why:
            raise UsageError(f"{self.folder} cannot be made ({why.strerror}): give another --workspace") from why
        self._lock = take_lock(self.folder)
        self.store = Store(self.folder / "store", int(capacity.disk_mb * 1_000_000))
        self.holdings = Holdings(self.store)
        self.spill = self._make("spill")
        self.hosts = self._make("hosts")
        self.dill = self._make("dill")
        self._sandboxes = self._make("sandboxes")
        self.logs = logs or base
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
        return Sandbox(self._sandboxes / str(attempt))

    def environment(self, key: ObjectId | None) -> Path | None:
        return None if key is None else self.store.path(key)

    def host_log(self, host: int) -> Path:
        return self.logs / f"{self._worker_id}.host-{host}.log"

    @property
    def log(self) -> Path:
        return self.logs / f"{self._worker_id}.log"

    def remove(self) -> None:
        self.store.clear()
        self.store.close()
        remove(self.folder)
        os.close(self._lock)


def take_lock(folder: Path) -> int:
    """Says that the folder's worker lives; the kernel takes it back however it dies."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def remove_abandoned(base: Path) -> None:
    """Removes what workers left here that were killed."""
    for folder in base.glob(f"{_PREFIX}*"):
        if folder.lstat().st_uid != os.geteuid() or not (folder / "lock").exists():
            continue  # Not ours, or a worker that starts in this moment.
        try:
            lock = take_lock(folder)
        except OSError:
            continue  # It lives, or is another user's.
        with contextlib.suppress(OSError):  # What its last program still writes is for the next worker.
            remove(folder)
        os.close(lock)


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
