"""What is packed is the same each time and works wherever it is unpacked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vine.content.archive import unpack
from vine.environments.pack import pack_tree, pack_virtualenv
from vine.errors import UsageError


def make_tree(root: Path) -> Path:
    (root / "bin").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "bin" / "tool").write_bytes(b"#!/bin/sh\n")
    (root / "bin" / "tool").chmod(0o755)
    (root / "bin" / "link").symlink_to("../data")
    (root / "data").write_bytes(b"data" * 1000)
    return root


def test_a_packed_tree_comes_back(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    os.mkfifo(tree / "left by some program")
    unpack(pack_tree(tree, tmp_path / "a.tar.zst"), tmp_path / "out")
    out = tmp_path / "out"
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*")) == [
        "bin",
        "bin/link",
        "bin/tool",
        "data",
        "empty",
    ]
    assert (out / "bin" / "link").read_bytes() == b"data" * 1000
    assert os.access(out / "bin" / "tool", os.X_OK)


def test_the_same_content_is_the_same_archive(tmp_path: Path) -> None:
    one, two = make_tree(tmp_path / "one"), make_tree(tmp_path / "elsewhere" / "two")
    os.utime(two / "data", (1, 1))
    (two / "data").chmod(0o600)
    assert pack_tree(one, tmp_path / "1").read_bytes() == pack_tree(two, tmp_path / "2").read_bytes()


def test_links_out_are_refused_with_their_name(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    (tree / "out").symlink_to("/etc/hostname")
    with pytest.raises(UsageError, match=r"tree/out is a link that leads out"):
        pack_tree(tree, tmp_path / "a.tar.zst")
    assert not (tmp_path / "a.tar.zst").exists()


def test_what_is_no_folder_or_no_environment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        pack_tree(tmp_path / "nothing", tmp_path / "a.tar.zst")
    with pytest.raises(UsageError, match="is no virtual environment"):
        pack_virtualenv(make_tree(tmp_path / "tree"), tmp_path / "a.tar.zst")


def run(*command: str | Path) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=clean).stdout.strip()


@pytest.mark.live
def test_a_virtual_environment_runs_where_it_is_unpacked_and_not_where_it_was(tmp_path: Path) -> None:
    # given an environment with a module, a script and a lib64, made by this interpreter
    made = tmp_path / "made"
    base = os.path.join(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    run(base, "-m", "venv", "--without-pip", made)
    packages = Path(run(made / "bin" / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"))
    (packages / "mine.py").write_text("import sys\nprint(sys.prefix, sys.base_prefix, __file__, __cached__)\n")
    script = made / "bin" / "say"
    script.write_text(f"#!{made}/bin/python\nimport mine\n")
    script.chmod(0o755)
    # when it is packed, removed, and unpacked elsewhere
    packed = pack_virtualenv(made, tmp_path / "env.tar.zst")
    again = pack_virtualenv(made, tmp_path / "again.tar.zst")
    assert packed.read_bytes() == again.read_bytes()
    shutil.rmtree(made)
    there = tmp_path / "some where" / "else"
    unpack(packed, there)
    # then its interpreter and its scripts run there, with its modules, compiled
    module = there / packages.relative_to(made) / "mine.py"
    expected = f"{there} {sys.base_prefix} {module} "
    for command in ([there / "bin" / "python", "-c", "import mine"], [there / "bin" / "say"]):
        said = run(*command)
        assert said.startswith(expected)
        assert Path(said.removeprefix(expected)).is_file()
    # and nothing in it leads out
    assert not any(
        os.path.realpath(path) != str(path) and not os.path.realpath(path).startswith(f"{there}/")
        for path in there.rglob("*")
    )
