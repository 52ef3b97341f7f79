"""What is said and started for a shared filesystem; tests/hosts mounts one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from benchmarks.broadcast.processes import Where
from benchmarks.mnist_sweep.emulate import filesystem

HOST = Where(("ip", "netns", "exec", "space"), "10.93.0.3")
FOLDER = Path("/cache/shared-fs")
KEYS = Path("/keys")

MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
41 22 0:38 / {place} ro,nosuid,nodev,relatime - {kind} {source} ro,user_id=0,group_id=0
"""


@pytest.mark.parametrize(
    ("there", "lacks"),
    [
        (("sshfs", "sshd"), []),
        (("sshd",), ["the command `sshfs` (of sshfs)"]),
        ((), ["the command `sshfs` (of sshfs)", "the command `sshd` (of openssh-server)"]),
    ],
)
def test_what_is_missing_is_named_with_its_package(
    there: tuple[str, ...], lacks: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def which(name: str, path: str | None = None) -> str | None:
        return f"/bin/{name}" if name in there or not name.startswith("ssh") or name in ("ssh", "ssh-keygen") else None

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", which)
    monkeypatch.setattr(filesystem, "_DEVICE", tmp_path)
    assert filesystem.missing() == lacks


def test_a_kernel_without_fuse_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda name, path=None: name)
    monkeypatch.setattr(filesystem, "_DEVICE", tmp_path / "fuse")
    assert filesystem.missing() == ["root's rights", f"the device {tmp_path}/fuse (`modprobe fuse`)"]


def test_sshd_is_found_where_users_do_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: f"/usr/sbin/{name}" if path else None)
    command = filesystem.server_command(HOST, Path("/keys/sshd_config"))
    assert command[: len(HOST.prefix)] == [*HOST.prefix]
    assert command[-5:] == ["/usr/sbin/sshd", "-D", "-e", "-f", "/keys/sshd_config"]


def test_the_server_serves_files_to_be_read_to_our_key_and_at_its_own_address_alone() -> None:
    lines = filesystem.server_configuration(KEYS, "10.93.0.1").splitlines()
    assert {"ListenAddress 10.93.0.1:2222", "HostKey /keys/host", "AuthorizedKeysFile /keys/user.pub"} <= {*lines}
    assert {"AuthenticationMethods publickey", "ForceCommand internal-sftp -R", "DisableForwarding yes"} <= {*lines}


def test_a_folder_is_mounted_at_its_own_path_by_a_program_that_stays() -> None:
    command = filesystem.mount_command(HOST, "10.93.0.1", FOLDER, KEYS)
    assert command[: len(HOST.prefix)] == [*HOST.prefix]
    assert command[-2:] == ["root@10.93.0.1:/cache/shared-fs", "/cache/shared-fs"]
    assert "-f" in command
    options = command[command.index("-o") + 1].split(",")
    assert {*filesystem.CACHING, "StrictHostKeyChecking=yes", "UserKnownHostsFile=/keys/known_hosts"} <= {*options}
    assert command[command.index("-F") + 1] == "none", "neither the user's configuration nor the machine's"


@pytest.mark.parametrize(
    ("place", "kind", "source", "mounted"),
    [
        ("/cache/shared-fs", "fuse.sshfs", "root@10.93.0.1:/cache/shared-fs", True),
        ("/cache", "fuse.sshfs", "root@10.93.0.1:/cache/shared-fs", False),
        ("/cache/shared-fs", "nfs4", "server:/cache/shared-fs", False),
    ],
    ids=["there", "another place", "another kind"],
)
def test_a_mount_is_known_by_its_place_and_kind(place: str, kind: str, source: str, mounted: bool) -> None:
    assert filesystem.is_mounted(MOUNTS.format(place=place, kind=kind, source=source), FOLDER) is mounted


def test_a_place_with_spaces_is_known_too() -> None:
    mounts = MOUNTS.format(place="/my\\040cache", kind="fuse.sshfs", source="root@10.93.0.1:/my\\040cache")
    assert filesystem.is_mounted(mounts, Path("/my cache"))
