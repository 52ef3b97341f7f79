"""Specifications of both forms say the same, and conda is asked only for what pip does not have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vine.environments.poncho import read
from vine.errors import UsageError

OLD = {"conda": {"channels": ["conda-forge"], "packages": ["numpy=1.26", "python=3.9"]}, "pip": ["topcoffea"]}
NEW = {"conda": {"channels": ["conda-forge"], "dependencies": ["python=3.9", "numpy=1.26", {"pip": ["topcoffea"]}]}}


def test_both_forms_are_the_same_to_conda() -> None:
    old, new = read(OLD, "3.11"), read(NEW, "3.11")
    assert old == new
    assert old.conda is not None
    assert json.loads(old.conda) == {
        "channels": ["conda-forge"],
        "dependencies": ["numpy=1.26", "python=3.9", "pip", {"pip": ["topcoffea"]}],
    }


@pytest.mark.parametrize("packages", [[], ["pip"], ["python"], ["python=3.11", "pip"], ["python==3.11.*"]])
def test_what_pip_alone_can_bring_needs_no_conda(packages: list[str]) -> None:
    found = read({"conda": {"dependencies": [*packages, {"pip": ["b", "a"]}]}}, "3.11")
    assert found.conda is None
    assert found.pip == ("a", "b")


@pytest.mark.parametrize("packages", [["python=3.9"], ["numpy"], ["pip=23"], ["python>=3.9"]])
def test_all_else_does(packages: list[str]) -> None:
    assert read({"conda": {"dependencies": [*packages, {"pip": ["a"]}]}}, "3.11").conda is not None


@pytest.mark.parametrize(
    ("package", "python"), [("python=3.9", "3.9"), ("python==3.9.1", "3.9"), ("python>=3.9", None)]
)
def test_the_python_that_is_asked_for_is_known_before_it_is_made(package: str, python: str | None) -> None:
    assert read({"conda": {"dependencies": ["numpy", package]}}, "3.11").python == python


def test_pins_are_dependencies() -> None:
    found = read({"conda": {"dependencies": ["numpy"]}, "pinned": {"conda": {"libfoo": "2.1"}}}, "3.11")
    assert found.conda is not None
    assert json.loads(found.conda)["dependencies"] == ["libfoo=2.1", "numpy"]


@pytest.mark.parametrize(
    ("specification", "match"),
    [
        ([], "is a dictionary"),
        ({}, "names no dependencies"),
        ({"conda": []}, "is a dictionary"),
        ({"conda": {"dependencies": "numpy"}}, "is a list"),
        ({"conda": {"dependencies": [7]}}, "is a list of text"),
        ({"conda": {"dependencies": [{"pip": "numpy"}]}}, "is a list of text"),
        ({"conda": {"dependencies": ["a"]}, "http": {"DATA": {"url": "x"}}}, "has http: declare data"),
    ],
)
def test_what_is_no_specification_is_refused(specification: Any, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        read(specification, "3.11")
