"""A broadcast between hosts with links of their own: network namespaces on this machine.

These tests need root, iproute2 (`ip`, `tc`) and a kernel with veth, bridge and tbf. They fail where those are
missing, and say which: leave them out with `--ignore tests/hosts`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from benchmarks.broadcast import namespaces, shaped
from benchmarks.broadcast.outcome import Plan
from tests.live.helpers import SOURCES
from tests.waiting import GIVE_UP_S, until

pytestmark = pytest.mark.live

RATE = 12.5e6  # 100 Mbit/s
SIZE = 4 << 20


@pytest.fixture(autouse=True)
def _possible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", SOURCES)
    lacking = namespaces.missing()
    assert not lacking, f"tests/hosts needs {lacking}: run it as root with iproute2, or with --ignore tests/hosts"


def test_three_hosts_get_a_file_no_faster_than_their_links_allow_and_nothing_is_left() -> None:
    wanted = shaped.Wanted(
        workers=3,
        size_bytes=SIZE,
        link_bytes_per_s=RATE,
        plans=(Plan("forest", 3), Plan("one-source", 3)),
        encryption=("on",),
        rounds=1,
    )
    forest, one_source = shaped.broadcasts(wanted)
    for found in (forest, one_source):
        assert found.spans.keys() == {"w00", "w01", "w02"}
        # A bucket full of tokens, and what is queued in sockets, are all that may come early.
        assert found.of_bound is not None and found.of_bound < 1.1
    assert one_source.manager_copies >= 3.0 > forest.manager_copies
    # Three copies over one link.
    assert one_source.seconds > 2.5 * SIZE / RATE
    assert namespaces.leftovers() == []


def test_what_an_earlier_run_has_left_is_removed() -> None:
    with namespaces.hosts(1, RATE) as (host,):
        program = subprocess.Popen([*host.prefix, "sleep", "1000"])
        # As of a run that was killed: nobody cleans up behind it but the next one.
        namespaces.remove_leftovers()
        assert program.wait(GIVE_UP_S) == -signal.SIGKILL
        assert namespaces.leftovers() == []


def test_two_runs_do_not_take_each_others_hosts() -> None:
    with namespaces.hosts(1, RATE):
        second = _command("--hosts", "1", "--size", "1MiB")
        complaint = second.communicate(timeout=GIVE_UP_S)[1]
        assert "another run with --hosts is under way" in complaint
        assert namespaces.leftovers()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(number: signal.Signals) -> None:
    program = _command("--hosts", "2", "--size", "64MiB", "--rate", "10mbit")
    # Three hosts, their links and the bridge.
    until(lambda: len(namespaces.leftovers()) >= 7 or program.poll() is not None, "its hosts are there")
    assert program.poll() is None
    program.send_signal(number)
    complaint = program.communicate(timeout=GIVE_UP_S)[1]
    assert program.returncode == 130
    assert complaint == "broadcast: interrupted\n"
    assert namespaces.leftovers() == []


def _command(*options: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "benchmarks.broadcast", *options]
    variables = {**os.environ, "PYTHONPATH": SOURCES}
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables)
