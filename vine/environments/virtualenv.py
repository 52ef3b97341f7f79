"""What does a virtual environment say of itself?"""

from __future__ import annotations

import re
from pathlib import Path


def is_virtualenv(prefix: Path) -> bool:
    return (prefix / "pyvenv.cfg").is_file() and (prefix / "bin" / "python").exists()


def settings_of(prefix: Path) -> dict[str, str]:
    """What its pyvenv.cfg says; nothing if there is none."""
    try:
        lines = (prefix / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def python_of_virtualenv(prefix: Path) -> str | None:
    """The version of its Python up to the minor one."""
    settings = settings_of(prefix)  # `venv` says version, `virtualenv` and uv version_info.
    found = re.match(r"\d+\.\d+", settings.get("version") or settings.get("version_info", ""))
    return None if found is None else found[0]


def base_of_virtualenv(prefix: Path) -> str | None:
    """The folder whose Python it was made with."""
    home = settings_of(prefix).get("home")
    return None if home is None else str(Path(home).parent)
