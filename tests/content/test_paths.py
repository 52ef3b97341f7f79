"""Names and links are judged as the kernel would follow them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vine.content.paths import fault_of_name, leads_out


@pytest.mark.parametrize("name", ["", "/a", "a//b", "a/../b", "..", "./a", "a/", "a\0b"])
def test_names_that_are_not_plain_are_faulty(name: str) -> None:
    assert fault_of_name(name) is not None


@pytest.mark.parametrize("name", ["a", "a/b", "..a", "a..", "...", "a b/ü"])
def test_plain_names_are_not(name: str) -> None:
    assert fault_of_name(name) is None


@pytest.mark.parametrize(
    ("path", "target", "links"),
    [
        ("a", "/etc", {}),
        ("a", "..", {}),
        ("a/b", "../../x", {}),
        ("a", "", {}),
        ("z", "p/q/r/back/../../..", {"p/q/r/back": ".."}),  # Inside by its text, outside by what it passes.
        ("z", "out/x", {"out": "/etc"}),
    ],
)
def test_links_out_are_seen(path: str, target: str, links: dict[str, str]) -> None:
    assert leads_out(path, target, links)


def test_links_that_stay_inside_do_not_lead_out() -> None:
    assert not leads_out("a/b", "../c", {})


def test_circles_lead_out_since_programs_that_resolve_names_themselves_go_on_from_them() -> None:
    assert leads_out("a", "a", {"a": "a"})
    assert leads_out("b", "b/../../x", {"b": "b/../../x"})


parts = st.sampled_from(["..", ".", "a", "b", "c"])
targets = st.lists(parts, min_size=1, max_size=5).map("/".join)
places = st.sampled_from(["l", "m", "a/l", "a/m", "a/b/l", "a/b/c/l", "b/l"])


@settings(max_examples=300)
@given(links=st.dictionaries(places, st.one_of(targets, st.sampled_from(["l", "m", "a/l/..", "a/b/l/../.."]))))
def test_no_link_that_is_let_through_leaves_the_folder_on_disk(
    links: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    # given a folder deep enough that a way out is found, not stopped at the file system's root
    root = tmp_path_factory.mktemp("links") / "x" / "y" / "z" / "root"
    for folder in ("a/b/c", "b"):
        (root / folder).mkdir(parents=True)
    for path, target in links.items():
        (root / path).symlink_to(target)
    # when the kernel follows each link that we let through
    for path, target in links.items():
        if leads_out(path, target, links):
            continue
        # then it ends inside, or nowhere
        real = Path(os.path.realpath(root / path))
        assert real == root or root in real.parents
