"""What runs a round ends with it, whatever session it has put itself into."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.peers.interface import Peer
from benchmarks.peers.processes import RoundFailed, output_of, run_round
from tests.waiting import GIVE_UP_S, until

# Starts a process that would outlive it, in a session of its own, and tells its number.
_LEAVES_ONE = """
import subprocess, sys
left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("noise")
print(left.pid, flush=True)
"""


def has_ended(pid: int) -> bool:
    """Whether or not whoever has inherited it has noticed."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_the_last_line_counts_and_nothing_is_left(tmp_path: Path) -> None:
    pid = int(output_of([sys.executable, "-c", _LEAVES_ONE], str(tmp_path), GIVE_UP_S))
    until(lambda: has_ended(pid), "what it has left is gone")


def test_what_takes_too_long_is_ended_with_all_that_it_has_started(tmp_path: Path) -> None:
    found = tmp_path / "pid"
    program = f"{_LEAVES_ONE}\nopen('pid', 'w').write(str(left.pid))\nleft.wait()"
    with pytest.raises(RoundFailed, match=r"no result after 3 s"):
        output_of([sys.executable, "-c", program], str(tmp_path), timeout_s=3)
    pid = int(found.read_text())
    until(lambda: has_ended(pid), "what it had started is gone")


def test_what_fails_is_told_by_its_last_word(tmp_path: Path) -> None:
    with pytest.raises(RoundFailed, match="exit code 1: no such thing"):
        output_of([sys.executable, "-c", "import sys; sys.exit('no such thing')"], str(tmp_path), GIVE_UP_S)


def test_a_round_never_has_more_calls_than_its_system_is_given() -> None:
    pool = Peer("ProcessPoolExecutor", "concurrent", "process_pool", calls=30, lone_calls=2)
    assert [run_round(pool, calls).calls for calls in (10, 1_000)] == [10, 30]
