"""Do workers on this machine start, end when asked, and never outlive client and factory? With real processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.factory.made import names, packed, plan_in
from tests.waiting import until
from vine import config
from vine.names import WorkerId
from vine.wire.parts import Request, Resources
from vine_factory.fleet import JobState
from vine_factory.launchers.interface import LaunchFailed
from vine_factory.launchers.local import LocalLauncher, measure_machine, share_of_machine

ONE = WorkerId("local-1")
ONLY = (ONE,)
pytestmark = pytest.mark.live

# A stand-in for a worker: it says in a FIFO that it runs, then waits for its parent's pipe to end.
WORKER = """
import os, signal, sys
{setup}
open({fifo!r}, "w").write("running")
os.read(int(sys.argv[sys.argv.index("--parent-fd") + 1]), 1)
print("the parent is gone")
"""


class Launching:
    """A launcher whose workers run the code that a test gives, and whose clock the test sets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 0.0
        self.fifo = folder / "fifo"
        self.launcher: LocalLauncher
        os.mkfifo(self.fifo)

    def start(self, code: str, *worker_ids: WorkerId, parent_fd: int | None = None, **options: int) -> LocalLauncher:
        plan = plan_in(self.folder, code, **options)
        self.launcher = LocalLauncher(plan, self.folder / "logs", parent_fd, lambda: self.now)
        self.launcher.submit(worker_ids or ONLY)
        return self.launcher

    def running(self, setup: str = "", parent_fd: int | None = None) -> LocalLauncher:
        """One that runs, after some code of its own."""
        launcher = self.start(WORKER.format(setup=setup, fifo=str(self.fifo)), parent_fd=parent_fd)
        assert self.fifo.read_text() == "running"  # Blocks until the stand-in has written.
        return launcher

    def last_words(self) -> str:
        """Of the one worker, once the operating system knows that it has ended."""
        [job] = self.launcher._jobs.values()
        os.waitid(os.P_PID, job.process.pid, os.WEXITED | os.WNOWAIT)
        assert self.launcher.query() == {}
        return self.launcher.last_words(ONE)


@pytest.fixture
def launching(tmp_path: Path) -> Iterator[Launching]:
    launching = Launching(tmp_path)
    yield launching
    for job in launching.launcher._jobs.values():
        job.process.kill()
        job.process.wait()
    launching.launcher.close()


def test_a_worker_that_has_ended_is_listed_no_more_and_has_its_code_and_last_words(launching: Launching) -> None:
    launching.start("import sys; print('tried', flush=True); sys.exit('no such key\\n')")
    log = launching.folder / "logs" / "local-1.log"
    assert launching.last_words() == f"ended with exit code 1: no such key (log: {log})"
    assert log.read_text().strip() == "tried\nno such key"


def test_a_worker_that_is_killed_is_told_by_its_signal(launching: Launching) -> None:
    launching.start("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert launching.last_words().startswith("was ended by SIGKILL (log: ")


def test_workers_have_their_own_names_and_what_the_plan_says(launching: Launching) -> None:
    say = f"import sys; open({str(launching.fifo)!r}, 'w').write(' '.join(sys.argv[1:]))"
    launching.start(say, *names(7), cores=2, memory=10, disk=20)
    said = launching.fifo.read_text()
    assert said.startswith("-m vine_worker.main --worker-id local-7 --connection ")
    assert "--cores 2 --memory 10 --disk 20 --gpus 0 --parent-fd" in said


def test_a_running_worker_is_listed(launching: Launching) -> None:
    assert launching.running().query() == {ONE: JobState.RUNNING}


def test_a_cancelled_worker_is_asked_to_end(launching: Launching) -> None:
    launching.running("signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))").cancel(ONLY)
    assert launching.last_words().startswith("ended with exit code 0")


def test_a_cancelled_worker_that_does_not_listen_is_killed_after_its_grace(launching: Launching) -> None:
    launcher = launching.running("signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    launching.now = 100.0
    launcher.cancel(ONLY)
    launching.now = 100.0 + config.worker_stop_grace_s - 0.01
    assert launcher.query() == {ONE: JobState.RUNNING}
    launcher.cancel(ONLY)  # Said again, it gives no more time.
    launching.now = 100.0 + config.worker_stop_grace_s
    launcher.query()
    assert launching.last_words().startswith("was ended by SIGKILL")


def test_a_worker_in_an_unpacked_environment_is_killed_with_its_script_which_removes_that(
    launching: Launching, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a worker that does not listen, in an environment that its script has unpacked
    (node := launching.folder / "node").mkdir()
    monkeypatch.setenv("TMPDIR", str(node))
    deaf = f"case $1 in -m) trap '' TERM; echo $$ > {launching.fifo}; while :; do sleep 0.01; done;; esac"
    plan = plan_in(launching.folder, worker_environment=str(packed(launching.folder, deaf)))
    launching.launcher = launcher = LocalLauncher(plan, launching.folder / "logs", None, lambda: launching.now)
    launcher.submit(ONLY)
    worker = psutil.Process(int(launching.fifo.read_text()))
    assert list(node.iterdir())
    # When it is cancelled, and its grace is over
    launcher.cancel(ONLY)
    launching.now = config.worker_stop_grace_s
    launcher.query()
    # Then the script has seen its end, and nothing is left
    # (It tells the worker's code, or that it was itself asked to end when the worker did.)
    assert re.match(r"ended with exit code (137|143)\b", launching.last_words())
    assert not worker.is_running()
    assert list(node.iterdir()) == []


def test_a_script_that_does_not_end_with_its_worker_is_killed_when_the_grace_is_over_again(
    launching: Launching,
) -> None:
    endless = f"while :; do echo running > {launching.fifo}; sleep 1000 || true; done"
    plan = plan_in(launching.folder, setup=(f"trap '' TERM; {endless}",))
    launching.launcher = launcher = LocalLauncher(plan, launching.folder / "logs", None, lambda: launching.now)
    launcher.submit(ONLY)
    assert launching.fifo.read_text() == "running\n"
    until(psutil.Process(launcher._jobs[ONE].process.pid).children, "it waits for its next command")
    launcher.cancel(ONLY)
    launching.now = config.worker_stop_grace_s
    launcher.query()
    assert launching.fifo.read_text() == "running\n"  # Its first command was killed, and it goes on.
    launching.now += config.worker_stop_grace_s
    launcher.query()
    assert launching.last_words().startswith("was ended by SIGKILL")


def test_cancelling_who_is_not_there_does_nothing(launching: Launching) -> None:
    launcher = launching.running()
    launcher.cancel(names(5))
    assert launcher.query() == {ONE: JobState.RUNNING}


def test_workers_end_with_the_client_whose_pipe_they_inherit(launching: Launching) -> None:
    read_end, write_end = os.pipe()
    launching.running(parent_fd=read_end)
    os.close(write_end)  # As the kernel does it when the client dies.
    assert launching.last_words().startswith("ended with exit code 0: the parent is gone")
    os.close(read_end)


def in_a_process(script: str, *inherited: int) -> subprocess.Popen[bytes]:
    """This code runs beside us, as one that can be killed."""
    path = os.pathsep.join([os.getcwd(), *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        pass_fds=inherited,
        env={**os.environ, "PYTHONPATH": path},
    )


class KilledFactory:
    """A launcher in a process that is killed; its worker lives until our end of its client's pipe is closed."""

    def __init__(self, folder: Path, **options: int) -> None:
        read_end, self._write_end = os.pipe()
        os.mkfifo(fifo := folder / "fifo")
        worker = WORKER.format(setup="", fifo=str(fifo))
        script = (
            "import sys; from pathlib import Path\n"
            "from tests.factory.made import plan_in\n"
            "from vine_factory.launchers.local import LocalLauncher\n"
            f"folder, worker, options = Path({str(folder)!r}), {worker!r}, {options!r}\n"
            f"LocalLauncher(plan_in(folder, worker, **options), folder, {read_end}).submit(['local-1-1'])\n"
            "sys.stdin.read()"
        )
        with in_a_process(script, read_end) as process:
            assert fifo.read_text() == "running"
            process.kill()
        self.read_end = read_end
        self.plan = plan_in(folder, worker, **options)

    def end_client(self) -> None:
        for descriptor in (self._write_end, self.read_end):
            os.close(descriptor)


LEFT = WorkerId("local-1-1")


def test_workers_of_a_factory_that_was_killed_are_taken_over_by_the_next_one_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    killed = KilledFactory(tmp_path, gpus=1)
    launcher = LocalLauncher(killed.plan, tmp_path, killed.read_end)
    assert launcher.query() == {LEFT: JobState.RUNNING}
    with pytest.raises(LaunchFailed, match="has only 0 GPUs that no other worker has"):
        launcher.submit([WorkerId("local-2-1")])
    # One of another name has nothing to do with them.
    other = replace(killed.plan, factory="other")
    assert LocalLauncher(other, tmp_path, killed.read_end).query() == {}
    # They are ended as its own, and known no more.
    launcher.cancel([LEFT])
    until(lambda: launcher.query() == {}, "it is gone")
    assert launcher.last_words(LEFT).startswith("ended (log: ")
    assert LocalLauncher(killed.plan, tmp_path, killed.read_end).query() == {}
    assert not list(killed.plan.scratch.glob("*.process"))
    killed.end_client()


def test_workers_end_with_a_factory_that_is_killed_and_has_no_client(tmp_path: Path) -> None:
    # Given a launcher in a process of its own, whose worker holds the write end of our FIFO
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    worker = (
        f"import os, sys; held = open({str(fifo)!r}, 'w'); held.write('running'); held.flush(); "
        "os.read(int(sys.argv[-1]), 1)"
    )
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.factory.made import names, plan_in\n"
        "from vine_factory.launchers.local import LocalLauncher\n"
        f"folder = Path({str(tmp_path)!r})\n"
        f"LocalLauncher(plan_in(folder, {worker!r}), folder, parent_fd=None).submit(names(1))\n"
        "sys.stdin.read()"
    )
    with in_a_process(script) as factory:
        with fifo.open() as said:
            assert said.read(7) == "running"
            # When the factory is killed
            factory.send_signal(signal.SIGKILL)
            # Then the worker ends too: nobody is left who could write to our FIFO.
            assert said.read() == ""


def test_an_interpreter_that_does_not_exist_is_told(launching: Launching) -> None:
    plan = replace(plan_in(launching.folder), python="/nonexistent/python")
    launching.launcher = LocalLauncher(plan, launching.folder / "logs", parent_fd=None)
    launching.launcher.submit(ONLY)
    words = launching.last_words()
    assert words.startswith("ended with exit code 127: ") and "/nonexistent/python" in words


def test_a_log_that_cannot_be_written_is_a_launch_that_failed(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    launcher = LocalLauncher(plan_in(tmp_path), tmp_path / "logs", parent_fd=None)
    with pytest.raises(LaunchFailed, match=r"with its log at .*local-1\.log"):
        launcher.submit(ONLY)
    assert launcher.query() == {}
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
    launching: Launching, monkeypatch: pytest.MonkeyPatch, visible: str | None, given: list[str]
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    say = (
        f"import os, sys; open({str(launching.fifo)!r}, 'w').write(os.environ['CUDA_VISIBLE_DEVICES']); "
        "os.read(int(sys.argv[-1]), 1)"
    )
    launcher = launching.start(say, ONE, gpus=2)
    seen = [launching.fifo.read_text()]
    launcher.submit(names(2))
    assert [*seen, launching.fifo.read_text()] == given
    if visible is not None:
        with pytest.raises(LaunchFailed, match="has only 0 GPUs that no other worker has"):
            launcher.submit(names(3))


def test_of_workers_that_are_launched_together_all_start_or_none(
    launching: Launching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    launcher = launching.running()
    monkeypatch.setattr(launcher, "_gpus", 1)
    with pytest.raises(LaunchFailed):
        launcher.submit(names(2, 3, 4))
    assert launcher.query() == {ONE: JobState.RUNNING}
