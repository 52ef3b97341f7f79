"""How does a program declare files to its run, spread them, and let go of them?"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import Future

from vine import config, errors
from vine.client.declarer import Declarer
from vine.client.files import File
from vine.client.session import Session
from vine.wire.messages import ForgetFiles, PruneFiles, ReplicateFile


class Declaring:
    """A manager's part that declares files; see `Manager`."""

    _session: Session
    _declarer: Declarer
    _temp_copies: int  # that are kept of each temporary file

    def check_own(self, file: File) -> None:
        if not isinstance(file, File) or not file.belongs_to(self._session):
            raise errors.UsageError(
                f"{file!r} is no file of this manager: declare it with this manager's declare_...()"
            )

    def enable_peer_transfers(self) -> None:
        """Workers have files of each other, as they do unless told otherwise."""
        self._declarer.from_peers = True

    def disable_peer_transfers(self) -> None:
        """As if every file that is declared from now on were so with `peer_transfer=False`."""
        self._declarer.from_peers = False

    def declare_file(
        self,
        path: str | os.PathLike[str],
        cache: str | bool = "workflow",
        peer_transfer: bool = True,
        unlink_when_done: bool = False,
    ) -> File:
        """A file or directory here, as an input; or where to bring an output.

        `cache` says how long workers keep it: for the "task" (or False), the "workflow" (or True), as long as the
        "worker" lives, or "forever", in its workspace, for the workers that start there in later runs.

        Without `peer_transfer` no worker has it of another one: each gets it from the manager. This holds for all
        kinds of files; what a worker has made, or downloaded, the manager then fetches, and passes on.

        With `unlink_when_done` what lies at the path is deleted once the file is undeclared and no task needs it any
        more, at the latest when this manager is closed. It is for what a program makes for its tasks, never for what
        cannot be replaced.

        UsageError for another `cache`, or a path that cannot travel. That nothing can be read there is told by the
        tasks that need it: `InputMissing`, or `InputChanged` for what has changed since.
        """
        return self._declarer.path(path, cache, peer_transfer, unlink_when_done)

    def declare_output(
        self, path: str | os.PathLike[str], cache: str | bool = "workflow", peer_transfer: bool = True
    ) -> File:
        """A file or directory that a task leaves and that comes to this path, whatever is there now."""
        return self._declarer.path(path, cache, peer_transfer, exists=False)

    def declare_buffer(
        self, data: bytes | str | None = None, cache: str | bool = "workflow", peer_transfer: bool = True
    ) -> File:
        """These bytes, or this text as UTF-8, as a file; None for an output whose `contents()` are read afterwards."""
        if data is None:
            return self._declarer.temp(cache, peer_transfer)
        if isinstance(data, int):  # bytes() would make so many zeros of it.
            raise errors.UsageError(f"{data!r} is no content for a file: give bytes or text")
        raw = data.encode() if isinstance(data, str) else bytes(data)
        return self._declarer.buffer(raw, cache=cache, peer_transfer=peer_transfer)

    def declare_url(self, url: str, cache: str | bool = "workflow", peer_transfer: bool = True) -> File:
        """What an http, https or file URL leads to: one worker downloads it, the others get it from there.

        Nothing is downloaded before a task, or `fetch_file`, needs it; then it is what the URL leads to in this run,
        under however many declarations, while workers have a copy. A user and password in the URL are sent as Basic
        authorisation to its host only, and shown nowhere. UsageError for any other scheme.
        """
        return self._declarer.url(url, cache, peer_transfer)

    def declare_temp(self, cache: str | bool = "workflow", peer_transfer: bool = True) -> File:
        """An output that stays on workers, to be other tasks' input; `fetch_file` brings it here.

        Lost copies are made again by the task that made them. `tune("temp-replica-count", n)` keeps n from then on.
        """
        file = self._declarer.temp(cache, peer_transfer)
        if self._temp_copies > 1:
            self.replicate(file, self._temp_copies)
        return file

    def declare_untar(self, archive: File, cache: str | bool = "workflow", peer_transfer: bool = True) -> File:
        """The directory that an archive (tar, plain or gz, bz2, xz, zst) unpacks to, once a host that needs it.

        UsageError for what is no declared file, or a directory already. That it cannot be unpacked, or would leave its
        directory, is told by the tasks that need it.
        """
        return self._declarer.untar(archive, cache, peer_transfer)

    def fetch_file(self, file: File, timeout: float | None = None) -> bytes:
        """The content of a file, brought from a worker if need be.

        TimeoutError after `timeout` seconds; TaskFailed if no task has made it, or that failed; UsageError for a
        directory, whose `path()` leads to it, or a file of another manager.
        """
        self.check_own(file)
        data: bytes = file.contents(timeout=timeout)
        return data

    def broadcast(self, file: File, workers: str | int | Iterable[str] = "all") -> Future[int]:
        """Bring a file to workers before any task needs it there; archives and environments are unpacked, too.

        To "all" workers: those that are connected, and each that joins while the file is declared. Or to a number
        of them, on different hosts as far as there are, which waits for more to join if need be. Or to those with
        the ids in a list, of which those that are not connected are passed over.

        The future resolves to the number of workers that have the file, as soon as all do: for "all", those that
        are connected by then, of which there must be one. A worker that is lost meanwhile, or has no room on its
        disk, is not waited for. Copies go for room like those that a task has left; `replicate` keeps some.
        A file that a task is to make is waited for until some task has made it, be it submitted later.
        Cancelling the future ends the waiting only; `prune_file` and `undeclare_file` end the broadcast.

        It fails with `FileMissing` (the file cannot be read, is not there, or was undeclared), `FileChanged`,
        `DependencyFailed` (the task that makes it did not succeed), `DiskFull` (no worker has room for it),
        `BroadcastFailed` (none of the workers is connected, or no source could deliver it), or `ManagerLost`.
        UsageError is raised at once for a file of another manager, or `workers` that name nobody.
        """
        self.check_own(file)
        return self._session.broadcast(file.file_id, workers)

    def replicate(self, file: File, copies: int) -> None:
        """Keep so many copies of a temp, or of any file, on workers: each on a host of its own, not given up for room.

        They are made when the file is, and again when one is lost: so the loss of a worker does not make the task
        run again that made the file. Where there are fewer hosts than copies, each has one, and those that join get
        theirs. 1 undoes it: further copies go when their room is needed. Returns at once.
        UsageError is raised for a file of another manager, or a number of copies below 1.
        """
        self.check_own(file)
        if isinstance(copies, bool) or not isinstance(copies, int) or not 1 <= copies <= config.workers_max:
            raise errors.UsageError(f"copies={copies!r} is no number of copies: give 1 or more")
        self._session.replicate(ReplicateFile(file.file_id, copies))

    def prune_file(self, file: File) -> None:
        """Drop its copies on workers, but for those that tasks need; it stays declared, and tasks may use it.

        Ends its broadcasts and the keeping of several copies. A temp that is pruned is made again for a later task
        that takes it.
        """
        self.check_own(file)
        self._session.say(PruneFiles((file.file_id,)))

    def undeclare_file(self, file: File) -> None:
        """No task submitted from now on will use it: its copies may go when nothing needs them."""
        self.check_own(file)
        self._session.say(ForgetFiles((file.file_id,)))
