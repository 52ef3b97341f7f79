"""Is nothing but a whole number within its bounds taken for one?"""

from __future__ import annotations

import argparse

import pytest

from benchmarks.counts import count, count_of_some


def test_whole_numbers_are_taken() -> None:
    assert (count("1"), count("1000000000"), count_of_some("100000")) == (1, 1_000_000_000, 100_000)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "", "many", "1000000001", "\u00b2"])
def test_anything_else_is_named(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no number from 1 to 1,000,000,000"):
        count(text)


def test_what_takes_memory_for_each_has_a_bound_of_its_own() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="'100001' is no number from 1 to 100,000"):
        count_of_some("100001")
