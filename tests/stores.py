"""Stores that a test leaves open end with it: each holds files of this process open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from vine.content.store import Store


@contextmanager
def ended_with_the_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the test opens meanwhile and does not end itself is ended as if its worker were killed."""
    opened: dict[int, Store] = {}
    begin, leave, abandon = Store.__init__, Store.leave, Store.abandon

    def begins(store: Store, *arguments: Any, **named: Any) -> None:
        begin(store, *arguments, **named)
        opened[id(store)] = store

    def leaves(store: Store, keep_all: bool = False) -> bool:
        opened.pop(id(store), None)
        return leave(store, keep_all)

    def abandons(store: Store) -> None:
        opened.pop(id(store), None)
        abandon(store)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "__init__", begins)
        patched.setattr(Store, "leave", leaves)
        patched.setattr(Store, "abandon", abandons)
        yield
        for store in list(opened.values()):
            abandon(store)
