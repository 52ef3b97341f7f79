"""What does a user mean by an environment, and how does that become an archive?"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR
from typing import Any, Protocol

from blake3 import blake3

from vine import config
from vine.content.folders import members_of, remove
from vine.environments import conda, poncho, requirements
from vine.environments.frames import Progress
from vine.environments.pack import pack_virtualenv
from vine.environments.virtualenv import is_virtualenv, python_of_virtualenv
from vine.errors import FileMissing, UsageError

FORMAT = "2"  # Of what we pack: archives of an earlier one are packed anew.
# What building a project leaves in its folder.
_BUILT = re.compile(r"^(build|dist|\.git)/|(^|/)(__pycache__|[^/]*\.egg-info)/")


class Source(Protocol):
    """An environment that is to be packed."""

    @property
    def label(self) -> str:
        """What messages call it."""

    @property
    def python(self) -> str | None:
        """Its Python's version up to the minor one, if that is known before it is packed."""

    def key(self) -> str:
        """The same for as long as an archive of it would be; a file's name."""

    def pack(self, out: Path, scratch: Path, progress: Progress | None) -> object:
        """Write the archive; `scratch` is a folder that does not exist, and may be left for the next packer."""


@dataclass(frozen=True, slots=True)
class Virtualenv:
    prefix: Path
    copy_interpreter: bool = False

    @property
    def label(self) -> str:
        return str(self.prefix)

    @property
    def python(self) -> str | None:
        return python_of_virtualenv(self.prefix)

    def key(self) -> str:
        return key_of("virtualenv", str(self.copy_interpreter), state_of(self.prefix))

    def pack(self, out: Path, scratch: Path, progress: Progress | None) -> object:
        return pack_virtualenv(self.prefix, out, progress, copy_interpreter=self.copy_interpreter)


@dataclass(frozen=True, slots=True)
class Conda:
    prefix: Path

    @property
    def label(self) -> str:
        return str(self.prefix)

    @property
    def python(self) -> str | None:
        return conda.python_of_conda(self.prefix)

    def key(self) -> str:
        return key_of("conda", state_of(self.prefix))

    def pack(self, out: Path, scratch: Path, progress: Progress | None) -> object:
        return conda.pack_conda(self.prefix, out, scratch, progress)


@dataclass(frozen=True, slots=True)
class Requirements:
    """Requirements as pip takes them, a line each; built for the Python that runs this."""

    lines: tuple[str, ...]
    folder: Path  # that files named in them are relative to
    label: str = "requirements"
    copy_interpreter: bool = False

    @property
    def python(self) -> str | None:
        return current_python()

    def key(self) -> str:
        named = [_version_of(path) for path in requirements.files_in(self.lines, self.folder)]
        base = sys.version, sys.base_prefix, str(self.copy_interpreter)
        return key_of("requirements", *base, *sorted(self.lines), *named)

    def pack(self, out: Path, scratch: Path, progress: Progress | None) -> object:
        # The same folder each time: some of what is installed names it.
        requirements.build(self.lines, self.folder, scratch)
        packed = pack_virtualenv(scratch, out, progress, copy_interpreter=self.copy_interpreter)
        remove(scratch)
        return packed


@dataclass(frozen=True, slots=True)
class Poncho:
    """A Poncho specification that needs conda."""

    conda: str  # what `conda env create` takes, as JSON
    label: str = "Poncho specification"
    python: str | None = None  # that it asks for

    def key(self) -> str:
        return key_of("poncho", self.conda)

    def pack(self, out: Path, scratch: Path, progress: Progress | None) -> object:
        conda.create(self.conda, scratch)
        packed = conda.pack_conda(scratch, out, scratch.with_name(scratch.name + ".copy"), progress)
        remove(scratch)
        return packed


def recognise(environment: Any, copy_interpreter: bool = False) -> Source | Path:
    """The source that is meant, or the path of an archive that is packed already.

    Takes a tarball's path; a conda environment's prefix or name; a virtual environment's prefix; a list of
    requirements, or the path of a .txt file of them; a Poncho specification, as a dict or the path of a .json file;
    or "current". UsageError or FileMissing for what is none of these.
    """
    if isinstance(environment, Mapping):
        return _of_poncho(environment, "Poncho specification", copy_interpreter)
    if not isinstance(environment, (str, os.PathLike)):
        return _of_list(environment, copy_interpreter)
    if environment == "current":
        return _current(copy_interpreter)
    path = Path(os.path.abspath(os.fspath(environment)))
    if path.is_dir():
        return _of_prefix(path, copy_interpreter)
    if not path.is_file():
        name = str(environment)
        prefix = None if os.sep in name else conda.prefix_named(name)
        if prefix is None:
            raise FileMissing(
                f"no environment at {path}: name a tarball, the folder of a virtual or conda environment, "
                'a .txt of requirements, a .json of Poncho, a conda environment, or "current"'
            )
        return Conda(prefix)
    if path.suffix == ".txt":
        return Requirements(lines_of(path.read_text()), path.parent, str(path), copy_interpreter)
    if path.suffix == ".json":
        try:
            return _of_poncho(json.loads(path.read_bytes()), str(path), copy_interpreter)
        except ValueError as error:
            raise UsageError(f"{path} is no JSON ({error}): give a Poncho specification") from error
    if copy_interpreter:
        raise UsageError(f"{path} is packed already: bring its interpreter along when you pack it")
    return path


def _of_prefix(prefix: Path, copy_interpreter: bool) -> Source:
    if (prefix / "conda-meta").is_dir():
        return Conda(prefix)
    if not is_virtualenv(prefix):
        raise UsageError(
            f"{prefix} is no environment (it has no pyvenv.cfg and no conda-meta): name one, or a tarball with bin/ "
            "on top"
        )
    return Virtualenv(prefix, copy_interpreter)


def _current(copy_interpreter: bool) -> Source:
    prefix = Path(sys.prefix)
    if (prefix / "conda-meta").is_dir() or is_virtualenv(prefix):
        return _of_prefix(prefix, copy_interpreter)
    return Requirements(requirements.pins_here(), prefix, f"what is installed in {prefix}", copy_interpreter)


def _of_list(requirements: Any, copy_interpreter: bool) -> Source:
    if not isinstance(requirements, Iterable) or isinstance(requirements, bytes):
        raise UsageError(f"{requirements!r} is no environment: give a path, a name, requirements, or a specification")
    lines = list(requirements)
    if not all(isinstance(line, str) for line in lines):
        raise UsageError(f"{requirements!r} are no requirements: give each as text, such as 'numpy>=1.26'")
    return Requirements(lines_of("\n".join(lines)), Path.cwd(), "requirements", copy_interpreter)


def _of_poncho(specification: Any, label: str, copy_interpreter: bool) -> Source:
    read_as = poncho.read(specification, current_python())
    if read_as.conda is None:
        return Requirements(lines_of("\n".join(read_as.pip)), Path.cwd(), label, copy_interpreter)
    return Poncho(read_as.conda, label, read_as.python)


def lines_of(text: str) -> tuple[str, ...]:
    """The lines of a requirements file, without comments."""
    lines = (line.partition(" #")[0].strip() for line in text.splitlines())
    found = tuple(line for line in lines if line and not line.startswith("#"))
    if not found:
        raise UsageError("no requirements are given: name at least one distribution, such as 'numpy'")
    if len(found) > config.requirements_max:
        most = config.requirements_max
        raise UsageError(f"{len(found)} requirements are more than {most}: leave out what nobody needs")
    return found


def state_of(prefix: Path) -> str:
    """The same for as long as no file in the folder was added, removed or written to: by names, sizes and times."""
    prefix = Path(os.path.realpath(prefix))
    hasher = blake3(str(prefix).encode(errors="surrogateescape"))
    for name, status in sorted(members_of(prefix)):
        version = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        hasher.update(f"{name}\0{version}\n".encode(errors="surrogateescape"))
    return hasher.hexdigest()


def _version_of(named: Path) -> str:
    """The same for as long as what requirements name here would be installed as the same."""
    if not named.is_dir():
        return blake3(named.read_bytes()).hexdigest()
    # Without what building it leaves there, and so without the times of folders.
    files = {name: status for name, status in members_of(named) if not S_ISDIR(status.st_mode)}
    version = [
        (name, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        for name, status in sorted(files.items())
        if not _BUILT.search(name)
    ]
    return blake3(f"{named}\0{version}".encode(errors="surrogateescape")).hexdigest()


def key_of(*parts: str) -> str:
    return blake3("\0".join((FORMAT, *parts)).encode(errors="surrogateescape")).hexdigest(length=20)


def current_python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"
