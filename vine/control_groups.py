"""How much memory and how many cores may this process have, by the control groups that it is in?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

OWN = Path("/proc/self/cgroup")
MOUNTS = Path("/sys/fs/cgroup")


def memory_limit_bytes(own: Path = OWN, mounts: Path = MOUNTS) -> int | None:
    """The least that a group of ours, or one around it, allows; None if none says anything."""
    files = ("memory.max", "memory.limit_in_bytes")
    found = [text for folder in _folders("memory", own, mounts) for name in files if (text := _read(folder / name))]
    return min((int(text) for text in found if text.isdigit()), default=None)


def core_limit(own: Path = OWN, mounts: Path = MOUNTS) -> float | None:
    """As many cores' time as the tightest quota allows; None if there is none."""
    limits = []
    for folder in _folders("cpu", own, mounts):
        words = (_read(folder / "cpu.max") or "").split()
        if len(words) != 2:
            words = [_read(folder / "cpu.cfs_quota_us") or "", _read(folder / "cpu.cfs_period_us") or ""]
        quota, period = words
        if quota.isdigit() and period.isdigit() and int(period):
            limits.append(int(quota) / int(period))
    return min(limits, default=None)


def _folders(controller: str, own: Path, mounts: Path) -> Iterator[Path]:
    """Our group's folder and those around it, for version 1 of control groups and for version 2."""
    for line in (_read(own) or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            tops = [mounts / controller, mounts / controllers]
        elif not controllers:
            tops = [mounts, mounts / "unified"]
        else:
            continue
        for top in tops:
            group = top / path.lstrip("/")
            yield from (folder for folder in (group, *group.parents) if folder == top or top in folder.parents)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None  # There is no such group here, or no such limit.
