"""Does the loop hear of what goes wrong on a thread, and only of that?"""

from __future__ import annotations

import pytest

from vine_worker import mistakes


@pytest.mark.parametrize("mistake", [AssertionError("ours"), KeyError("ours"), SystemExit(1)])
def test_a_mistake_is_told_and_goes_its_way(mistake: BaseException) -> None:
    told: list[object] = []
    with pytest.raises(type(mistake)), mistakes.told_to(told.append):
        raise mistake
    assert told == [mistake]


def test_where_all_is_well_nothing_is_told() -> None:
    told: list[object] = []
    with mistakes.told_to(told.append):
        pass
    assert not told
