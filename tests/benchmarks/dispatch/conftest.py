"""A bench that starts nothing: calls run on threads, commands end as they are submitted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from benchmarks.dispatch.bench import Bench


class Commands:
    """A manager that runs nothing: every submitted task comes back, ended with this code."""

    def __init__(self, exit_code: int = 0) -> None:
        self.exit_code = exit_code
        self.submitted = 0
        self.returned = 0

    def submit(self, task: object) -> None:
        self.submitted += 1

    def wait(self, timeout: float) -> Any:
        self.returned += 1
        return self

    def successful(self) -> bool:
        return True


@pytest.fixture
def bench() -> Iterator[Bench]:
    with ThreadPoolExecutor(2) as executor:
        yield Bench(cast(Any, Commands()), cast(Any, executor))
