"""Is nothing granted twice, and does nothing get lost?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vine.wire.parts import Resources
from vine_worker.resources import Grant, Ledger

amounts = st.floats(0, 3, allow_nan=False)
wishes = st.builds(
    Resources, amounts, amounts, amounts, st.one_of(st.just(0.0), st.floats(0.001, 1.0), st.integers(1, 3))
)


def test_thirds_of_a_core_fill_it_exactly() -> None:
    ledger = Ledger(Resources(cores=1))
    third = Resources(cores=0.333)
    grants = [ledger.take(third) for _ in range(3)]
    assert None not in grants
    assert ledger.take(third) is None
    assert ledger.take(Resources(cores=0.001)) is not None


def test_whole_gpus_are_devices_of_ones_own_and_fractions_share_the_fullest() -> None:
    ledger = Ledger(Resources(gpus=2))
    half, one = Resources(gpus=0.5), Resources(gpus=1)
    assert ledger.take(half) == Grant(half, (0,))
    assert ledger.take(half) == Grant(half, (0,))
    assert ledger.take(one) == Grant(one, (1,))
    assert ledger.take(half) is None


def test_what_could_never_fit_is_told_before_anything_runs() -> None:
    ledger = Ledger(Resources(cores=2, gpus=1))
    assert ledger.could_fit(Resources(cores=2, gpus=1))
    assert ledger.could_fit(Resources(gpus=0.25))
    assert not ledger.could_fit(Resources(cores=2.001))
    assert not ledger.could_fit(Resources(gpus=2))


@given(st.lists(wishes, max_size=12))
def test_all_that_was_granted_comes_back(wanted: list[Resources]) -> None:
    ledger = Ledger(Resources(3, 3, 3, 2))
    grants = [grant for grant in map(ledger.take, wanted) if grant is not None]
    ledger.check()
    for grant in grants:
        assert ledger.could_fit(grant.resources)
        ledger.give_back(grant)
    assert ledger.idle
