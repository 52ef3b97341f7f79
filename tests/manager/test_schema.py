from __future__ import annotations

import sqlite3

from hypothesis import given, settings
from hypothesis import strategies as st

from vine.manager.schema import Upsert


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
    upsert = Upsert("t", ["k"])
    expected: dict[int, dict[str, int]] = {}
    for rows in commits:
        upsert.write(connection, [{"k": key, **values} for key, values in rows.items()])
        for key, values in rows.items():
            expected[key] = {**expected.get(key, {}), **values}
    found = {k: (v, w) for k, v, w in connection.execute("SELECT k, v, w FROM t")}
    assert found == {key: (values.get("v"), values.get("w")) for key, values in expected.items()}
