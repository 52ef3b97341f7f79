from __future__ import annotations

from pathlib import Path

from tests.manager.journals import life_of_a_call, written
from vine.manager.replay import open_to_read
from vine.manager.tally import Tally, commits_in, commits_told


def test_the_journal_and_the_file_beside_it_agree_when_all_is_written(tmp_path: Path) -> None:
    path = written(tmp_path, life_of_a_call(1, 1))
    connection = open_to_read(path)
    assert commits_told(path) == commits_in(connection) > 0
    connection.close()


def test_a_count_goes_on_from_what_the_journal_knows(tmp_path: Path) -> None:
    tally = Tally(tmp_path / "journal.sqlite")
    tally.go_on_from(7)
    tally.add()
    tally.close()
    assert commits_told(tmp_path / "journal.sqlite") == 8


def test_where_nothing_was_noted_nothing_is_missed(tmp_path: Path) -> None:
    assert commits_told(tmp_path / "journal.sqlite") == 0
