"""Is a function told at home that its library's variables are on workers, and does it travel by a name found there?"""

from __future__ import annotations

import pickle

import pytest

import vine
from vine import errors


def test_at_home_it_says_where_it_works() -> None:
    with pytest.raises(errors.UsageError, match="for the functions of a library, while a worker runs them"):
        vine.load_variable_from_library("model")


def test_it_travels_by_the_name_under_which_hosts_put_their_own() -> None:
    pickled = pickle.dumps(vine.load_variable_from_library)
    assert b"vine.client" not in pickled
    assert pickle.loads(pickled) is vine.load_variable_from_library
