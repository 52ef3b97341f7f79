"""What is the simulated cluster like: parameters read from a file that says where each comes from."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from vine.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CLUSTER = Path(__file__).with_name("cluster.toml")
ORIGINS = ("sourced", "measured", "fitted", "left out")  # The last: what only other readings of the paper need.
EACH_RUN = ("others_streams", "slow_share")  # parameters that each run has its own of
_KEYS = {"value", "unit", "is", "from"}


@dataclass(frozen=True, slots=True)
class Parameters:
    """The model's numbers; `cluster.toml` says of each what it means and where it comes from."""

    # A task, once its data are there.
    compute_s: float
    compute_spread: float
    task_cores: float
    task_memory_mb: float
    task_disk_mb: float
    # Its environment and its dataset.
    environment_bytes: float
    environment_packed_bytes: float
    environment_opened_share: float
    dataset_bytes: float
    dataset_packed_bytes: float
    metadata_operations: float
    # The shared filesystem.
    metadata_operations_per_s: float
    filesystem_bytes_per_s: float
    filesystem_bytes_per_s_of_a_node: float
    others_streams: Mapping[int, float]
    # A node, which one worker has to itself.
    worker_cores: float
    worker_memory_mb: float
    worker_disk_mb: float
    link_bytes_per_s: float
    latency_s: float
    disk_bytes_per_s: float
    hashing_bytes_per_s: float
    unpack_vine_bytes_per_s: float
    unpack_taskvine_bytes_per_s: float
    slowest_over_fastest: float
    slow_factor: float
    slow_share: Mapping[int, float]
    # The manager and the batch system.
    pack_vine_bytes_per_s: float
    pack_taskvine_bytes_per_s: float
    arrival_workers_per_s: float

    def at(self, name: str, workers: int) -> float:
        """A parameter that each run has its own of; of a size without a run, that of the nearest by ratio."""
        values: Mapping[int, float] = getattr(self, name)
        return values[min(values, key=lambda size: (abs(math.log(size / workers)), size))]


NAMES = tuple(field.name for field in fields(Parameters))


@dataclass(frozen=True, slots=True)
class Entry:
    """One parameter as the file has it."""

    value: Any
    unit: str
    origin: str
    source: str


def read(path: Path = CLUSTER) -> tuple[Parameters, dict[str, Entry]]:
    """The parameters of this file, and what it says of each.

    Raises:
        UsageError: The file is no such file; the message says where.
    """
    try:
        tables = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a cluster's parameters: {error}") from None
    if missing := sorted(set(NAMES) - tables.keys()):
        raise UsageError(f"{path} does not say what {missing[0]} is")
    if unknown := sorted(tables.keys() - set(NAMES)):
        raise UsageError(f"{path} has a parameter {unknown[0]} that the model does not know")
    entries = {name: _entry(path, name, tables[name]) for name in NAMES}
    values = {name: checked(path, name, entry.value) for name, entry in entries.items()}
    return Parameters(**values), entries


def _entry(path: Path, name: str, table: Any) -> Entry:
    if not isinstance(table, dict) or table.keys() != _KEYS:
        raise UsageError(f"{path}: {name} needs {', '.join(sorted(_KEYS))}, and nothing else")
    if table["is"] not in ORIGINS or not table["from"]:
        raise UsageError(f"{path}: {name} is {table['is']!r}: say {', '.join(ORIGINS)}, and from what")
    return Entry(table["value"], table["unit"], table["is"], table["from"])


def checked(path: Path, name: str, value: Any) -> Any:
    """The value, if it can be that parameter's.

    Raises:
        UsageError: It cannot.
    """
    (kind,) = (str(field.type) for field in fields(Parameters) if field.name == name)
    each = value if kind.startswith("Mapping") else {1: value}
    try:
        found = {int(size): float(number) for size, number in each.items()}
    except (AttributeError, TypeError, ValueError):
        raise UsageError(f"{path}: the value of {name} is {value!r}, which is no {kind}") from None
    if not found or not all(number >= 0 and math.isfinite(number) for number in found.values()):
        raise UsageError(f"{path}: the value of {name} is {value!r}: nothing here is less than 0 or without end")
    return found if each is value else found[1]


def shown(value: float | Mapping[int, float]) -> str:
    """As the files have it."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{size} = {number:.4g}' for size, number in value.items())} }}"
    return f"{value:.4g}"


def rewritten(text: str, values: Mapping[str, float | Mapping[int, float]]) -> str:
    """The file's text with other values for these parameters, and all else as it was."""
    for name, value in values.items():
        text, count = re.subn(rf"(?m)(^\[{name}\]\nvalue = ).*$", rf"\g<1>{shown(value)}", text)
        assert count == 1, f"{name} has one value in the file"
    return text
