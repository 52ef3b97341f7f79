from __future__ import annotations

import sqlite3

from hypothesis import given, settings
from hypothesis import strategies as st

from vine.manager.schema import Upsert


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.one_of(st.none(), st.integers(0, 9))), max_size=200))
def test_an_upsert_keeps_the_last_value_of_each_column(rows: list[tuple[int, int | None]]) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, v INTEGER)")
    upsert = Upsert("t", ["k", "v"], ["k"])
    expected: dict[int, int | None] = {}
    for start in range(0, len(rows), 37):
        upsert.write(connection, rows[start : start + 37])
    for key, value in rows:
        expected[key] = value if value is not None else expected.get(key)
    assert dict(connection.execute("SELECT k, v FROM t")) == expected
