"""How do archives become directory objects: by a process each, so that the worker's loop and its lock stay free?"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from vine import config
from vine.errors import ExitCode, VineError
from vine_worker import actions as act
from vine_worker.holdings import Holdings
from vine_worker.process import is_disk_full


class Unpacking:
    """The unpackings that run now."""

    def __init__(self, holdings: Holdings, report: Callable[[object], None]) -> None:
        self._holdings = holdings
        self._report = report  # takes local events, from any thread
        self._threads = ThreadPoolExecutor(2, "unpack")
        self._running: set[subprocess.Popen[str]] = set()
        self._closed = threading.Event()

    def start(self, action: act.StartUnpack) -> None:
        """Unpacks on a thread; reports `Unpacked`."""
        self._threads.submit(self._run, action)

    def _run(self, action: act.StartUnpack) -> None:
        try:
            self._report(self._unpacked(action))
        except BaseException as why:
            self._report(why)  # Our own mistake: the worker must not go on as if all were well.
            raise

    def _unpacked(self, action: act.StartUnpack) -> act.Unpacked:
        store = self._holdings.store
        self._wait_for_mates(action)
        if store.find(action.object_id):
            return act.Unpacked(action.object_id)  # Another worker of this host has done it.
        try:
            folder = store.begin_tree(action.object_id)
            archive = self._holdings.path(action.archive)
            bounds = ["--bytes-max", str(store.room_bytes())]
            with subprocess.Popen(
                [sys.executable, "-m", "vine.content.archive", str(archive), str(folder), *bounds],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            ) as process:
                self._running.add(process)
                if self._closed.is_set():
                    process.kill()
                said = process.communicate()[1].strip()
                self._running.discard(process)
            if process.returncode:
                store.discard_tree(action.object_id)
                reason = said.splitlines()[-1] if said else f"exit code {process.returncode}"
                message = f"{action.label} could not be unpacked: {reason}"
                return act.Unpacked(action.object_id, message, process.returncode == ExitCode.NO_SPACE)
            store.commit_tree(action.object_id)
        except (OSError, VineError) as why:
            store.discard_tree(action.object_id)
            message = f"{action.label} could not be unpacked: {why}"
            return act.Unpacked(action.object_id, message, is_disk_full(why))
        return act.Unpacked(action.object_id)

    def _wait_for_mates(self, action: act.StartUnpack) -> None:
        """While another worker of this host unpacks it; but one that was stopped may never come to its end."""
        for _ in range(int(config.mate_unpacks_max_s / config.mate_look_s)):
            if not self._holdings.store.is_made_elsewhere(action.object_id) or self._closed.wait(config.mate_look_s):
                return

    def close(self) -> None:
        self._closed.set()
        for process in list(self._running):
            process.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)
