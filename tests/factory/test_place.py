"""What a factory keeps for the next of its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from vine.errors import UsageError
from vine_factory.place import FactoryPlace, first_free_place


def test_no_two_factories_of_one_name_are_at_work_at_once(tmp_path: Path) -> None:
    first = FactoryPlace(tmp_path, "slurm")
    with pytest.raises(UsageError, match="another factory called 'slurm' is at work on this run"):
        FactoryPlace(tmp_path, "slurm")
    FactoryPlace(tmp_path, "other").close()
    first.close()
    FactoryPlace(tmp_path, "slurm").close()


def test_without_a_name_each_has_the_first_that_is_free_and_finds_it_again(tmp_path: Path) -> None:
    first, second = first_free_place(tmp_path, "local"), first_free_place(tmp_path, "local")
    assert (first.name, second.name) == ("local", "local-2")
    first.close()
    again = first_free_place(tmp_path, "local")
    assert (again.name, again.generation) == ("local", 2)
    again.close()
    second.close()


def test_each_factory_of_a_name_has_its_own_number(tmp_path: Path) -> None:
    numbers = []
    for _ in range(3):
        place = FactoryPlace(tmp_path, "slurm")
        numbers.append(place.generation)
        place.close()
    assert numbers == [1, 2, 3]


def test_a_run_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "factories").write_text("a file where the folder should be")
    with pytest.raises(UsageError, match=r"cannot use .*factories/slurm"):
        FactoryPlace(tmp_path, "slurm")
