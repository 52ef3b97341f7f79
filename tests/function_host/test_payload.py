"""Are pieces that were put into one told apart again?"""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vine_function_host import payload


@given(st.lists(st.binary(max_size=100), max_size=5))
def test_pieces_are_told_from_each_other(pieces: list[bytes]) -> None:
    assert payload.pieces_of(payload.in_one(pieces)) == pieces
    assert payload.pieces_of(memoryview(payload.in_one(pieces))) == pieces


@given(serialisers=st.binary(max_size=50), functions=st.binary(max_size=50).map(lambda some: payload.PICKLE + some))
def test_functions_are_told_from_the_serialisers_that_they_come_with(serialisers: bytes, functions: bytes) -> None:
    assert payload.apart(payload.with_serialisers(serialisers, functions)) == (serialisers, functions)


def test_code_of_another_python_is_refused_with_both_versions_and_all_else_is_read() -> None:
    major, minor = sys.version_info[:2]
    assert bytes(payload.body_of(payload.PICKLE + b"body")) == bytes(payload.body_of(payload.DILL + b"body")) == b"body"
    foreign = payload.DILL[:1] + bytes((major, minor + 1)) + b"body"
    both = rf"is of Python {major}\.{minor + 1}, .* is Python {major}\.{minor},"
    with pytest.raises(payload.ForeignPythonError, match=both):
        payload.body_of(foreign)
