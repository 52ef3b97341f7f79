"""How do hosts with links of a given rate come to be on one machine: network namespaces on a bridge, shaped by tc.

Each host is a namespace with one end of a veth pair; the other end is plugged into the bridge. A token
bucket filter on either end makes each direction of the link as slow as asked for. It needs root,
iproute2 and the kernel's veth, bridge and tbf.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.broadcast.outcome import BenchmarkError
from benchmarks.broadcast.processes import Where

PREFIX = "vinebench"  # By which what an earlier run has left is known.
HOSTS_MAX = 250
_BRIDGE = f"{PREFIX}-br"
_NETWORK = "10.93.0"
_OWN_ADDRESS = f"{_NETWORK}.254"  # of the bridge, by which the benchmark's own client reaches the manager
_BURST_BYTES = 128 << 10  # What the kernel sends as one (64 KiB and headers) must fit, or is cut up at a high price.
_QUEUE_MS = 50  # What waits longer is dropped, as in a switch.


def missing() -> list[str]:
    """What this machine lacks for it; empty if it can be tried."""
    lacks = [] if os.geteuid() == 0 else ["root's rights"]
    lacks += [f"the command `{name}` (of iproute2)" for name in ("ip", "tc") if shutil.which(name) is None]
    return lacks


@contextmanager
def hosts(count: int, bytes_per_s: float) -> Iterator[list[Where]]:
    """So many hosts, whatever happens meanwhile gone in the end; one run at a time."""
    if lacks := missing():
        raise BenchmarkError(f"--hosts needs {' and '.join(lacks)}: run it where they are, or use --simulate")
    assert 1 <= count <= HOSTS_MAX, "a host has one byte of an address"
    with _alone():
        remove_leftovers()
        try:
            _command("ip", "link", "add", _BRIDGE, "type", "bridge")
            _command("ip", "address", "add", f"{_OWN_ADDRESS}/24", "dev", _BRIDGE)
            _command("ip", "link", "set", _BRIDGE, "up")
            yield [_add_host(number, bytes_per_s) for number in range(count)]
        finally:
            with _undisturbed():
                remove_leftovers()


def sent_bytes(number: int) -> int:
    """What the host of this number has sent over its link, headers included."""
    return int(Path(f"/sys/class/net/{_outer_end(number)}/statistics/rx_bytes").read_text())


def remove_leftovers() -> None:
    """End what runs in our namespaces and remove them, the bridge and what is plugged into it."""
    for name in _our_namespaces():
        for pid in _output("ip", "netns", "pids", name).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        _output("ip", "netns", "delete", name)  # Its veth goes with it, and so does the other end.
    for line in _output("ip", "-oneline", "link", "show").splitlines():
        name = line.split(": ")[1].split("@")[0]
        if name.startswith(PREFIX):
            _output("ip", "link", "delete", name)


def leftovers() -> list[str]:
    """What of ours is there now."""
    links = [line.split(": ")[1].split("@")[0] for line in _output("ip", "-oneline", "link", "show").splitlines()]
    return [*_our_namespaces(), *(name for name in links if name.startswith(PREFIX))]


def _our_namespaces() -> list[str]:
    names = [line.split()[0] for line in _output("ip", "netns", "list").splitlines() if line]
    return [name for name in names if name.startswith(PREFIX)]


def _add_host(number: int, bytes_per_s: float) -> Where:
    space, outer, address = f"{PREFIX}-{number}", _outer_end(number), f"{_NETWORK}.{number + 1}"
    inside = ("ip", "netns", "exec", space)
    _command("ip", "netns", "add", space)
    _command("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", space)
    _command("ip", "link", "set", outer, "master", _BRIDGE, "up")
    _command(*inside, "ip", "link", "set", "lo", "up")
    _command(*inside, "ip", "address", "add", f"{address}/24", "dev", "eth0")
    _command(*inside, "ip", "link", "set", "eth0", "up")
    shape = ("tbf", "rate", f"{round(bytes_per_s * 8)}bit", "burst", str(_BURST_BYTES), "latency", f"{_QUEUE_MS}ms")
    _command("tc", "qdisc", "add", "dev", outer, "root", *shape)
    _command(*inside, "tc", "qdisc", "add", "dev", "eth0", "root", *shape)
    return Where(inside, address)


def _outer_end(number: int) -> str:
    """The end of a host's link that is plugged into the bridge."""
    return f"{PREFIX}-v{number}"


@contextmanager
def _alone() -> Iterator[None]:
    """No two runs share the names of namespaces."""
    path = Path(tempfile.gettempdir()) / f"{PREFIX}.lock"
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BenchmarkError("another run with --hosts is under way on this machine: wait for its end") from None
        yield


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C must not leave half of it behind."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _command(*words: str) -> None:
    ended = subprocess.run(words, capture_output=True, text=True)
    if ended.returncode:
        why = (ended.stderr or ended.stdout).strip().splitlines()
        raise BenchmarkError(f"`{' '.join(words)}` failed: {why[0] if why else ended.returncode}")


def _output(*words: str) -> str:
    """Of a command that may fail: what it would remove may be gone."""
    return subprocess.run(words, capture_output=True, text=True).stdout
