"""How do hosts share a filesystem: one serves a folder with sshd, and the others mount it at the same path with sshfs.

Each mount is in a mount namespace of its host's own, where programs enter it; it ends with the sshfs that holds it.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.broadcast import namespaces
from benchmarks.broadcast.processes import Where
from benchmarks.mnist_sweep.programs import Programs
from vine.errors import VineError

_PORT = 2222
_SERVER = "sshd"  # As its program and its log are called.
_MOUNTED_S = 60.0  # The most that a mount may take: keys are exchanged over the shaped link.
_LOOK_S = 0.05
_DEVICE = Path("/dev/fuse")
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"  # Where sshd is, also where users' PATH does not lead.
_COMMANDS = {"sshfs": "sshfs", "ssh": "openssh-client", "ssh-keygen": "openssh-client", "nsenter": "util-linux"}

# Like an NFS client's caches, so that vine is compared with a filesystem that is tuned for what tasks do: read.
CACHING = (
    "ro",
    "auto_cache",  # Pages stay cached until a file's time or size have changed, looked at when it is opened: nfs(5).
    # Names, attributes and the absence of names may be 60 s old: nfs(5), acregmax and acdirmax, lookupcache=all.
    "attr_timeout=60",
    "entry_timeout=60",
    "negative_timeout=60",
    "dcache_timeout=60",
)


def missing() -> list[str]:
    """What this machine lacks for it; empty if it can be tried."""
    lacks = namespaces.missing()
    lacks += [f"the command `{name}` (of {owner})" for name, owner in _COMMANDS.items() if shutil.which(name) is None]
    lacks += ["the command `sshd` (of openssh-server)"] if _sshd() is None else []
    return lacks + ([f"the device {_DEVICE} (`modprobe fuse`)"] if not _DEVICE.exists() else [])


def _sshd() -> str | None:
    return shutil.which("sshd") or shutil.which("sshd", path=_SBIN)


@contextmanager
def shared(folder: Path, server: Where, hosts: Sequence[Where], keys: Path, logs: Path) -> Iterator[list[Where]]:
    """The hosts again, as places where the folder is the server's; `keys` is an empty folder of ours alone."""
    make_keys(keys, server.address)
    configuration = keys / "sshd_config"
    configuration.write_text(server_configuration(keys, server.address))
    with Programs(logs) as programs:
        programs.start(_SERVER, server_command(server, configuration))
        programs.await_word(_SERVER, "Server listening on", _MOUNTED_S)
        mounts = []
        for number, host in enumerate(hosts):
            name = f"sshfs-{number:02}"
            mounts.append((name, programs.start(name, mount_command(host, server.address, folder, keys))))
        give_up_at = time.monotonic() + _MOUNTED_S
        for name, process in mounts:
            while not is_mounted(_mounts_of(process), folder):
                programs.check()
                if time.monotonic() > give_up_at:
                    raise VineError(f"{name} has not mounted {folder} within {_MOUNTED_S:g} s (log: {logs}/{name}.log)")
                time.sleep(_LOOK_S)
        yield [
            Where(("nsenter", f"--target={process}", "--mount", "--net"), host.address)
            for (_, process), host in zip(mounts, hosts, strict=True)
        ]


def make_keys(folder: Path, address: str) -> None:
    """Key pairs of the server and of who mounts, for this run alone, and the server's as known to the others."""
    for name in ("host", "user"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(folder / name)]
        subprocess.run(words, stdin=subprocess.DEVNULL, check=True, capture_output=True)
    (folder / "known_hosts").write_text(f"[{address}]:{_PORT} {(folder / 'host.pub').read_text()}")


def server_configuration(keys: Path, address: str) -> str:
    """It serves files to be read, to whoever has our key, and nothing else."""
    return f"""\
ListenAddress {address}:{_PORT}
HostKey {keys}/host
AuthorizedKeysFile {keys}/user.pub
AuthenticationMethods publickey
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
UseDNS no
PidFile none
MaxStartups 1000
DisableForwarding yes
Subsystem sftp internal-sftp -R
ForceCommand internal-sftp -R
"""


def server_command(server: Where, configuration: Path) -> list[str]:
    sshd = _sshd()
    assert sshd is not None, "what is missing has been told"
    # It wants /run/sshd, which is there where it is a service: in its own mount namespace we leave nothing behind.
    prepare = 'mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec "$0" "$@"'
    return [*server.prefix, "sh", "-c", prepare, sshd, "-D", "-e", "-f", str(configuration)]


def mount_command(host: Where, server: str, folder: Path, keys: Path) -> list[str]:
    """sshfs in the foreground, so that the mount ends with it; no configuration of the user's or the machine's."""
    options = [
        *CACHING,
        f"port={_PORT}",
        f"IdentityFile={keys}/user",
        "IdentitiesOnly=yes",
        f"UserKnownHostsFile={keys}/known_hosts",
        "StrictHostKeyChecking=yes",
        "BatchMode=yes",
        "Ciphers=aes128-gcm@openssh.com",  # The cheapest where processors know AES: all hosts share this machine's.
    ]
    return [*host.prefix, "sshfs", "-f", "-F", "none", "-o", ",".join(options), f"root@{server}:{folder}", str(folder)]


def _mounts_of(process: int) -> str:
    try:
        return Path(f"/proc/{process}/mountinfo").read_text()
    except OSError:
        return ""  # It has ended, and will be missed.


def is_mounted(mountinfo: str, folder: Path) -> bool:
    """Whether a mount namespace has an sshfs at the folder; proc(5) has the format."""
    lines = [line.split(" ") for line in mountinfo.splitlines()]
    place = str(folder).replace("\\", "\\134").replace(" ", "\\040")
    return any(words[4] == place and "fuse.sshfs" in words[6:] for words in lines)
