"""An unpacked conda environment names the folder that it lies in, and nothing else in it has changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vine.content.relocation import relocate
from vine.errors import UnsafeArchive

OLD = "/opt/" + "placehold_" * 10
PLACE = Path("/scratch/space/objects/1234")


def made(root: Path, records: list[tuple[str, str, str]]) -> Path:
    (root / "bin").mkdir(parents=True)
    lines = ",\n".join(map(repr, records))
    script = f"#!/usr/bin/env python\nimport re\n\n_prefix_records = [\n{lines}\n]\n\nassert False, 'never run'\n"
    (root / "bin" / "conda-unpack").write_text(script)
    return root


def versions(root: Path) -> dict[str, tuple[bytes, int, int]]:
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mode, path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def test_what_is_listed_names_the_new_folder_and_nothing_else_is_touched(tmp_path: Path) -> None:
    # given a script, a program and a module that are listed, and others that name the old prefix too but are not
    root = made(
        tmp_path / "env",
        [("bin/tool", OLD, "text"), ("lib/lib.so", OLD, "binary"), ("lib/m.py", OLD, "text"), ("gone", OLD, "text")],
    )
    (root / "lib" / "__pycache__").mkdir(parents=True)
    (root / "bin" / "tool").write_bytes(f"#!{OLD}/bin/python\nprint('{OLD}')\n".encode())
    program = b"\x7fELF" + f"{OLD}/lib:{OLD}/lib64".encode() + b"\0next\0" + OLD.encode() + b"\0"
    (root / "lib" / "lib.so").write_bytes(program)
    (root / "lib" / "m.py").write_text(f"PREFIX = '{OLD}'\n")
    (root / "lib" / "other.txt").write_text(OLD)
    for name in ("m.cpython-311.pyc", "mm.cpython-311.pyc"):
        (root / "lib" / "__pycache__" / name).write_bytes(OLD.encode())
    for path in (root / "bin" / "tool", root / "lib" / "lib.so", root / "lib" / "m.py"):
        path.chmod(0o555)
        os.utime(path, (1_000_000_000, 1_000_000_000))
    (root / "bin" / "tool2").hardlink_to(root / "bin" / "tool")
    before = versions(root)
    # when it is made to run elsewhere
    pyc = "lib/__pycache__/m.cpython-311.pyc"
    assert relocate(root, PLACE) == {"bin/tool", "lib/lib.so", "lib/m.py", pyc}
    # then these name that folder, strings in programs at the same place, with the same modes and times
    after = versions(root)
    assert after["bin/tool"][0] == f"#!{PLACE}/bin/python\nprint('{PLACE}')\n".encode()
    moved = after["lib/lib.so"][0]
    assert len(moved) == len(program)
    assert moved.split(b"\0")[0] == f"\x7fELF{PLACE}/lib:{PLACE}/lib64".encode("latin-1")
    assert moved.index(b"next") == program.index(b"next")
    assert moved[program.rindex(OLD.encode()) :].rstrip(b"\0") == str(PLACE).encode()
    for name in ("bin/tool", "lib/lib.so", "lib/m.py"):
        assert after[name][1:] == before[name][1:]
    # and names of one file still are, and what was compiled of the old module has gone
    assert after["bin/tool2"] == after["bin/tool"]
    assert before.keys() - after.keys() == {pyc}
    for name in after.keys() - {"bin/tool", "bin/tool2", "lib/lib.so", "lib/m.py"}:
        assert after[name] == before[name]


def test_nothing_outside_is_relocated(tmp_path: Path) -> None:
    (tmp_path / "x").write_text(OLD)
    for name in ("../x", str(tmp_path / "x")):
        root = made(tmp_path / f"env{len(name)}", [(name, OLD, "text")])
        with pytest.raises(UnsafeArchive):
            relocate(root, PLACE)
    root = made(tmp_path / "env", [("link", OLD, "text")])
    (root / "link").symlink_to("../x")
    assert relocate(root, PLACE) == set()
    assert (tmp_path / "x").read_text() == OLD


def test_what_is_listed_behind_a_link_is_told_by_its_own_name(tmp_path: Path) -> None:
    root = made(tmp_path / "env", [("lib64/m.py", OLD, "text")])
    (root / "lib" / "__pycache__").mkdir(parents=True)
    (root / "lib64").symlink_to("lib")
    (root / "lib" / "m.py").write_text(f"PREFIX = '{OLD}'\n")
    (root / "lib" / "__pycache__" / "m.cpython-311.pyc").touch()
    assert relocate(root, PLACE) == {"lib/m.py", "lib/__pycache__/m.cpython-311.pyc"}


def test_a_prefix_that_a_program_has_no_room_for_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    root = made(tmp_path / "env", [("lib.so", "/opt/e", "binary")])
    (root / "lib.so").write_bytes(b"/opt/e/lib\0")
    with pytest.raises(UnsafeArchive, match="shorter --workspace"):
        relocate(root, PLACE)


@pytest.mark.parametrize("script", [None, b"#!/bin/sh\necho '\n", b"import os\n", b"\xff\0"])
def test_a_folder_without_a_list_stays_as_it_is(tmp_path: Path, script: bytes | None) -> None:
    (tmp_path / "bin").mkdir()
    if script is not None:
        (tmp_path / "bin" / "conda-unpack").write_bytes(script)
    before = versions(tmp_path)
    assert relocate(tmp_path, PLACE) == set()
    assert versions(tmp_path) == before


def test_a_damaged_list_is_told(tmp_path: Path) -> None:
    root = made(tmp_path / "env", [])
    (root / "bin" / "conda-unpack").write_text("_prefix_records = [(1, 2, print('no'))]\n")
    with pytest.raises(UnsafeArchive, match="damaged"):
        relocate(root, PLACE)
