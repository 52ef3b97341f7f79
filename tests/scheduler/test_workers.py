"""What fits where: requests, capacities and the shares of what is left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vine.scheduler.workers import allot, amounts, asked, could_fit
from vine.wire.parts import Request, Resources

some = st.none() | st.floats(0, 64).map(lambda x: round(x, 2))
requests = st.builds(Request, cores=some, memory_mb=some, disk_mb=some, gpus=some)
capacities = st.builds(Resources, *[st.floats(0, 64).map(lambda x: round(x, 2))] * 4)


@given(requests, capacities)
def test_what_could_fit_is_allotted_within_the_capacity(request: Request, capacity: Resources) -> None:
    if could_fit(request, capacity):
        for given_, has in zip(amounts(allot(request, capacity)), amounts(capacity), strict=True):
            assert given_ <= has + 1e-5


@given(requests, capacities)
def test_what_is_named_is_given_exactly(request: Request, capacity: Resources) -> None:
    for need, given_ in zip(asked(request), amounts(allot(request, capacity)), strict=True):
        assert need is None or given_ == need


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (Request(), Resources(16, 64, 100, 0)),
        (Request(cores=4), Resources(4, 16, 25, 0)),
        (Request(cores=4, memory_mb=32), Resources(4, 32, 50, 0)),
        (Request(gpus=1), Resources(8, 32, 50, 1)),
    ],
)
def test_the_largest_named_share_is_the_share_of_the_rest(request_: Request, expected: Resources) -> None:
    assert allot(request_, Resources(16, 64, 100, 2)) == expected


def test_a_task_that_asks_for_no_cores_does_not_share_a_worker_with_all_the_others() -> None:
    assert allot(Request(cores=0), Resources(4, 1000, 1000, 0)) == Resources(0, 1000, 1000, 0)
