"""What does a Poncho specification ask for, and is conda needed for it?"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vine.errors import UsageError

_KNOWN = {"conda", "pip", "pinned"}
_PYTHON = re.compile(r"python\s*(?:={1,2}\s*(\d+\.\d+)[\d.]*(?:\.?\*)?)?")
_CHANNELS = ("conda-forge",)


@dataclass(frozen=True, slots=True)
class Read:
    """Requirements for pip alone, or what `conda env create` takes, as JSON (which is YAML), and the Python in that."""

    pip: tuple[str, ...]
    conda: str | None
    python: str | None = None  # up to the minor version, where it is asked for


def read(specification: Any, python: str) -> Read:
    """Read both forms, {"conda": {"channels", "dependencies": [..., {"pip": [...]}]}} and the older "packages" with a
    "pip" beside "conda".

    Where conda would bring nothing but this Python and pip, it is not needed. UsageError for what is no
    specification, or asks for data beside software.
    """
    if not isinstance(specification, Mapping):
        raise UsageError('a Poncho specification is a dictionary, such as {"conda": {"dependencies": ["numpy"]}}')
    unknown = sorted(set(map(str, specification)) - _KNOWN)
    if unknown:
        raise UsageError(
            f"the Poncho specification has {', '.join(unknown)}: declare data with declare_file or declare_url, "
            "and leave it out"
        )
    conda = specification.get("conda", {})
    if not isinstance(conda, Mapping):
        raise UsageError('"conda" of a Poncho specification is a dictionary with channels and dependencies')
    packages: list[str] = []
    pip = _texts(specification.get("pip", []), "pip")
    for entry in [*_listed(conda, "dependencies"), *_listed(conda, "packages")]:
        if isinstance(entry, Mapping):
            pip += _texts(entry.get("pip", []), "pip")
        else:
            packages += _texts([entry], "dependencies")
    pins = specification.get("pinned", {}).get("conda", {})
    packages += [f"{name}={version}" for name, version in sorted(dict(pins).items())]
    if not packages and not pip:
        raise UsageError("the Poncho specification names no dependencies: add some, or declare another environment")
    if pip and all(_brings_only(package, python) for package in packages):
        return Read(tuple(sorted(pip)), None)
    channels = _texts(conda.get("channels", list(_CHANNELS)), "channels")
    dependencies: list[Any] = sorted(packages)
    if pip:
        if not any(re.fullmatch(r"pip\b.*", package) for package in packages):
            dependencies.append("pip")
        dependencies.append({"pip": sorted(pip)})
    asked = (_PYTHON.fullmatch(package.strip()) for package in packages)
    version = next((found[1] for found in asked if found is not None), None)
    return Read((), json.dumps({"channels": channels, "dependencies": dependencies}, indent=1), version)


def _brings_only(package: str, python: str) -> bool:
    found = _PYTHON.fullmatch(package.strip())
    return package.strip() == "pip" or (found is not None and found[1] in (None, python))


def _listed(conda: Mapping[str, Any], name: str) -> list[Any]:
    value = conda.get(name, [])
    if not isinstance(value, (list, tuple)):
        raise UsageError(f'"{name}" of a Poncho specification is a list')
    return list(value)


def _texts(values: Any, what: str) -> list[str]:
    if not isinstance(values, (list, tuple)) or not all(isinstance(value, str) for value in values):
        raise UsageError(f'"{what}" of a Poncho specification is a list of text')
    return list(values)
