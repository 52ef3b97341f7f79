"""Whose keys are these and where does the manager listen: the key and connection files of a run.

A run has one CURVE key pair a role. The manager's file holds them all, so that a restarted manager is
the same one; each other file holds what its role needs and no other secret. They lie in the run
directory (0700), readable by their owner only (0600), and are passed by path.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, TypeVar

import msgspec
import zmq

from vine import config
from vine.errors import ConnectionFileError
from vine.names import RunId
from vine.wire.codec import UNDECODABLE
from vine.wire.parts import Endpoint, Role

FILE_NAMES: Mapping[Role, str] = MappingProxyType(
    {
        Role.SERVER: "manager.json",
        Role.CLIENT: "client.json",
        Role.WORKER: "connection.json",
        Role.FACTORY: "factory.json",
    }
)
_FILE_BYTES_MAX = 64 << 10


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A CURVE key pair in ZeroMQ's Z85 form."""

    public: bytes
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RunKeys:
    """All key pairs of a run: what its manager has."""

    pairs: Mapping[Role, KeyPair]

    @property
    def server(self) -> KeyPair:
        return self.pairs[Role.SERVER]

    @property
    def own(self) -> KeyPair:
        return self.server

    @property
    def server_public(self) -> bytes:
        return self.server.public

    @property
    def worker_public(self) -> bytes:
        return self.pairs[Role.WORKER].public

    def public(self, role: Role) -> bytes:
        return self.pairs[role].public


@dataclass(frozen=True, slots=True)
class Connection:
    """What a process needs to take part in a run as `role`."""

    role: Role
    run_id: RunId
    run_dir: Path
    endpoint: str
    own: KeyPair
    server_public: bytes
    worker_public: bytes
    data_encryption: bool = True

    def public(self, role: Role) -> bytes:
        """The public key of a role that has data sockets."""
        return {Role.SERVER: self.server_public, Role.WORKER: self.worker_public}[role]


_Key = Annotated[str, msgspec.Meta(pattern=r"^[!-~]{40}\Z")]


class _Pair(msgspec.Struct, frozen=True):
    public: _Key
    secret: _Key

    def pair(self) -> KeyPair:
        return KeyPair(self.public.encode(), self.secret.encode())


class _RoleFile(msgspec.Struct, frozen=True):
    """The JSON of the file of a client, worker or factory."""

    version: int
    role: Role
    run_id: RunId
    endpoint: Endpoint
    own: _Pair
    server_public: _Key
    worker_public: _Key
    data_encryption: bool = True  # without it, chunks travel in clear; tokens and hashes are checked all the same


class _ManagerFile(msgspec.Struct, frozen=True):
    """The JSON of the manager's file."""

    version: int
    pairs: dict[Role, _Pair]


F = TypeVar("F", _RoleFile, _ManagerFile)


def new_run_keys() -> RunKeys:
    """Fresh keys, in memory only."""
    return RunKeys(MappingProxyType({role: new_pair() for role in Role}))


def new_pair() -> KeyPair:
    if not zmq.has("curve"):
        raise ConnectionFileError(
            "this pyzmq was built without CURVE encryption, which vine always uses: "
            "reinstall it with `pip install --force-reinstall pyzmq`"
        )
    return KeyPair(*zmq.curve_keypair())


def make_run_dir(run_dir: Path) -> Path:
    """Make the folder of a run, closed to others, or close the one that is there."""
    run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = run_dir.stat()
    if status.st_uid != os.geteuid():
        raise ConnectionFileError(f"{run_dir} belongs to another user: name a run directory of your own")
    if status.st_mode & 0o077:
        run_dir.chmod(0o700)
    return run_dir


def write_run_files(keys: RunKeys, run_dir: Path, run_id: RunId, endpoint: str, data_encryption: bool = True) -> Path:
    """Write every role's file, now that the endpoint is known; returns the path of the workers' one."""
    make_run_dir(run_dir)
    pairs = {role: _Pair(pair.public.decode(), pair.secret.decode()) for role, pair in keys.pairs.items()}
    _write_private(run_dir / FILE_NAMES[Role.SERVER], _ManagerFile(config.protocol_version, pairs))
    for role in (Role.CLIENT, Role.FACTORY, Role.WORKER):
        content = _RoleFile(
            version=config.protocol_version,
            role=role,
            run_id=run_id,
            endpoint=endpoint,
            own=pairs[role],
            server_public=pairs[Role.SERVER].public,
            worker_public=pairs[Role.WORKER].public,
            data_encryption=data_encryption,
        )
        _write_private(run_dir / FILE_NAMES[role], content)
    return run_dir / FILE_NAMES[Role.WORKER]


def load_run_keys(run_dir: Path | str) -> RunKeys:
    """The keys of a run whose manager is started again."""
    path = Path(run_dir) / FILE_NAMES[Role.SERVER]
    content = _load(path, _ManagerFile)
    if set(content.pairs) != set(Role):
        raise ConnectionFileError(f"{path} lacks keys: name another run directory, and start anew")
    return RunKeys(MappingProxyType({role: pair.pair() for role, pair in content.pairs.items()}))


def load_connection(path: Path | str, role: Role) -> Connection:
    """The file at `path`, or that of `role` beside it or in the run directory at `path`."""
    found = _find(Path(path), role)
    content = _load(found, _RoleFile)
    if content.role is not role:
        raise ConnectionFileError(f"{found} is the {content.role.value}'s file: name the manager's {FILE_NAMES[role]}")
    return Connection(
        role=role,
        run_id=content.run_id,
        run_dir=found.parent.resolve(),
        endpoint=content.endpoint,
        own=content.own.pair(),
        server_public=content.server_public.encode(),
        worker_public=content.worker_public.encode(),
        data_encryption=content.data_encryption,
    )


def _find(path: Path, role: Role) -> Path:
    """A run directory stands for the role's file in it; any role's file for the role's file beside it."""
    if path.is_dir():
        return path / FILE_NAMES[role]
    if path.name in FILE_NAMES.values():
        return path.with_name(FILE_NAMES[role])
    return path


def _load(path: Path, kind: type[F]) -> F:
    try:
        content = msgspec.json.decode(_read_private(path), type=kind)
    except UNDECODABLE as error:
        raise ConnectionFileError(f"{path} is no connection file of a run ({error}): name the manager's") from None
    if content.version != config.protocol_version:
        raise ConnectionFileError(
            f"{path} was written by another version of vine (protocol {content.version}, this is "
            f"{config.protocol_version}): install the same version on both sides"
        )
    return content


def _write_private(path: Path, content: _RoleFile | _ManagerFile) -> None:
    """The file appears whole and is never readable by others; an older one is replaced."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(content)) + b"\n")
        os.replace(temporary, path)
    except OSError as error:
        raise ConnectionFileError(f"cannot write {path} ({error.strerror}): name another run directory") from None


def _read_private(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise ConnectionFileError(
            f"{path} does not exist: start the manager first, or name the connection file that it has written"
        ) from None
    except OSError as error:
        raise ConnectionFileError(
            f"cannot read {path} ({error.strerror}): name the file that the manager has written"
        ) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ConnectionFileError(f"{path} is not a file: name the connection file that the manager has written")
        if status.st_uid != os.geteuid():
            raise ConnectionFileError(f"{path} belongs to another user: use a run of your own")
        if status.st_mode & 0o077:
            raise ConnectionFileError(f"{path} can be read by others, and with it the run's keys: `chmod 600 {path}`")
        return os.read(descriptor, _FILE_BYTES_MAX)
    finally:
        os.close(descriptor)
