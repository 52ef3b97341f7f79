from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stores import ended_with_the_test


@pytest.fixture(autouse=True)
def _stores_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ended_with_the_test(monkeypatch):
        yield
