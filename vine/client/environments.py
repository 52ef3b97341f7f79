"""How does a program say on what software its tasks run: for one of them, for many, or for all of a manager's?"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vine import errors
from vine.client.declaring import Declaring
from vine.client.files import File
from vine.names import FileId
from vine.wire.parts import FileSpec

if TYPE_CHECKING:
    from vine.client.session import Session
    from vine.environments.sources import Source

Declarable = str | os.PathLike[str] | Mapping[str, Any] | Iterable[str] | File


class Environment(File):
    """A declared environment; `python` is its version up to the minor one, None where that cannot be told."""

    def __init__(self, session: Session, spec: FileSpec, tell_python: Callable[[], str | None]) -> None:
        super().__init__(session, spec)
        self._tell_python = functools.cache(tell_python)

    @property
    def python(self) -> str | None:
        return self._tell_python()


class Environments(Declaring):
    """The part of a manager that declares environments."""

    run_directory: Path
    _default_environment: File | None = None

    def declare_environment(
        self,
        environment: Declarable,
        cache: str | bool = "workflow",
        peer_transfer: bool = True,
        copy_interpreter: bool = False,
    ) -> File:
        """A software environment for tasks: the bin/ of its folder is in front of their PATH, its Python runs them.

        Takes a tarball with `bin/` on top (gz, bz2, xz, zst or plain; TaskVine's and conda-pack's; commands go through
        its `bin/run_in_env` if it has one), the folder of a virtual environment, the folder or name of a conda
        environment (which needs conda-pack: `vine-runtime[conda]`), a list of requirements or the path of a .txt file
        of them (installed with uv or pip for the Python that runs this), a Poncho specification (a dict, or the path
        of a .json file), or "current": what this program itself runs on.

        What is no tarball is packed in the background, once: the archive is kept beside the run and in the user's
        cache for as long as what it was packed from has not changed. Requirements that leave versions open stay at
        those of the first time; wheels and projects that they name here count with what is in them. The Python of a
        virtual environment, or of requirements, must be on workers at the same path, unless `copy_interpreter` brings
        it along: UsageError for an archive, which has one or not.

        FileMissing if nothing is there, UsageError for what is no environment. What goes wrong in packing is told by
        the tasks that need it.
        """
        if isinstance(environment, File):
            if copy_interpreter:
                raise errors.UsageError(f"{environment!r} is packed already: name what is to be packed with its Python")
            return self._environment_of(environment, cache, peer_transfer)
        from vine.environments.sources import recognise

        source = recognise(environment, copy_interpreter)
        if isinstance(source, Path):
            return self._environment_of(self._declarer.path(source, cache, peer_transfer), cache, peer_transfer)
        beside = self.run_directory.parent / "environments"
        archive = self._declarer.made("environment", source.label, functools.partial(_pack, source, beside), cache)
        spec = self._declarer.untar_spec(archive, cache, peer_transfer)
        return Environment(self._declarer.session, spec, lambda: source.python)

    def declare_poncho(self, package: Declarable, cache: str | bool = "workflow", peer_transfer: bool = True) -> File:
        """TaskVine's name for `declare_environment`."""
        return self.declare_environment(package, cache, peer_transfer)

    def set_default_environment(self, environment: File | None) -> None:
        """What tasks, executors and libraries that name none run on from now on; None for the workers' own software."""
        if environment is not None:
            self.check_own(environment)
        self._default_environment = environment

    @property
    def default_environment(self) -> File | None:
        """What tasks run on that name no environment."""
        return self._default_environment

    def environment_or_default(self, environment: Declarable | None) -> File | None:
        """What an executor is given: a file of this manager, or what is declared now."""
        if environment is None:
            return self._default_environment
        if not isinstance(environment, File):
            return self.declare_environment(environment)
        self.check_own(environment)
        return environment

    def _environment_of(self, archive: File, cache: str | bool, peer_transfer: bool) -> Environment:
        spec = self._declarer.untar_spec(archive, cache, peer_transfer)
        return Environment(self._declarer.session, spec, lambda: _python_in(archive))


def environment_id(environment: File | None, function: str | None = None) -> FileId | None:
    """What a task names its environment by; PythonMismatch if a function is to run on another Python than this one.

    Functions, arguments and results are pickles, which hold the code of one minor version. What cannot be told here
    is refused where it was to run, before it does.
    """
    if environment is None:
        return None
    python = environment.python if isinstance(environment, Environment) and function is not None else None
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    if python is not None and python != ours:
        raise errors.PythonMismatch(
            f"{function} cannot run on {environment.label}: that has Python {python}, and this program runs on Python "
            f"{ours}, whose functions it cannot load; make it with Python {ours}, or run this program with {python}"
        )
    return environment.file_id


def _python_in(archive: File) -> str | None:
    from vine.environments import note

    if (path := archive.local_path) is None:
        return None  # It is made on a worker, or by another program.
    try:
        return note.of_archive(Path(path)).python
    except errors.VineError:
        return None  # Tasks that need it will tell why it cannot be had.


def _pack(source: Source, beside: Path, out: str) -> None:
    from vine.environments.cache import Cache, link
    from vine.environments.progress import bar

    with bar(source.label) as progress:
        link(Cache(beside).archive_of(source, progress), Path(out))
