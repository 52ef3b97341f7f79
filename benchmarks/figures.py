"""What did a benchmark measure: figures as JSON lines for programs, or as a table for people."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    value: float
    unit: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> str:
        rounded = float(f"{self.value:.4g}") if math.isfinite(self.value) else None
        return json.dumps({"figure": self.name, "value": rounded, "unit": self.unit, "params": dict(self.params)})


def show(figures: Iterable[Figure], *, as_json: bool) -> None:
    """Print them on stdout, where nothing else of a benchmark goes with `--json`."""
    if as_json:
        for figure in figures:
            print(figure.as_json(), flush=True)
        return
    table = Table("figure", "value", "unit", "of")
    for figure in figures:
        value = f"{figure.value:,.4g}" if figure.value < 1e4 else f"{figure.value:,.0f}"
        params = ", ".join(f"{name} {value}" for name, value in figure.params.items())
        table.add_row(figure.name, value, figure.unit, params)
    Console().print(table)
