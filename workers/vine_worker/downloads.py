"""How do URLs become objects of the store: by a thread each, so that the worker's loop stays free?"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from vine import config
from vine.errors import VineError
from vine.names import TransferId
from vine.wire.parts import DownloadFault
from vine.wire.worker_messages import DownloadEnded, DownloadUrl
from vine_worker import mistakes
from vine_worker.holdings import Holdings
from vine_worker.process import is_disk_full

if TYPE_CHECKING:  # Most workers never download, and what speaks HTTP with TLS takes long to import.
    from vine_worker.web import Line

_log = logging.getLogger("vine.worker")


class Downloads:
    """The downloads that run now; the manager sees to it that they are few."""

    def __init__(self, holdings: Holdings, report: Callable[[object], None]) -> None:
        self._holdings = holdings
        self._report = report  # takes events, from any thread
        self._lines: dict[TransferId, Line] = {}
        self._threads: list[threading.Thread] = []

    def start(self, order: DownloadUrl) -> None:
        """Downloads on a thread; reports `DownloadEnded`, with the object pinned."""
        from vine_worker.web import Line

        line = self._lines[order.download_id] = Line()
        # A daemon: what looks up a host's name cannot be stopped, and must not keep the worker from ending.
        thread = threading.Thread(target=self._run, args=(order, line), name="download", daemon=True)
        self._threads = [*(other for other in self._threads if other.is_alive()), thread]
        thread.start()

    def stop(self, download_id: TransferId) -> None:
        """It ends soon, and is reported all the same."""
        line = self._lines.get(download_id)
        if line is not None:
            line.cut()

    def close(self) -> None:
        for line in list(self._lines.values()):
            line.cut()
        give_up_s = time.monotonic() + config.stop_grace_s
        for thread in self._threads:
            thread.join(max(0.0, give_up_s - time.monotonic()))

    def _run(self, order: DownloadUrl, line: Line) -> None:
        try:
            with mistakes.told_to(self._report):
                ended = self._ended(order, line)
                _log.info("download of %s: %s %s", order.label, ended.fault.value, ended.message)
                self._report(ended)
        finally:
            line.close()
            self._lines.pop(order.download_id, None)

    def _ended(self, order: DownloadUrl, line: Line) -> DownloadEnded:
        from vine_worker.retrieval import Retrieval
        from vine_worker.web import Trouble

        began_s = time.monotonic()
        received = 0

        def end(fault: DownloadFault, why: object) -> DownloadEnded:
            message = f"{order.label} could not be downloaded: {why}"
            return DownloadEnded(
                order.download_id,
                fault,
                received_bytes=received,
                seconds=time.monotonic() - began_s,
                message=message,
            )

        try:
            growing = self._holdings.store.begin_growing()
            retrieval = Retrieval(order.url, growing, line, line.was_cut.wait)
            try:
                retrieval.run()
                key, manifest = self._holdings.keep_grown(growing)
            finally:
                received = retrieval.received
                growing.discard()
        except Trouble as trouble:
            return end(trouble.fault, trouble)
        except (OSError, VineError) as why:
            return end(DownloadFault.DISK_FULL if is_disk_full(why) else DownloadFault.NOT_KEPT, why)
        seconds = time.monotonic() - began_s
        return DownloadEnded(order.download_id, DownloadFault.NONE, key, manifest, received, seconds)
