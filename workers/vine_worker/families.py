"""Whose process is whose, and how do all of a family end, though they start others faster than these can be killed?

The spawner and its worker are *subreapers*: a process that loses its parents becomes a child of theirs. So whatever a
program has left is a child of one of them, or descends from one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

MARK = "VINE_PROGRAM"  # The variable by which we know whose process it is that left its group.
STOPPING_MAX_S = 1.0  # Then a family is killed, whether or not all of it has stopped; a look at it ends after as long.
_CANNOT_START = b"TtDZX"  # States: stopped, traced, in the kernel (as who waits for a child's exec), ended.


class Standing(NamedTuple):
    """What the kernel says of a process."""

    state: bytes  # a letter
    parent: int
    group: int


def standing_of(pid: int) -> Standing | None:
    """None if it is gone."""
    try:
        state, parent, group, *_ = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split(maxsplit=3)
    except OSError:
        return None
    return Standing(state, int(parent), int(group))


def children(of: int | None = None) -> list[int]:
    """The pids whose parent is that process; of this one if none is named. None of one that hides them."""
    return _how_to_look()(os.getpid() if of is None else of)


def _how_to_look() -> Callable[[int], list[int]]:
    """What finds the children of one process after another, for one pass over many."""
    if os.path.exists("/proc/thread-self/children"):
        return _listed_children
    by_parent = children_by_parent()
    return lambda of: by_parent.get(of, [])


def _listed_children(of: int) -> list[int]:
    """A process or a thread may end while we look; where /proc is mounted with `hidepid`, other users' are hidden."""
    gone = (FileNotFoundError, ProcessLookupError, PermissionError)
    found: list[int] = []
    with contextlib.suppress(*gone):
        for thread in [str(of)] if of == os.getpid() else os.listdir(f"/proc/{of}/task"):  # Our first one has ours.
            with contextlib.suppress(*gone):
                found += [int(word) for word in _read(f"/proc/{of}/task/{thread}/children").split()]
    return found


def children_by_parent() -> dict[int, list[int]]:
    """By one look at each process there is, for a kernel that was built without such lists."""
    found: dict[int, list[int]] = {}
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
        standing = standing_of(pid)
        if standing is not None:
            found.setdefault(standing.parent, []).append(pid)
    return found


def mark_of(pid: int) -> int | None:
    """The number of the program that a process descends from; None if it hides that, or is a zombie."""
    try:
        variables = _read(f"/proc/{pid}/environ").split(b"\0")
    except OSError:
        return None
    prefix = MARK.encode() + b"="
    marks = [variable[len(prefix) :] for variable in variables if variable.startswith(prefix)]
    return int(marks[0]) if marks and marks[0].isdigit() else None


def _read(path: str) -> bytes:
    """Of a file that has no size: as little as possible, for this is done with each end of a program."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(file, 1 << 16):
            parts.append(part)
    finally:
        os.close(file)
    return b"".join(parts)


# --- their end ---


def kill_family(roots: Callable[[], Iterable[int]]) -> None:
    """Kill these processes and all that descends from them.

    All are stopped first, as far as `STOPPING_MAX_S` allows: what is stopped starts nothing, and cannot answer the
    death of another. One that is just starting a process is not stopped yet, and looked at again. Then children are
    killed before their parents: the kernel wakes a stopped process group that loses the last parent outside of it.
    What was missed all the same, since its parents ended while we looked, or the time was over, has become a child of
    ours: its end, or that of the next in its line, is told to us, and we look again.
    """
    until_s = time.monotonic() + STOPPING_MAX_S
    beyond: set[int] = set()  # what runs as somebody else
    while True:
        members = _family(roots())
        running = [pid for pid in members if pid not in beyond and _can_start_others(pid)]
        if not running or time.monotonic() > until_s:
            break
        beyond.update(pid for pid in running if not kill(pid, signal.SIGSTOP))
    for pid in reversed(members):
        kill(pid, signal.SIGKILL)


def _can_start_others(pid: int) -> bool:
    standing = standing_of(pid)
    return standing is not None and standing.state not in _CANNOT_START


def is_one_group(leader: int) -> bool:
    """Whether a signal to its group reaches all that descends from it."""
    standings = [standing_of(pid) for pid in _family([leader])]
    return all(standing is None or standing.group == leader for standing in standings)


def _family(roots: Iterable[int]) -> list[int]:
    """These and all that descends from them, parents first; some of them, if they multiply as fast as we look."""
    members = dict.fromkeys(roots)
    ahead = list(members)
    children_of = _how_to_look()
    until_s = time.monotonic() + STOPPING_MAX_S
    while ahead and time.monotonic() <= until_s:
        fresh = [pid for pid in children_of(ahead.pop()) if pid not in members]
        members.update(dict.fromkeys(fresh))
        ahead += fresh
    return list(members)


def kill_marked_children() -> None:
    """For the worker, whose children the programs become when their spawner is killed."""
    while marked := _marked_children():
        kill_family(_marked_children)
        for pid in marked:
            os.waitpid(pid, 0)


def _marked_children() -> list[int]:
    return [pid for pid in children() if mark_of(pid) is not None]


def kill_group(pid: int, number: int = signal.SIGKILL) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return  # Gone, or a program such as sudo, which runs as somebody else.


def kill(pid: int, number: int) -> bool:
    """Whether it got the signal."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False  # As above.
    return True
