"""How long does a broadcast take with real processes: a manager and workers that were started by their commands."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import vine
from benchmarks.broadcast.outcome import BenchmarkError, Broadcast
from vine.content.hashing import manifest_of_file
from vine.content.manifest import object_id
from vine.errors import VineError
from vine.names import ObjectId
from vine.views.reading import open_run

_READY_S = 120.0  # The most that manager or workers may take to come.
_DONE_S = 1800.0  # The most that a broadcast may take before it is called lost.
_TOLD_S = 5.0  # Workers tell once a second what they have sent.
_END_S = 15.0  # From SIGTERM to SIGKILL.
_BLOCK = 16 << 20


@dataclass(frozen=True, slots=True)
class Where:
    """A place in which a program is started: what comes before its command, and how it is reached.

    Workers whose `host` has the same name are of one host and share its disk; without one each is a host of its own.
    """

    prefix: tuple[str, ...] = ()
    address: str = "127.0.0.1"
    host: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which programs are started, and where."""

    manager: Where
    workers: tuple[Where, ...]
    manager_options: tuple[str, ...] = ()


class Site:
    """A manager with its workers, ready to be given files."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        self._folder = folder
        self._programs: list[subprocess.Popen[str]] = []
        self._lifeline, self._lifeline_end = os.pipe()
        self.names = [f"w{number:02}" for number in range(len(layout.workers))]
        try:
            self._start_manager(layout)
            for name, where in zip(self.names, layout.workers, strict=True):
                self._start_worker(name, where)
            self.client = vine.Manager(connection=self._run_dir)
            self.client.wait_for_workers(len(self.names), timeout=_READY_S)
        except BaseException:
            self.close()
            raise

    def _start_manager(self, layout: Layout) -> None:
        self._run_dir = self._folder / "run"
        options = ("--run-dir", str(self._run_dir), "--bind", layout.manager.address, *layout.manager_options)
        program = self._start("manager", layout.manager, "vine.manager.main", *options)
        assert program.stdout is not None
        if not program.stdout.readline().startswith("ready "):
            raise BenchmarkError(f"the manager did not start: {(self._folder / 'manager.err').read_text().strip()}")

    def _start_worker(self, name: str, where: Where) -> None:
        host = where.host or name
        workspace = self._folder / f"workspace-{host}"
        who = ("--worker-id", name, "--host-name", f"host-{host}", "--feature", name)
        place = ("--connection", str(self._run_dir), "--workspace", str(workspace), "--address", where.address)
        self._start(name, where, "vine_worker.main", *who, *place, "--cores", "1", "--memory", "100")

    def _start(self, name: str, where: Where, module: str, *options: str) -> subprocess.Popen[str]:
        with (self._folder / f"{name}.err").open("wb") as complaints:
            program = subprocess.Popen(
                [*where.prefix, sys.executable, "-m", module, *options, "--parent-fd", str(self._lifeline)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                pass_fds=(self._lifeline,),
                start_new_session=True,  # A Ctrl-C is ours to handle.
            )
        self._programs.append(program)
        return program

    def close(self) -> None:
        """End everything. The lifeline ends what a signal to a prefix command would not reach."""
        client: vine.Manager | None = getattr(self, "client", None)
        if client is not None:
            with contextlib.suppress(VineError):
                client.close()
        for descriptor in (self._lifeline_end, self._lifeline):
            os.close(descriptor)
        end_at = time.monotonic() + _END_S
        for program in reversed(self._programs):
            program.send_signal(signal.SIGTERM)
        for program in self._programs:
            try:
                program.wait(max(0.1, end_at - time.monotonic()))
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()
            assert program.stdout is not None
            program.stdout.close()

    # --- one broadcast ---

    def broadcast(self, path: Path, plan: str, bound_s: float | None, params: Mapping[str, object]) -> Broadcast:
        """Let all workers get the file, and take it from them again."""
        before = self._sent()
        file = self.client.declare_file(path)
        file.path(_READY_S)  # It has been read and hashed.
        asked_at, began_s = time.time(), time.perf_counter()
        count = self.client.broadcast(file).result(_DONE_S)
        seconds = time.perf_counter() - began_s
        if count != len(self.names):
            raise BenchmarkError(f"{count} of {len(self.names)} workers got the file")
        size = path.stat().st_size
        spans = self._spans(object_id(manifest_of_file(path)[0]), asked_at)
        sent = self._when_told(before, size * count)
        self.client.undeclare_file(file)
        return Broadcast(
            plan=plan,
            workers=len(self.names),
            size_bytes=size,
            seconds=seconds,
            bound_s=bound_s,
            sent_bytes=sent,
            spans=spans,
            params=params,
        )

    def _spans(self, key: ObjectId, asked_at: float) -> dict[str, tuple[float, float]]:
        """From when to when each received, by when its file was made, and was put into its place."""
        folders = [next((self._folder / f"workspace-{name}").glob("vine-store-*")) for name in self.names]
        words = ["stat", "--format", "%.6W %.6Z", *(str(folder / "objects" / key) for folder in folders)]
        told = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
        times = [[float(word) - asked_at for word in line.split()] for line in told]
        return {name: (max(0.0, made), put) for name, (made, put) in zip(self.names, times, strict=True)}

    def _sent(self) -> dict[str, float]:
        """Bytes that each transfer node has sent since it started."""
        with open_run(self._run_dir) as run:
            row = run.snapshot()
        if row is None:
            return dict.fromkeys(("manager", *self.names), 0.0)
        workers = {worker["id"]: worker["sent_bytes"] for worker in row[1]["workers"]}
        return {"manager": row[1]["manager"]["sent_bytes"], **workers}

    def _when_told(self, before: dict[str, float], total: int) -> dict[str, float]:
        """What each has sent since then, once all that was received has been told, or would have been."""

        def since() -> dict[str, float]:
            return {name: sent - before.get(name, 0.0) for name, sent in self._sent().items()}

        give_up_at = time.monotonic() + _TOLD_S
        while sum((sent := since()).values()) < total and time.monotonic() < give_up_at:
            time.sleep(0.05)
        return sent


@contextmanager
def a_site(folder: Path, layout: Layout) -> Iterator[Site]:
    site = Site(folder, layout)
    try:
        yield site
    finally:
        site.close()


def write_random_file(path: Path, size: int) -> None:
    """Bytes that nothing compresses and no cache knows."""
    with path.open("wb") as file:
        for start in range(0, size, _BLOCK):
            file.write(os.urandom(min(_BLOCK, size - start)))
