from __future__ import annotations

import sqlite3

from hypothesis import given, settings
from hypothesis import strategies as st

from vine.manager.schema import Table


@settings(deadline=None)
@given(
    st.lists(
        st.dictionaries(
            st.integers(0, 40), st.dictionaries(st.sampled_from(["v", "w"]), st.integers(0, 9)), max_size=60
        ),
        max_size=6,
    )
)
def test_an_upsert_keeps_the_last_value_of_each_column(commits: list[dict[int, dict[str, int]]]) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, v INTEGER, w INTEGER)")
    table = Table("t", ["k"])
    expected: dict[int, dict[str, int]] = {}
    for rows in commits:
        table.write(connection, [{"k": key, **values} for key, values in rows.items()])
        for key, values in rows.items():
            expected[key] = {**expected.get(key, {}), **values}
    found = {k: (v, w) for k, v, w in connection.execute("SELECT k, v, w FROM t")}
    assert found == {key: (values.get("v"), values.get("w")) for key, values in expected.items()}


@settings(deadline=None)
@given(
    st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9))), st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)))
)
def test_those_rows_go_whose_whole_keys_are_named(here: set[tuple[int, int]], named: set[tuple[int, int]]) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (k INTEGER, l INTEGER, PRIMARY KEY (k, l)) WITHOUT ROWID")
    table = Table("t", ["k", "l"])
    table.write_alike(connection, ("k", "l"), [number for key in here for number in key])
    table.delete(connection, [number for key in named for number in key])
    assert set(connection.execute("SELECT k, l FROM t")) == here - named
