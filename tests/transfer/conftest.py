from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.transfer.nodes import BufferObjects, Net, Peer, open_net
from vine.wire.messages import Role


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    with open_net(tmp_path / "run") as net:
        yield net


@pytest.fixture
def source(net: Net) -> Peer:
    """The manager's node, serving from memory."""
    return net.add("manager", BufferObjects(), Role.SERVER)
