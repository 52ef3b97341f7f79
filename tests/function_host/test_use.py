"""Is what a process has used told as the kernel counts it?"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from vine_function_host import use


def test_processor_time_is_that_of_this_process_and_of_those_it_waited_for() -> None:
    before_s = use.cpu_s()
    child = os.fork()
    if not child:
        while use.cpu_s() < 0.1:  # A fork's begins at nothing.
            pass
        os._exit(0)
    os.waitpid(child, 0)
    assert use.cpu_s() >= before_s + 0.05  # Each of the figures that are added up is rounded.


def test_memory_is_told_without_the_files_that_are_mapped(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(64 << 20))
    before_kb = use.own_kb()
    with (tmp_path / "file").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert sum(mapped[::4096]) == 0
        assert use.own_kb() - before_kb < 32 << 10
    written = bytearray(b"x") * (64 << 20)
    assert use.own_kb() - before_kb >= len(written) >> 10


def test_the_most_memory_is_counted_anew() -> None:
    most_kb = len(bytearray(b"x") * (64 << 20)) and use.most_kb()
    use.count_most_anew()
    assert use.most_kb() < most_kb - (32 << 10)
