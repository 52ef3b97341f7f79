"""Which stores of this machine share a folder, and which of them live?"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vine.content import folders
from vine.errors import UsageError
from vine.host import boot_id


class UsedElsewhereError(UsageError):
    """Another machine uses the folder, by a file system that both of them see."""


@contextmanager
def gate(root: Path) -> Iterator[None]:
    """Be the only one who joins or leaves the folder, which is made if it is not there."""
    while True:
        descriptor = _open_gate(root)
        try:
            _lock(root, descriptor)
            if not _is_still(root / "store.lock", descriptor):
                continue  # The last one before us has removed it.
            yield
            return
        finally:
            os.close(descriptor)


def _open_gate(root: Path) -> int:
    lock = root / "store.lock"
    while True:
        try:
            root.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                root.mkdir(mode=0o700)
            with contextlib.suppress(FileNotFoundError):  # Taken away in between by the last one who used it.
                _check_folder(root)
                return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            why = f"{root} cannot be a workspace ({error.strerror})"
            raise UsageError(f"{why}: give the worker another one") from error


def _lock(root: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        why = f"files cannot be locked in {root} ({error.strerror})"
        raise UsageError(f"{why}: give the worker a --workspace on a local disk") from error


def _check_folder(root: Path) -> None:
    status = root.lstat()
    if status.st_uid != os.geteuid() or stat.S_ISLNK(status.st_mode):
        raise UsageError(f"{root} is somebody else's; give the worker another --workspace")
    if not (root / "store.lock").exists() and (root / "objects").exists():
        raise UsageError(f"{root} has an objects/ that is not a store's: give the worker an empty --workspace")


def remove(root: Path, name: str) -> None:
    """The last one takes the folder away, at one moment for those who stand before its gate."""
    going = root.with_name(f"{root.name}.{name}.going")
    os.rename(root, going)
    _remove(going)


def remove_what_was_going(root: Path) -> None:
    """Of those that were killed while they removed the folder."""
    for left in root.parent.glob(f"{root.name}.*.going"):
        if not _is_ours(left):
            continue  # In a folder that others can write to, anything may have that name.
        try:
            descriptor = os.open(left / "store.lock", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            _remove_empty(left)
            continue
        with contextlib.suppress(BlockingIOError, FileNotFoundError):  # It lives and is at it, or was and is through.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(left)
        os.close(descriptor)


def _is_ours(left: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):  # Whoever was at it is through.
        status = left.lstat()
        return status.st_uid == os.geteuid() and stat.S_ISDIR(status.st_mode)
    return False


def _remove(going: Path) -> None:
    lock = going / "store.lock"
    for path in set(going.iterdir()) - {lock}:
        folders.remove(path)
    lock.unlink()
    _remove_empty(going)


def _remove_empty(going: Path) -> None:
    with contextlib.suppress(FileNotFoundError):  # Another one may see that it is empty, too.
        going.rmdir()


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


class Members:
    """The stores that use the folder, each with a file that it keeps locked while it lives.

    Joining and leaving are done behind the `gate`.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / "members"
        self._folder.mkdir(exist_ok=True)
        self._host = root / "boot"
        self._name = secrets.token_hex(6)
        self._lock = -1

    def join(self) -> str:
        """Be a member from now on, by the name that is returned; UsedElsewhereError if that cannot be."""
        if self.living():
            if self._host.read_text() != boot_id():
                raise UsedElsewhereError(
                    f"{self._folder.parent} is in use by another machine; give another --workspace"
                )
        else:
            self._host.write_text(boot_id())
        self._lock = os.open(self._folder / self._name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self._name

    def living(self) -> set[str]:
        """The members that live, without ourselves."""
        return {name for name in self.others() if self.lives(name)}

    def others(self) -> set[str]:
        """Whoever has come as far as to have a file, and has not left in order."""
        return set(os.listdir(self._folder)) - {self._name}

    def lives(self, name: str) -> bool:
        try:
            descriptor = os.open(self._folder / name, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def forget(self, name: str) -> None:
        """What a dead one had was given back."""
        (self._folder / name).unlink(missing_ok=True)

    def leave(self) -> None:
        self.forget(self._name)
        self.close()

    def close(self) -> None:
        """As the kernel does it for one that is killed."""
        os.close(self._lock)
