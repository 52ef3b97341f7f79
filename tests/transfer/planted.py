"""Forests in which nodes hang, and who feeds whom in them."""

from __future__ import annotations

from collections import defaultdict

from vine.names import MANAGER, WorkerId
from vine.transfer.forest import Forest
from vine.transfer.trees import Edge, Slots

Sources = dict[tuple[WorkerId, int], WorkerId]  # (child, stripe): parent


def planted(slots: Slots | None = None, window_s: float = 1.0) -> Forest:
    forest = Forest(slots or Slots(3), window_s)
    forest.hold(MANAGER, spared=True)
    return forest


def join(forest: Forest, *names: str, rank: int = 0, now: float = 0.0) -> list[Edge]:
    return [e for name in names for e in forest.join(WorkerId(name), now, rank)]


def grown(count: int, window_s: float = 1.0, ranks: tuple[int, ...] = (0,)) -> Forest:
    forest = planted(window_s=window_s)
    for number in range(count):
        join(forest, f"w{number}", rank=ranks[number % len(ranks)])
    return forest


def sources(forest: Forest) -> Sources:
    return {(edge.child, edge.stripe): edge.parent for edge in forest.edges() if edge.parent is not None}


def line_up(tree: Sources, node: WorkerId, stripe: int) -> list[WorkerId]:
    """The nodes between this one and the end of its line, that one included."""
    line = []
    while (node, stripe) in tree:
        node = tree[node, stripe]
        assert node not in line, "a circle"
        line.append(node)
    return line


def depth(forest: Forest) -> int:
    tree = sources(forest)
    return max(len(line_up(tree, child, stripe)) for child, stripe in tree)


def feeds_in(forest: Forest) -> dict[WorkerId, set[int]]:
    stripes = defaultdict(set)
    for (_, stripe), parent in sources(forest).items():
        if parent != MANAGER:
            stripes[parent].add(stripe)
    return stripes
