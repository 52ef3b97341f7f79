"""How does a round on a system run so that nothing of it disturbs the next: in processes that all end with it?"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import psutil

from benchmarks.peers.child import Round
from benchmarks.peers.interface import Peer

ROUND_S = 120.0  # A round that takes longer is stopped, and its system counts as failed.
_MARK = "VINE_BENCHMARKS_PEER"  # A variable by which all that a round has started is known, in whatever session.
_END_S = 5.0  # What is left of a round may take so long to end after it was asked to.
_ROOT = Path(__file__).resolve().parents[2]


class RoundFailed(Exception):  # noqa: N818 - as our errors are called
    """A system did not do the work; says why."""


def run_round(peer: Peer, calls: int) -> Round:
    with tempfile.TemporaryDirectory(prefix="vine-peers-", ignore_cleanup_errors=True) as folder:
        arguments = [peer.home, folder, str(min(calls, peer.calls)), str(peer.lone_calls)]
        said = output_of([sys.executable, "-m", "benchmarks.peers.child", *arguments], folder, ROUND_S)
    found = json.loads(said)
    return Round(**{**found, "latencies_ms": tuple(found["latencies_ms"])})


def output_of(command: Sequence[str], folder: str, timeout_s: float) -> str:
    """The last line that a command prints, which runs in that folder; all that it has started has ended then."""
    mark = secrets.token_hex(8)
    programs = os.pathsep.join((os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)))  # Parsl has some.
    modules = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    # Files and not pipes: their end would come only with that of whatever was left running.
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=complaints,
            cwd=folder,
            env={**os.environ, "PATH": programs, "PYTHONPATH": modules, _MARK: mark},
            start_new_session=True,
        )
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise RoundFailed(f"no result after {timeout_s:g} s") from None
        finally:
            end_all(mark)
            process.wait()
        if process.returncode:
            raise RoundFailed(f"exit code {process.returncode}: {last_line(complaints)}")
        return last_line(said)


def last_line(file: IO[str]) -> str:
    file.seek(0)
    lines = file.read().strip().splitlines()
    return lines[-1] if lines else ""


def end_all(mark: str) -> None:
    """End whatever carries this mark; a system that stops in order has left nothing."""
    left = list(_marked(mark))
    for process in left:
        process.terminate()
    psutil.wait_procs(left, _END_S)
    for process in _marked(mark):
        process.kill()


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.environ().get(_MARK) == mark:
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
