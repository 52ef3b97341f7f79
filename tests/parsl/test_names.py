"""Does each file of a call have a name in the sandbox, and does the app find it there?"""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import dill
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vine.parsl.names import AtWorker, Names
from vine_worker.sandbox import check_names

paths = st.lists(st.sampled_from(["a", "b", "..", ".", "vine-files", "0", "/"]), min_size=1, max_size=4).map("/".join)


def test_a_relative_path_stays_what_it_is() -> None:
    assert Names().give("data/./in.txt") == ("data/in.txt", "data/./in.txt")


@pytest.mark.parametrize("path", ["/data/in.txt", "../in.txt", "data/../../in.txt"])
def test_a_path_that_leads_elsewhere_gets_a_name_of_its_own_with_its_file_name(path: str) -> None:
    name, place = Names().give(path)
    assert name == "vine-files/0/in.txt"
    assert isinstance(place, AtWorker)


def test_the_app_hears_the_full_path_of_where_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for pickler in (pickle, dill):
        assert pickler.loads(pickler.dumps(AtWorker("vine-files/0/in.txt"))) == f"{os.getcwd()}/vine-files/0/in.txt"


@given(st.lists(paths, max_size=6))
def test_whatever_the_paths_are_a_sandbox_can_be_made_of_the_names(given_paths: list[str]) -> None:
    names = Names()
    given_names = [names.give(path)[0] for path in given_paths]
    assert len(set(given_names)) == len(given_names)
    check_names(given_names, given_names)
