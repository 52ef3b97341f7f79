"""Are we on the same host: does a path mean the same file to two processes?"""

from __future__ import annotations

import os

from vine.names import HostId

_BOOT_ID = "/proc/sys/kernel/random/boot_id"


def host_id(folder: str | os.PathLike[str]) -> HostId:
    """Equal for processes of one running kernel that see the same folder at this path.

    The folder matters: containers share the kernel's boot id, and not each other's files.
    """
    found = os.stat(folder)
    return HostId(f"{boot_id()}:{found.st_dev:x}:{found.st_ino:x}")


def boot_id() -> str:
    """Another one after every start of this machine."""
    with open(_BOOT_ID) as file:
        return file.read().strip()
