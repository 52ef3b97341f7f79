"""How long does an object take to spread through a forest? Chunk by chunk, over links and disks of given speed."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field

from vine.transfer.trees import Edge


@dataclass(frozen=True)
class Speeds:
    link_bytes_per_s: float = 1.25e9  # 10 Gbit/s, each way
    hop_s: float = 0.002
    hash_bytes_per_s: float = 1.5e9
    disk_bytes_per_s: float = 2e9


@dataclass
class _Node:
    """When each part of the node is free again; every part takes chunks in the order in which they come."""

    up_at: float = 0.0
    down_at: float = 0.0
    hash_at: float = 0.0
    disk_at: float = 0.0
    done_at: float = 0.0
    chunks: int = 0
    feeds: dict[int, list[str]] = field(default_factory=dict)


def spread(
    edges: Iterable[Edge],
    holder: str,
    chunk_count: int,
    chunk_bytes: int,
    stripes: int = 3,
    speeds: Speeds | None = None,
) -> float:
    """When the last node has the last chunk; the holder has them all from the start."""
    speed = speeds or Speeds()
    nodes = {holder: _Node()}
    for edge in edges:
        assert edge.parent is not None
        nodes.setdefault(edge.child, _Node())
        nodes.setdefault(edge.parent, _Node()).feeds.setdefault(edge.stripe, []).append(edge.child)
    wire_s = chunk_bytes / speed.link_bytes_per_s
    hash_s, disk_s = chunk_bytes / speed.hash_bytes_per_s, chunk_bytes / speed.disk_bytes_per_s
    # Kinds of events: 0, a chunk is stored here and can be passed on; 1, its first byte has come to the link.
    events: list[tuple[float, int, int, str]] = [(0.0, 0, chunk, holder) for chunk in range(chunk_count)]
    while events:
        now, kind, chunk, name = heapq.heappop(events)
        node = nodes[name]
        if kind == 0:
            for child in node.feeds.get(chunk % stripes, ()):
                node.up_at = max(now, node.up_at) + wire_s
                heapq.heappush(events, (node.up_at - wire_s + speed.hop_s, 1, chunk, child))
            continue
        node.down_at = max(now, node.down_at) + wire_s
        node.hash_at = max(node.down_at, node.hash_at) + hash_s
        node.disk_at = max(node.hash_at, node.disk_at) + disk_s
        node.done_at, node.chunks = node.disk_at, node.chunks + 1
        if chunk % stripes in node.feeds:
            heapq.heappush(events, (node.disk_at, 0, chunk, name))
    receivers = [node for name, node in nodes.items() if name != holder]
    assert all(node.chunks == chunk_count for node in receivers), "somebody lacks a chunk"
    return max(node.done_at for node in receivers)
