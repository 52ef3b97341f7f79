"""Is it told of libraries where they are loaded, who calls them, and what failed?"""

from __future__ import annotations

from typing import Any

from vine.views.libraries import libraries


def row(**changes: Any) -> list[str]:
    plain = {
        "name": "lib", "functions": ["f"], "slots": None, "loaded_on": 2, "loading_on": 0, "load_s": 3.0, "calls": 5,
        "failures": 0, "trouble": "", "broken": False,
    }  # fmt: skip
    table = libraries({"libraries": [{**plain, **changes}]})
    assert table is not None
    (found,) = table.rows
    return list(found)


def test_a_run_without_libraries_shows_none() -> None:
    assert libraries({}) is None


def test_one_that_is_well_shows_where_it_is_loaded_and_its_calls() -> None:
    name, functions, slots, where, calls, trouble = row()
    assert (name, functions, slots, calls, trouble) == ("lib", "f", "one a core", "5", "")
    assert where.startswith("2 workers, in 3")


def test_one_that_loads_says_so_and_many_functions_are_cut_short() -> None:
    shown = row(functions=list("abcde"), slots=4, loaded_on=0, loading_on=1, load_s=None)
    assert shown[1:4] == ["a, b, c, ...", "4", "0 workers; 1 load it"]


def test_what_failed_is_shown_until_a_call_has_run_and_for_good_if_it_is_not_tried_again() -> None:
    assert row(trouble="on w1: no module", failures=1)[5] == "on w1: no module"
    assert row(trouble="on w1: no module", failures=0)[5] == ""
    assert row(trouble="on w1", failures=3, broken=True)[5] == "it is not tried any more: on w1"
