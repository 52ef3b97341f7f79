from __future__ import annotations

import os
from pathlib import Path

from vine.manager.place import new_folder, point_most_recent


def test_two_runs_of_one_second_have_folders_of_their_own_and_the_link_names_the_latter(tmp_path: Path) -> None:
    first = new_folder(tmp_path, "stamp")
    second = new_folder(tmp_path, "stamp")
    assert (first.name, second.name) == ("stamp", "stamp-2")
    point_most_recent(first)
    point_most_recent(second)
    assert (tmp_path / "most-recent").resolve() == second
    assert sorted(os.listdir(tmp_path)) == ["most-recent", "stamp", "stamp-2"]
