"""What does an attempt see of the disk: a folder of its own, its inputs linked in, its outputs taken out."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from vine import config
from vine.content.folders import remove
from vine.content.paths import fault_of_name
from vine.errors import FileMissing, UsageError
from vine.names import ObjectId
from vine.wire.parts import Assignment

_NEW_STREAM = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
_SCRATCH = "tmp"
_BLOCK_BYTES = 512  # of `st_blocks`, on every file system


class Sandbox:
    """One attempt's folder: `work` is where the body runs; its streams lie beside it, out of its names' way.

    What is done for every body takes names as text: to put paths together would cost more than the system calls.
    """

    def __init__(self, folder: str | Path) -> None:
        self.name = os.fspath(folder)
        self.work_name, self.scratch_name = f"{self.name}/work", f"{self.name}/{_SCRATCH}"

    @property
    def folder(self) -> Path:
        return Path(self.name)

    @property
    def work(self) -> Path:
        return Path(self.work_name)

    @property
    def scratch(self) -> Path:
        return Path(self.scratch_name)

    @property
    def stdout(self) -> Path:
        return Path(self.name, "stdout")

    @property
    def stderr(self) -> Path:
        return Path(self.name, "stderr")

    def make(
        self,
        assignment: Assignment,
        object_path: Callable[[ObjectId], Path],
        spare: Callable[[Sandbox], bool] = lambda sandbox: False,
    ) -> None:
        """Makes the folders, unless `spare` puts them there, and links the inputs; UsageError for bad names."""
        inputs = {mount.name: mount.object_id for mount in assignment.inputs}
        check_names(inputs, (mount.name for mount in assignment.outputs))
        if not spare(self):
            for folder in (self.name, self.work_name, self.scratch_name):
                os.mkdir(folder)
        for name, object_id in inputs.items():
            place = self.work / name
            self._make_parents(place)
            os.symlink(object_path(object_id), place)
        for mount in assignment.outputs:
            self._make_parents(self.work / mount.name)

    def _make_parents(self, place: Path) -> None:
        if place.parent != self.work:
            place.parent.mkdir(parents=True, exist_ok=True)

    def has_output(self, name: str) -> bool:
        """Whether the body has made something under this name."""
        return os.path.lexists(self.work / name)

    def take_output(self, name: str) -> Path:
        """The output as a file or folder that nobody else has; FileMissing if the body has not made it."""
        place = self.work / name
        try:
            status = os.lstat(place)
        except (FileNotFoundError, NotADirectoryError):
            raise FileMissing(f"the task made no output {name}; check that it writes to that name") from None
        borrowed = stat.S_ISLNK(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink > 1)
        # A folder on the way may have become a link.
        borrowed = borrowed or os.path.realpath(place.parent) != os.path.join(
            os.path.realpath(self.work), *name.split("/")[:-1]
        )
        if not borrowed:
            return place
        # What a link leads to belongs to somebody else: to the store, if it is an input.
        own = self.folder / "output"
        remove(own)
        if not place.exists():
            raise FileMissing(f"the task's output {name} is a link to {os.readlink(place)}, which does not exist")
        if place.is_dir():
            shutil.copytree(place, own, symlinks=True)
        elif place.is_file():
            shutil.copyfile(place, own)
        else:  # A copy of a device may have no end.
            raise FileMissing(
                f"the task's output {name} is a link to {os.path.realpath(place)}, which is neither a file nor a folder"
            )
        return own

    def open_streams(self) -> tuple[int, int]:
        """Descriptors of stdout and stderr, which are empty now; the caller closes them."""
        stdout = os.open(f"{self.name}/stdout", _NEW_STREAM, 0o666)
        try:
            return stdout, os.open(f"{self.name}/stderr", _NEW_STREAM, 0o666)
        except OSError:
            os.close(stdout)
            raise

    def read_streams(self) -> tuple[bytes, bytes, bool]:
        """The starts of stdout and stderr, and whether one of them was longer."""
        stdout, more_stdout = _start_of(f"{self.name}/stdout")
        stderr, more_stderr = _start_of(f"{self.name}/stderr")
        return stdout, stderr, more_stdout or more_stderr

    def remove_if_bare(self) -> bool:
        """Remove it, if the body has left nothing in it but its streams; else what is left stays."""
        try:
            os.rmdir(self.scratch_name)
            os.rmdir(self.work_name)
            os.unlink(f"{self.name}/stdout")
            os.unlink(f"{self.name}/stderr")
            os.rmdir(self.name)
        except OSError:
            return False
        return True

    def remove(self) -> None:
        remove(self.folder)


def check_names(inputs: Iterable[str], outputs: Iterable[str]) -> None:
    """Names must stay in the sandbox, and none may lie within an input: that would be in the store."""
    linked = set(inputs)
    for name in (*linked, *outputs):
        fault = fault_of_name(name)
        if fault is not None:
            raise UsageError(f"the name {name!r} {fault}; give files relative names inside the sandbox")
        parts = name.split("/")
        for length in range(1, len(parts)):
            if "/".join(parts[:length]) in linked:
                raise UsageError(f"{name!r} lies within the input {'/'.join(parts[:length])!r}; name it elsewhere")


def _start_of(path: str) -> tuple[bytes, bool]:
    try:
        if not os.stat(path).st_size:
            return b"", False
        with open(path, "rb") as file:
            data = file.read(config.stdio_bytes_max + 1)
    except FileNotFoundError:
        return b"", False  # A call: its host has the streams.
    return data[: config.stdio_bytes_max], len(data) > config.stdio_bytes_max


def disk_bytes(folder: Path) -> int:
    """What lies in a folder, links not followed; names of one file count once."""
    total = 0
    known: set[tuple[int, int]] = set()
    left = [os.fspath(folder)]
    while left:
        try:
            with os.scandir(left.pop()) as entries:
                for entry in entries:
                    status = entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
                    elif status.st_nlink > 1:
                        if (status.st_dev, status.st_ino) in known:
                            continue
                        known.add((status.st_dev, status.st_ino))
                    total += status.st_blocks * _BLOCK_BYTES
        except OSError:
            continue  # The body removes things meanwhile, or has closed a folder to itself.
    return total
