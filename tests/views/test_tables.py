from __future__ import annotations

import io

import pytest

from vine.views.tables import Table, amount_of_bytes, duration, plain, rich

TABLES = [
    Table("tasks: 3", (), ()),
    Table("workers: 2", ("worker", "host"), [["w1", "node[7]"], ["worker-2", "n8"]]),
    Table("run", (), [["/runs/1"]]),
]


def test_plain_lines_have_their_columns_under_each_other() -> None:
    assert plain(TABLES).splitlines() == [
        "tasks: 3",
        "workers: 2",
        "  worker    host",
        "  w1        node[7]",
        "  worker-2  n8",
        "run",
        "  /runs/1",
    ]


def test_a_terminal_shows_the_same_words_and_takes_none_for_markup() -> None:
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=80).print(rich(TABLES))
    assert [line.split() for line in out.getvalue().splitlines()] == [
        line.split() for line in plain(TABLES).splitlines()
    ]


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_097_152, "2.1 MB"), (5e15, "5000.0 TB")]
)
def test_bytes_are_told_as_people_read_them(count: float, text: str) -> None:
    assert amount_of_bytes(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(4.21, "4.2 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_durations_are_told_as_people_read_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    name = "\x1b]0;owned\x07\x1b[2Jn\u202eame\nsecond line"
    said = plain([Table(name, ("a",), [[name]])])
    assert said.count("\n") == 2 and said.replace("\n", "").isprintable()
