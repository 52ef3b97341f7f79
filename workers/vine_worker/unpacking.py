"""How do archives become directory objects: by a process each, so that the worker's loop and its lock stay free?"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import msgspec

from vine import config
from vine.content.folders import Contents
from vine.content.prefix import note_of
from vine.errors import ExitCode, VineError
from vine.names import ObjectId
from vine_worker import actions as act
from vine_worker import mistakes
from vine_worker.holdings import Holdings
from vine_worker.process import is_disk_full


class Unpacking:
    """The unpackings that run now."""

    def __init__(self, holdings: Holdings, report: Callable[[object], None]) -> None:
        self._holdings = holdings
        self._report = report  # takes local events, from any thread
        # Those that wait for bytes have threads of their own: they must not hold up the others.
        self._threads = ThreadPoolExecutor(config.unpackings_max, "unpack")
        self._threads_ahead = ThreadPoolExecutor(config.unpackings_ahead_max, "unpack-ahead")
        self._running: dict[ObjectId, _Unpacking] = {}

    def start(self, order: act.StartUnpack) -> None:
        """Unpacks on a thread; reports `Unpacked`."""
        running = self._running[order.object_id] = _Unpacking(order)
        (self._threads_ahead if order.ahead else self._threads).submit(self._run, running)

    def archive_came(self, action: act.ArchiveCame) -> None:
        """What is unpacked of it may be kept."""
        if (running := self._running.get(action.object_id)) is not None:
            running.archive_came()

    def stop(self, action: act.StopUnpack) -> None:
        """Ends it if it has not ended yet; it reports all the same."""
        if (running := self._running.get(action.object_id)) is not None:
            running.cut()

    def _run(self, running: _Unpacking) -> None:
        with mistakes.told_to(self._report):
            unpacked = self._unpacked(running)
            del self._running[running.order.object_id]
            self._report(unpacked)

    def _unpacked(self, running: _Unpacking) -> act.Unpacked:
        order, store = running.order, self._holdings.store
        reason, disk_full, archive = "", False, Path()
        self._wait_for_mates(running)
        if not running.is_cut and store.find(order.object_id):
            return act.Unpacked(order.object_id)  # Another worker of this host has done it.
        try:
            archive, descriptor = self._opened(running)
            if descriptor is None:
                return act.Unpacked(order.object_id, cut=True)
            with os.fdopen(descriptor, "rb") as reading, os.fdopen(os.memfd_create("unpacked"), "rb") as report:
                arguments = self._arguments(order, archive, reading, report)
                code, said = running.run(arguments, (reading.fileno(), report.fileno()))
                if code == 0 and running.may_be_kept():
                    report.seek(0)
                    store.commit_tree(order.object_id, msgspec.msgpack.decode(report.read(), type=Contents))
                    return act.Unpacked(order.object_id)
            reason = said.splitlines()[-1] if said else f"exit code {code}"
            disk_full = code == ExitCode.NO_SPACE
        except (OSError, VineError) as why:
            reason, disk_full = str(why), is_disk_full(why)
        store.discard_tree(order.object_id)
        if running.is_cut:
            return act.Unpacked(order.object_id, cut=True)
        # The label says which file it is; where that lies here is nobody's concern.
        reason = reason.replace(f"{archive}: ", "").replace(str(archive), "it") if archive.name else reason
        return act.Unpacked(order.object_id, f"{order.label} could not be unpacked: {reason}", disk_full)

    def _arguments(self, order: act.StartUnpack, archive: Path, reading: BinaryIO, report: BinaryIO) -> list[str]:
        store = self._holdings.store
        folder = store.begin_tree(order.object_id)
        bounds = ["--bytes-max", str(store.room_bytes()), "--arriving", str(reading.fileno())]
        place = ["--place", str(store.place_of_tree(order.object_id)), "--report", str(report.fileno())]
        return [str(archive), str(folder), *bounds, *place]

    def _wait_for_mates(self, running: _Unpacking) -> None:
        """While another worker of this host unpacks it; but one that was stopped may never come to its end.

        It looks again and again: what another process has done to the folder tells nobody.
        """
        for _ in range(int(config.mate_unpacks_max_s / config.mate_look_s)):
            mates_do = self._holdings.store.is_made_elsewhere(running.order.object_id)
            if not mates_do or running.is_cut_within(config.mate_look_s):
                return

    def _opened(self, running: _Unpacking) -> tuple[Path, int | None]:
        """Where the archive lies, and a descriptor of it; none if it neither arrives nor is here."""
        archive = running.order.archive
        if running.order.ahead:
            partial = self._holdings.store.arriving(archive)
            descriptor = None if partial is None else partial.follow(running.told)
            if partial is not None and descriptor is not None:
                running.follows(os.fstat(descriptor).st_size)
                return partial.path, descriptor
        try:
            path = self._holdings.path(archive)
        except KeyError:
            return Path(), None
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        running.told(os.fstat(descriptor).st_size)
        return path, descriptor

    def close(self) -> None:
        for running in list(self._running.values()):
            running.cut()
        for threads in (self._threads, self._threads_ahead):
            threads.shutdown(wait=True, cancel_futures=True)


class _Unpacking:
    """One that is under way: what its process is to hear, and what is to become of it."""

    def __init__(self, order: act.StartUnpack) -> None:
        self.order = order
        self.is_cut = False  # It ends before its end, and nobody is to blame.
        self._here_bytes = 0
        self._size_bytes = 0  # of an archive that it reads while that comes
        self._archive_is_here = not order.ahead
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False
        self._changed = threading.Condition()

    # --- what others say, on any thread ---

    def told(self, here_bytes: int | None) -> None:
        """So much of the archive may be read; None: what had come of it is gone."""
        if here_bytes is None:
            self.cut()
            return
        with self._changed:
            self._here_bytes = max(self._here_bytes, here_bytes)
            self._changed.notify_all()

    def archive_came(self) -> None:
        with self._changed:
            self._archive_is_here = True
            self._changed.notify_all()
            self._begin_anew_if_passed()

    def _begin_anew_if_passed(self) -> None:
        """The archive may have come by another way than what is read, which nobody need complete any more."""
        if self._archive_is_here and self._here_bytes < self._size_bytes and not self._ended:
            self.cut()

    def cut(self) -> None:
        with self._changed:
            self.is_cut = True
            if self._process is not None:
                self._process.kill()
            self._changed.notify_all()

    # --- its own thread ---

    def follows(self, size_bytes: int) -> None:
        """What it reads is still to come, up to this size."""
        with self._changed:
            self._size_bytes = size_bytes
            self._begin_anew_if_passed()

    def is_cut_within(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.is_cut, seconds)

    def run(self, arguments: list[str], descriptors: tuple[int, ...]) -> tuple[int, str]:
        """Lets a process unpack; returns its exit code and what it complained of."""
        with subprocess.Popen(
            [sys.executable, "-m", "vine.content.archive", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=descriptors,
        ) as process:
            assert process.stdin is not None and process.stderr is not None
            with self._changed:
                self._process = process
                if self.is_cut:
                    process.kill()
            feeder = threading.Thread(target=self._feed, args=(process.stdin,), name="unpack-feed")
            feeder.start()
            complaints = b""
            while piece := process.stderr.read(1 << 16):
                complaints += piece
            code = process.wait()
            with self._changed:
                self._process, self._ended = None, True
                self._changed.notify_all()
            feeder.join()  # Before the pipe is closed: the process takes its end for ours.
        return code, complaints.decode(errors="replace").strip()

    def _feed(self, pipe: BinaryIO) -> None:
        """Tells the process how far it may read: the last word, however many there were since the one before."""
        said = 0
        with contextlib.suppress(BrokenPipeError):
            while (here_bytes := self._next(said)) is not None:
                pipe.write(note_of(here_bytes))
                said = here_bytes

    def _next(self, said: int) -> int | None:
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._here_bytes > said)
            return None if self._ended else self._here_bytes

    def may_be_kept(self) -> bool:
        """Whether the archive is complete, now or in the end: what was unpacked may be ahead of its last chunk."""
        with self._changed:
            self._changed.wait_for(lambda: self.is_cut or self._archive_is_here)
            return not self.is_cut
