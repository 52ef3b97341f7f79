"""What does a slow node cost the others, once its children, or it itself, say that it is slow?"""

from __future__ import annotations

import pytest

from tests.transfer.slowness import Spreading
from tests.transfer.test_forest import CHUNK_BYTES, CHUNKS, grown, sources
from vine.names import MANAGER, WorkerId

COUNT = 64
Ends = dict[WorkerId, float]


def a_root(of: dict[tuple[WorkerId, int], WorkerId]) -> WorkerId:
    return next(child for (child, stripe), parent in of.items() if parent == MANAGER and stripe == 0)


def spread(up: float = 1.0, down: float = 1.0, reporting: bool = True) -> tuple[Ends, WorkerId, Spreading]:
    """With one node so many times slower than the others, at a stripe's root."""
    forest = grown(COUNT)
    slow = a_root(sources(forest))
    spreading = Spreading(forest, MANAGER, CHUNKS, CHUNK_BYTES)
    spreading.slow_down(slow, up, down)
    spreading.reporting = reporting
    return spreading.run(), slow, spreading


def last_of_others(ends: Ends, slow: WorkerId) -> float:
    return max(end for node, end in ends.items() if node != slow)


def test_where_nobody_is_slow_nobody_is_called_so() -> None:
    assert spread()[2].reports == []


@pytest.mark.parametrize("down", [1.0, 4.0])
def test_a_slow_node_that_nobody_knew_of_costs_the_others_little(down: float) -> None:
    usual_s = last_of_others(*spread()[:2])
    # given a root that sends, or sends and receives, four times slower
    ends, slow, _ = spread(up=4.0, down=down)
    # then the others have the object hardly later
    assert last_of_others(ends, slow) <= 1.3 * usual_s
    # which they would not, had nobody said so
    ends, slow, _ = spread(up=4.0, down=down, reporting=False)
    assert last_of_others(ends, slow) >= 2.5 * usual_s


def test_the_slow_node_is_the_only_one_that_is_demoted() -> None:
    ends, slow, spreading = spread(up=4.0)
    accused = {source for _, _, source in spreading.reports}
    assert accused == {slow}
    assert max(ends.values()) <= 1.3 * last_of_others(*spread()[:2])  # It gets the object with the others.
