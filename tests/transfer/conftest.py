from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stores import ended_with_the_test
from tests.transfer.nodes import BufferObjects, Net, Peer, open_net
from vine.wire.parts import Role


@pytest.fixture(autouse=True)
def _stores_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ended_with_the_test(monkeypatch):
        yield


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    with open_net(tmp_path / "run") as net:
        yield net


@pytest.fixture
def source(net: Net) -> Peer:
    """The manager's node, serving from memory."""
    return net.add("manager", BufferObjects(), Role.SERVER)
