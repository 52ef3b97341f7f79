"""What machine is this, and how much of it is there?"""

from __future__ import annotations

import os
import socket
from itertools import takewhile
from pathlib import Path

from vine import config, control_groups
from vine.host import host_id
from vine.names import HostId

_MB = 1_000_000


def host_of(store: Path, host_name: str | None) -> HostId:
    """Names the host, so that workers with the same store count as one: by the kernel and the store's folder."""
    return HostId(host_name) if host_name is not None else host_id(store)


def hostname() -> str:
    return socket.gethostname() or "unknown"


def cores() -> float:
    """The cores that this process may use, which a batch system or container may have cut down."""
    available = float(len(os.sched_getaffinity(0)))
    return min(available, control_groups.core_limit() or available)


def memory_mb() -> float:
    """The machine's memory, or the control group's limit where that is less."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return float(min(total, control_groups.memory_limit_bytes() or total) // _MB)


def gpus() -> float:
    """NVIDIA devices, or those of them that a batch system lets us see; others are told by `--gpus`."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        # CUDA reads the list up to the first name that is none.
        return float(sum(1 for _ in takewhile(lambda name: name.strip() not in ("", "-1"), visible.split(","))))
    return float(sum(path.name.removeprefix("nvidia").isdigit() for path in Path("/dev").glob("nvidia[0-9]*")))


def gpu_model(folder: Path = Path("/proc/driver/nvidia/gpus")) -> str | None:
    """What NVIDIA's driver calls the devices here; None where they differ: which of them are ours it does not say."""
    models = set()
    for path in folder.glob("*/information"):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        models |= {line.removeprefix("Model:").strip() for line in lines if line.startswith("Model:")}
    return models.pop() if len(models) == 1 else None


def address_towards(endpoint: str) -> str:
    """The address of the interface through which an endpoint is reached: peers can reach us there too."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.connect(address)  # Of a datagram socket: nothing is sent.
        return str(probe.getsockname()[0])


def disk_mb(folder: Path) -> float:
    """What is free where the workspace lies, less what others must find free there."""
    status = os.statvfs(folder)
    return float(max(0, status.f_bavail * status.f_frsize - config.disk_reserve_bytes) // _MB)
