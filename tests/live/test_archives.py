"""Bad archives are refused with a line each; nothing is written outside, and the worker goes on."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import vine
from tests.live.helpers import a_site, check_message, done, the_error
from vine.errors import TaskFailed


def member(name: str, kind: bytes = tarfile.REGTYPE, rest: bytes | str = b"", mode: int = 0o644) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.mode = kind, mode
    content = rest if isinstance(rest, bytes) else b""
    info.size, info.linkname = len(content), rest if isinstance(rest, str) else ""
    return info.tobuf() + content + bytes(-len(content) % 512)


def zeros(size: int) -> bytes:
    """A compressed archive of one file of so many zeros."""
    piece, info = gzip.compress(bytes(100_000_000), 1), tarfile.TarInfo("zeros")
    info.size = size
    return gzip.compress(info.tobuf()) + piece * (size // 100_000_000) + gzip.compress(bytes(10240))


def bad_archives(outside: Path) -> dict[str, tuple[bytes, str]]:
    """What each kind is, and what is said of it."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a"))
        big = tarfile.TarInfo("big")
        big.size = 1_000_000
        archive.addfile(big, io.BytesIO(os.urandom(1_000_000)))
    link = member("l", tarfile.SYMTYPE, str(outside))
    return {
        "absolute name": (member(f"{outside}/x"), "absolute"),
        "way up": (member("../../../../x"), "'..'"),
        "symlink, then write through it": (link + member("l/x", rest=b"yours"), "behind the link"),
        "symlink out": (link, "leads out"),
        "hardlink out": (member("h", tarfile.LNKTYPE, f"{outside}/mine"), "absolute"),
        "device": (member("d", tarfile.CHRTYPE), "no file, folder or link"),
        "fifo": (member("p", tarfile.FIFOTYPE), "no file, folder or link"),
        "setuid": (member("tool", rest=b"x", mode=0o4755), "as another user"),
        "name of 4 KiB": (member("n" * 4096), "shorten"),
        "name that is no UTF-8": (member("n\udcff"), "is no UTF-8"),
        "duplicate members": (member("f", rest=b"one") + member("f", rest=b"two"), "is there already"),
        "truncated": (whole.getvalue()[:-500], "damaged"),
        "10 GB of zeros": (zeros(10_000_000_000), "times its size"),
    }


def test_bad_archives_are_refused_with_one_line_and_the_worker_goes_on(tmp_path: Path) -> None:
    with a_site(tmp_path / "site", 1, "--disk", 50_000) as site, site.client() as manager:
        # given an archive of each bad kind, and what lies outside of where they are unpacked
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "mine").write_bytes(b"mine")
        archives = bad_archives(outside)
        folder = tmp_path / "archives"
        folder.mkdir()
        tasks = {}
        for number, (kind, (content, _)) in enumerate(archives.items()):
            compressed = content if content.startswith(b"\x1f\x8b") else gzip.compress(content + bytes(1024))
            (folder / f"{number}.tar.gz").write_bytes(compressed)
            tasks[kind] = vine.Task("true")
            tasks[kind].set_environment(manager.declare_environment(folder / f"{number}.tar.gz"))
        # when tasks want them
        done(manager, *tasks.values())
        # then each ends with a line that names its archive and says what is wrong with it
        for number, (kind, (_, said)) in enumerate(archives.items()):
            check_message(the_error(tasks[kind]), TaskFailed, f"{number}.tar.gz", said)
        # and nothing was written outside, nothing of them is left, and the worker runs the next task
        assert sorted(os.listdir(outside)) == ["mine"]
        assert (outside / "mine").stat().st_nlink == 1
        assert not list(tmp_path.rglob("x"))
        worker = site.workers["w0"]
        assert not [path for path in worker.workspace.rglob("*") if path.name in ("zeros", "tool", "f", "big")]
        task = vine.Task("echo fine")
        assert done(manager, task)[0].std_output == "fine\n"
        assert worker.process.poll() is None
