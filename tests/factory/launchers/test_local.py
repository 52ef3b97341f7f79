"""Do workers on this machine start, end when asked, and never outlive us? With real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vine import config
from vine.names import WorkerId
from vine.wire.parts import Request, Resources
from vine_factory.launchers.interface import Ended, LaunchFailed
from vine_factory.launchers.local import LocalLauncher, measure_machine, share_of_machine

ONE = WorkerId("local-1")
pytestmark = pytest.mark.live

# A stand-in for a worker: it says in a FIFO that it runs, then waits for its parent's pipe to end.
WORKER = """
import os, signal, sys
{setup}
open(sys.argv[1], "w").write("running")
os.read(int(sys.argv[sys.argv.index("--parent-fd") + 1]), 1)
print("the parent is gone")
"""


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[LocalLauncher]:
    launcher = LocalLauncher(tmp_path / "logs", parent_fd=None)
    yield launcher
    launcher.close()


@pytest.fixture
def running(tmp_path: Path) -> Callable[..., None]:
    """Start a stand-in, with some code before, and return when it runs."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def start(launcher: LocalLauncher, setup: str = "") -> None:
        launcher.submit(ONE, [sys.executable, "-c", WORKER.format(setup=setup), str(fifo)])
        assert fifo.read_text() == "running"  # Blocks until the stand-in has written.

    return start


def wait_for_the_end(launcher: LocalLauncher, now: float = 0.0) -> Ended:
    """The end of the one worker, once the operating system knows of it."""
    [job] = launcher._jobs.values()
    os.waitid(os.P_PID, job.process.pid, os.WEXITED | os.WNOWAIT)
    [ended] = launcher.query(now)
    return ended


def test_a_worker_that_ends_is_told_once_with_its_code_and_last_words(launcher: LocalLauncher, tmp_path: Path) -> None:
    launcher.submit(ONE, [sys.executable, "-c", "import sys; print('tried', flush=True); sys.exit('no such key\\n')"])
    ended = wait_for_the_end(launcher)
    log = tmp_path / "logs" / "local-1.log"
    assert ended == Ended(ONE, f"worker local-1 ended with exit code 1: no such key (log: {log})")
    assert log.read_text().strip() == "tried\nno such key"
    assert launcher.query(0.0) == []


def test_a_worker_that_is_killed_is_told_by_its_signal(launcher: LocalLauncher) -> None:
    launcher.submit(ONE, [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
    assert "worker local-1 was ended by SIGKILL (log: " in wait_for_the_end(launcher).message


def test_a_running_worker_is_not_told_as_ended(launcher: LocalLauncher, running: Callable[..., None]) -> None:
    running(launcher)
    assert launcher.query(0.0) == []


def test_a_cancelled_worker_is_asked_to_end(launcher: LocalLauncher, running: Callable[..., None]) -> None:
    running(launcher, "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))")
    launcher.cancel(ONE, 0.0)
    assert "ended with exit code 0" in wait_for_the_end(launcher).message


def test_a_cancelled_worker_that_does_not_listen_is_killed_after_its_grace(
    launcher: LocalLauncher, running: Callable[..., None]
) -> None:
    running(launcher, "signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    launcher.cancel(ONE, 100.0)
    assert launcher.query(100.0 + config.worker_stop_grace_s - 0.01) == []
    assert launcher.query(100.0 + config.worker_stop_grace_s) == []  # Killed now, and not yet known to be gone.
    assert "SIGKILL" in wait_for_the_end(launcher).message


def test_cancelling_who_is_gone_does_nothing(launcher: LocalLauncher) -> None:
    launcher.cancel(ONE, 0.0)
    assert launcher.query(0.0) == []


def test_close_leaves_no_worker_behind_even_one_that_does_not_listen(
    running: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "worker_stop_grace_s", 0.0)
    launcher = LocalLauncher(tmp_path / "logs", parent_fd=None)
    running(launcher, "signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    [job] = launcher._jobs.values()
    launcher.close()
    with pytest.raises(ProcessLookupError):
        os.kill(job.process.pid, 0)


def test_workers_end_with_the_client_whose_pipe_they_inherit(tmp_path: Path, running: Callable[..., None]) -> None:
    read_end, write_end = os.pipe()
    launcher = LocalLauncher(tmp_path / "logs", parent_fd=read_end)
    running(launcher)
    os.close(write_end)  # As the kernel does it when the client dies.
    assert "ended with exit code 0: the parent is gone" in wait_for_the_end(launcher).message
    launcher.close()
    os.close(read_end)


def test_workers_end_with_a_factory_that_is_killed(tmp_path: Path) -> None:
    # Given a launcher in a process of its own, whose worker holds the write end of our pipe as its output
    read_end, write_end = os.pipe()
    script = (
        "import os, sys; from pathlib import Path\n"
        "from vine_factory.launchers.local import LocalLauncher\n"
        f"launcher = LocalLauncher(Path({str(tmp_path)!r}), parent_fd=None)\n"
        "worker = 'import os, sys; os.read(int(sys.argv[-1]), 1)'\n"
        "launcher._start([sys.executable, '-c', worker, str(launcher._watched_fd)], int(sys.argv[1]))\n"
        "print('started', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(write_end)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=(write_end,),
    ) as factory:
        os.close(write_end)
        assert factory.stdout is not None and factory.stdout.readline() == b"started\n"
        # When the factory is killed
        factory.send_signal(signal.SIGKILL)
    # Then the worker ends too: nobody is left who could write to our pipe.
    assert os.read(read_end, 1) == b""
    os.close(read_end)


def test_a_command_that_does_not_exist_is_a_launch_that_failed(launcher: LocalLauncher) -> None:
    with pytest.raises(LaunchFailed, match=r"cannot start worker local-1 .* No such file"):
        launcher.submit(ONE, ["/nonexistent/program"])
    assert launcher.query(0.0) == []


def test_a_log_that_cannot_be_written_is_a_launch_that_failed(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    launcher = LocalLauncher(tmp_path / "logs", parent_fd=None)
    with pytest.raises(LaunchFailed, match=r"with its log at .*local-1\.log"):
        launcher.submit(ONE, [sys.executable])
    launcher.close()


# --- sizes ---------------------------------------------------------------------------------------


def test_workers_share_the_machine_evenly() -> None:
    machine = Resources(cores=16, memory_mb=64_000, disk_mb=100_001)
    assert share_of_machine(machine, 4, Request()) == Resources(4, 16_000, 25_000, 0)


def test_a_worker_has_a_core_at_least() -> None:
    assert share_of_machine(Resources(cores=2), 8, Request()).cores == 1


def test_what_was_asked_for_is_given() -> None:
    asked = Request(cores=0.5, memory_mb=10, disk_mb=20, gpus=1)
    assert share_of_machine(Resources(cores=2), 8, asked) == Resources(0.5, 10, 20, 1)


def test_a_factory_of_no_workers_still_has_a_size() -> None:
    assert share_of_machine(Resources(cores=2), 0, Request()).cores == 2


def test_the_machine_is_measured_where_the_workspace_will_be(tmp_path: Path) -> None:
    machine = measure_machine(tmp_path / "not" / "yet" / "made")
    assert machine.cores >= 1 and machine.memory_mb > 0 and machine.disk_mb > 0


@pytest.mark.parametrize(("visible", "given"), [(None, ["0,1", "2,3"]), ("4,GPU-1a,7,2", ["4,GPU-1a", "7,2"])])
def test_no_two_workers_have_the_same_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, given: list[str]
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    launcher = LocalLauncher(tmp_path / "logs", parent_fd=None, gpus=2)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    say = (
        "import os, sys; open(sys.argv[1], 'w').write(os.environ['CUDA_VISIBLE_DEVICES']); os.read(int(sys.argv[3]), 1)"
    )
    seen = []
    for name in ("local-1", "local-2"):
        launcher.submit(WorkerId(name), [sys.executable, "-c", say, str(fifo)])
        seen.append(fifo.read_text())
    assert seen == given
    if visible is not None:
        with pytest.raises(LaunchFailed, match="has only 0 GPUs that no other worker has"):
            launcher.submit(WorkerId("local-3"), [sys.executable, "-c", say, str(fifo)])
    launcher.close()
