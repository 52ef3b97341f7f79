"""Environments for tests, made in a moment and without a package index."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

BASE = os.path.join(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


def wheel(folder: Path, name: str, version: str = "1.0", content: str = "VALUE = 1\n") -> Path:
    """A distribution with one module and one script."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": content + "def main():\n    print('said by', __name__)\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\nsay-{name} = {name}:main\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text.encode())}\n"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(member, text)
    return path


def offline(folder: Path, *names: str) -> list[str]:
    """Requirements that are met by the wheels of this folder alone."""
    return ["--no-index", f"--find-links {folder}", *names]


def virtualenv(prefix: Path, **modules: str) -> Path:
    subprocess.run([BASE, "-m", "venv", "--without-pip", str(prefix)], check=True)
    folder = prefix / "lib" / f"python{PYTHON}" / "site-packages"
    for name, content in modules.items():
        (folder / f"{name}.py").write_text(content)
    return prefix


def virtualenv_with(prefix: Path, *distributions: str) -> Path:
    """With what these distributions of this machine's own environment install, and what they require."""
    virtualenv(prefix)
    for name in _required(distributions):
        distribution = metadata.distribution(name)
        for top in sorted({file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}):
            source = Path(str(distribution.locate_file(top)))
            target = prefix / "lib" / f"python{PYTHON}" / "site-packages" / top
            if source.is_dir():
                shutil.copytree(source, target, copy_function=_link_or_copy, dirs_exist_ok=True)
            else:
                _link_or_copy(source, target)
    return prefix


def _required(distributions: Iterable[str]) -> set[str]:
    found: set[str] = set()
    pending = list(distributions)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            requirements = map(Requirement, metadata.requires(name) or ())
            pending += [
                each.name for each in requirements if each.marker is None or each.marker.evaluate({"extra": ""})
            ]
    return found


def _link_or_copy(source: str | Path, target: str | Path) -> None:
    """Linked, it costs neither time nor room."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _put(path: Path, content: bytes, placeholder: bytes, prefix: bytes, is_binary: bool) -> None:
    """One of a package's files, naming this prefix; what is binary keeps its length."""
    path.parent.mkdir(parents=True, exist_ok=True)
    same = not is_binary or prefix == placeholder
    path.write_bytes(content.replace(placeholder, prefix) if same else _padded(content, placeholder, prefix))
    path.chmod(0o755 if path.parent.name == "bin" else 0o644)


def conda_prefix(prefix: Path, *, python: str = PYTHON) -> Path:
    """A conda environment: conda's records of what a package linked into it, and where that names its prefix.

    Its `python` is a link to this machine's interpreter as a package would have a program, and its package `tool` has
    a script, a module, and a program that names the prefix in its bytes.
    """
    package = prefix.with_name(f"{prefix.name}-packages") / "tool-1.0-0"
    placeholder = "/opt/" + "placehold_" * 24
    contents: dict[str, bytes] = {
        "bin/tool": f"#!{placeholder}/bin/python\nimport sys\nprint(sys.argv[0], '{placeholder}')\n".encode(),
        "lib/tool.bin": b"\x7fbinary\0" + f"{placeholder}/share".encode() + b"\0end\0",
        "share/tool.cfg": f"home={placeholder}/share\n".encode(),
        "share/plain.txt": b"plain\n",
        "etc/conda/activate.d/tool.sh": f'export TOOL_DATA="{placeholder}/share"\n'.encode(),
    }
    modes = dict.fromkeys(contents.keys() - {"share/plain.txt"}, "text") | {"lib/tool.bin": "binary"}
    entries = []
    for name, content in contents.items():
        is_binary = modes.get(name) == "binary"
        for root, its_prefix in ((package, placeholder), (prefix, str(prefix))):
            _put(root / name, content, placeholder.encode(), its_prefix.encode(), is_binary)
        entry: dict[str, object] = {"_path": name, "path_type": "hardlink", "sha256": "", "size_in_bytes": len(content)}
        if name in modes:
            entry |= {"prefix_placeholder": placeholder, "file_mode": modes[name]}
        entries.append(entry)
    (package / "info").mkdir()
    (package / "info" / "paths.json").write_text(json.dumps({"paths": entries, "paths_version": 1}))
    (package / "info" / "index.json").write_text(json.dumps({"name": "tool", "version": "1.0", "build": "0"}))
    meta = prefix / "conda-meta"
    meta.mkdir()
    (meta / "history").write_text("")
    record = {"name": "tool", "version": "1.0", "build": "0", "channel": "test", "url": "", "depends": []}
    record |= {"files": list(contents), "link": {"source": str(package), "type": 1}, "paths_data": {"paths": entries}}
    (meta / "tool-1.0-0.json").write_text(json.dumps(record))
    shutil.copy(os.path.realpath(BASE), prefix / "bin" / "python")  # What no package has brought goes along, too.
    (prefix / "lib" / f"python{python}").mkdir()
    (meta / f"python-{python}.1-0.json").write_text(
        json.dumps({"name": "python", "version": f"{python}.1", "files": [], "link": None, "url": ""})
    )
    return prefix


def _padded(content: bytes, old: bytes, new: bytes) -> bytes:
    before, _, after = content.partition(old)
    string, _, rest = after.partition(b"\0")
    return before + (new + string).ljust(len(old) + len(string) + 1, b"\0") + rest
