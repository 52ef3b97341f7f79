"""Is a file that still arrives read as the whole one would be, and nothing of it before it may be?"""

from __future__ import annotations

import gzip
import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.content.test_compression import COMPRESSORS, noted
from vine.content.compression import blocks_in
from vine.content.prefix import PrefixFile, PrefixReader, listen, note_of, open_whole

CONTENT = random.Random(2).randbytes(60_000) + bytes(300_000) + random.Random(3).randbytes(60_000)
PACKED = {kind: compress(CONTENT) for kind, compress in COMPRESSORS.items()}
PACKED["noted"] = noted(CONTENT, 50_000)

steps = st.lists(st.integers(1, 100_000) | st.integers(1, 20), max_size=20)


def arriving(path: Path, whole: bytes) -> tuple[PrefixFile, Callable[[int], None]]:
    """A file of the whole's size, and what lets it grow: beyond its prefix there is only rubbish."""
    path.write_bytes(b"\xff" * len(whole))
    file = PrefixFile(os.open(path, os.O_RDONLY), len(whole))
    written = os.open(path, os.O_WRONLY)
    here = 0

    def grow(step: int) -> None:
        nonlocal here
        end = min(here + step, len(whole))
        os.pwrite(written, whole[here:end], here)
        here = end
        file.reaches(here)
        if here == len(whole):
            os.close(written)

    return file, grow


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(sorted(PACKED)), steps=steps)
def test_whatever_the_steps_in_which_it_grows_its_content_is_that_of_the_whole(
    kind: str, steps: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    # given a compressed file of which nothing is here yet, and a reader of it
    path = tmp_path_factory.mktemp("prefix") / "file"
    file, grow = arriving(path, PACKED[kind])
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(lambda: b"".join(blocks_in(PrefixReader(file))))
        # when it grows by these steps and then by the rest, then the reader has read what was packed
        left = len(PACKED[kind])
        for step in [*steps, left]:
            grow(step)
            left -= step
            if left <= 0:
                break
        assert read.result(20) == CONTENT


@pytest.mark.parametrize("cores", [1, 4])
@pytest.mark.parametrize("more", [0, 10, 40])
def test_frames_that_are_here_are_given_out_before_the_next_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: int, cores: int
) -> None:
    # given the first two frames of an archive of ours, and nothing or not all of the third
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    packed = PACKED["noted"]
    third = packed.index(packed[:8], packed.index(packed[:8], 1) + 1)
    file, grow = arriving(tmp_path / "file", packed)
    grow(third + more)
    # when it is read, then the content of both is given out
    blocks = blocks_in(PrefixReader(file))
    assert next(blocks) + next(blocks) == CONTENT[:100_000]
    # and the rest comes when that has
    grow(len(packed))
    assert b"".join(blocks) == CONTENT[100_000:]


def test_a_reader_that_stops_early_does_not_wait_for_the_rest(tmp_path: Path) -> None:
    # given a reader whose helper waits for bytes that do not come
    before = set(threading.enumerate())
    packed = gzip.compress(random.Random(4).randbytes(3_000_000))
    file, grow = arriving(tmp_path / "file", packed)
    grow(600_000)
    blocks = blocks_in(PrefixReader(file))
    next(blocks)
    # when it has had enough, then nobody waits
    blocks.close()
    assert set(threading.enumerate()) == before


def test_notes_count_however_they_are_cut_and_only_the_last_one_matters(tmp_path: Path) -> None:
    file, _grow = arriving(tmp_path / "file", bytes(1000))
    ours, theirs = os.pipe()
    said = note_of(10) + note_of(600) + note_of(700)
    os.write(theirs, said[:13])
    listener = threading.Thread(target=listen, args=(ours, file))
    listener.start()
    os.write(theirs, said[13:])
    os.close(theirs)
    listener.join()
    os.close(ours)
    assert len(file.read(1000) or b"") == 700
    file.close()


def test_a_prefix_never_shrinks_and_ends_with_the_file(tmp_path: Path) -> None:
    file, _grow = arriving(tmp_path / "file", bytes(10))
    file.reaches(50)
    file.reaches(3)
    with PrefixReader(file) as reader:
        assert len(reader.read(1000)) == 10


def test_a_whole_file_is_all_prefix(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    with open_whole(tmp_path / "file") as reader:
        assert reader.read(4) == b"0123"
        assert reader.seek(-2, os.SEEK_END) == 8
        assert reader.read(4) == b"89"
