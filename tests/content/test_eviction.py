"""What goes first is what was used longest ago, and nothing goes in vain."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vine.content.eviction import Candidate, choose
from vine.names import ObjectId

candidates = st.lists(
    st.builds(
        Candidate, st.integers(0, 10**6).map(lambda n: ObjectId(f"{n:064x}")), st.integers(0, 100), st.integers(0, 5)
    ),
    unique_by=lambda one: one.key,
)


@given(candidates, st.integers(0, 500), st.data())
def test_it_is_enough_or_nothing_and_what_was_taken_in_vain_is_given_back(
    all_of_them: list[Candidate], wanted: int, data: st.DataObject
) -> None:
    in_use = {one.key for one in all_of_them if data.draw(st.booleans())}
    taken: set[ObjectId] = set()

    def take(key: ObjectId) -> bool:
        if key in in_use:
            return False
        taken.add(key)
        return True

    going = choose(all_of_them, wanted, take, taken.remove)
    free = [one for one in all_of_them if one.key not in in_use and one.size]
    assert taken == {one.key for one in going}
    if sum(one.size for one in free) < wanted:
        assert going == []
    else:
        assert sum(one.size for one in going) >= wanted
        assert sum(one.size for one in going[:-1]) < wanted or not going, "more goes than is needed"
        times = [one.used_at for one in going]
        assert times == sorted(times)
        staying = [one.used_at for one in free if one not in going]
        assert not going or not staying or max(times) <= min(staying)
