"""Every dialect of tar gives its members and their bytes; damage is told from content."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vine.content.tar_stream import BLOCK, Kind, Member, TarStream, _sum
from vine.errors import UnsafeArchive

DIALECTS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def tar(infos: list[tuple[tarfile.TarInfo, bytes]], dialect: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=dialect) as archive:
        for info, data in infos:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def named(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mtime = kind, target, 1_600_000_000
    return info


def cut(data: bytes, piece: int) -> Iterator[bytes]:
    return (data[at : at + piece] for at in range(0, len(data), piece))


def read(data: bytes, piece: int = 10_000) -> list[tuple[Member, bytes]]:
    stream = TarStream(cut(data, piece))
    return [(member, b"".join(stream.data())) for member in stream.members()]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["a", "folder/ü", "d" * 90 + "/" + "f" * 90])
def test_every_dialect_gives_names_times_modes_and_bytes(dialect: int, name: str) -> None:
    info = named(name)
    info.mode = 0o4755
    [(member, data)] = read(tar([(info, b"content")], dialect))
    assert (member.name, member.kind, member.mode, member.size) == (name, Kind.FILE, 0o4755, 7)
    assert (member.mtime_s, data) == (1_600_000_000, b"content")


@pytest.mark.parametrize("dialect", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_targets_arrive_whole(dialect: int) -> None:
    name, target = "/".join(["d" * 60] * 10), "/".join(["t" * 60] * 10)
    [(member, _), (after, _)] = read(tar([(named(name, tarfile.SYMTYPE, target), b""), (named("b"), b"")], dialect))
    assert (member.name, member.kind, member.target) == (name, Kind.LINK, target)
    assert (after.name, after.target) == ("b", "")


def test_kinds_are_told_apart() -> None:
    kinds = {
        tarfile.REGTYPE: Kind.FILE,
        tarfile.AREGTYPE: Kind.FILE,
        tarfile.DIRTYPE: Kind.FOLDER,
        tarfile.SYMTYPE: Kind.LINK,
        tarfile.LNKTYPE: Kind.HARD_LINK,
        tarfile.CHRTYPE: Kind.OTHER,
        tarfile.BLKTYPE: Kind.OTHER,
        tarfile.FIFOTYPE: Kind.OTHER,
        tarfile.GNUTYPE_SPARSE: Kind.OTHER,
    }
    data = tar([(named(f"m{number}", kind, "t"), b"") for number, kind in enumerate(kinds)], tarfile.GNU_FORMAT)
    assert [member.kind for member, _ in read(data)] == list(kinds.values())


def test_sizes_beyond_octal_digits_are_read() -> None:
    info = named("large")
    info.size = 9 << 30
    [member] = [next(TarStream(iter([info.tobuf(dialect)])).members()) for dialect in [tarfile.GNU_FORMAT]]
    assert member.size == 9 << 30
    pax = next(TarStream(iter([info.tobuf(tarfile.PAX_FORMAT)])).members())
    assert pax.size == 9 << 30


def test_members_whose_bytes_nobody_takes_are_passed_over() -> None:
    stream = TarStream(cut(tar([(named("a"), b"x" * 5000), (named("b"), b"y")]), 700))
    names = []
    for member in stream.members():
        names.append(member.name)
    assert names == ["a", "b"]


@settings(max_examples=50)
@given(contents=st.lists(st.binary(max_size=2000), max_size=5), piece=st.integers(1, 3000))
def test_blocks_may_be_cut_anywhere(contents: list[bytes], piece: int) -> None:
    data = tar([(named(f"{number}"), content) for number, content in enumerate(contents)])
    assert [content for _, content in read(data, piece)] == contents


@settings(max_examples=200)
@given(at=st.integers(0, 511), value=st.integers(0, 255))
def test_a_damaged_header_is_never_taken_for_a_sound_one(at: int, value: int) -> None:
    data = bytearray(tar([(named("name"), b"content")]))
    was, data[at] = data[at], value
    if was == value:
        return
    try:
        members = read(bytes(data))
    except UnsafeArchive:
        return
    assert 148 <= at < 156, f"byte {at} changed unnoticed: {members}"  # The checksum's own padding.


@given(st.binary(min_size=BLOCK, max_size=BLOCK) | st.just(b"\xff" * BLOCK))
def test_a_header_s_bytes_are_summed_as_python_sums_them(header: bytes) -> None:
    assert _sum(header) == sum(header)


@pytest.mark.parametrize("length", [1, 511, 600, 1024, 1500])
def test_an_archive_cut_short_is_refused(length: int) -> None:
    with pytest.raises(UnsafeArchive, match="cut short"):
        read(tar([(named("a"), b"x" * 600)])[:length])


def test_what_is_no_archive_is_refused() -> None:
    with pytest.raises(UnsafeArchive, match=r"no tar archive .plain, gz, bz2, xz or zst"):
        read(b"What is this? " * 100)
    with pytest.raises(UnsafeArchive, match=r"no tar archive .plain, gz, bz2, xz or zst.*cut short"):
        read(b"")


@pytest.mark.parametrize(
    "record", [b"9999 path=x\n", b"x path=y\n", b"0 \n", b"3 \n", b"-5 a=b\n", b"11 size=abc\n", b"11 size=-10\n"]
)
def test_a_damaged_pax_header_is_refused(record: bytes) -> None:
    info = named("pax", tarfile.XHDTYPE)
    info.size = len(record)
    data = info.tobuf() + record.ljust(512, b"\0") + tar([(named("a"), b"")])
    with pytest.raises(UnsafeArchive):
        read(data)


def test_a_header_that_claims_gigabytes_is_not_read() -> None:
    info = named("pax", tarfile.XHDTYPE)
    info.size = 1 << 32
    with pytest.raises(UnsafeArchive, match="header of"):
        read(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
